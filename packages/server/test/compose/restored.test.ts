import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { forgetWhatMovedOn } from '../../src/compose/restored.ts'
import type { CommandRow, MqttSessionRow } from '../../src/ports.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { coapContextRow } from '../support/contextRows.ts'

const now = Date.UTC(2026, 10, 24)
const device = 'urn:dev:mac:0200000000000001'
const folder = await mkdtemp(join(tmpdir(), 'restored-'))
after(() => rm(folder, { recursive: true }))

const command = (n: number, over: Partial<CommandRow>): CommandRow => ({
  id: n.toString(16).padStart(32, '0'),
  device,
  waiting: null,
  name: 'unlock',
  data: 'null',
  expiresAt: now + 60_000,
  state: 'answered',
  reason: null,
  result: null,
  resultType: null,
  actor: 'operator',
  createdAt: now,
  deliveredAt: null,
  endedAt: null,
  ...over,
})

const session = (holder: string): MqttSessionRow => ({
  id: `${holder} x`,
  holder,
  clientId: 'x',
  subscriptions: '[]',
  received: '[1]',
  position: 7,
  expiryMs: 60_000,
  leftAt: now,
  createdAt: now,
})

it('a restored store gives out no command that may have been done, and devices begin anew', async () => {
  const store = await openSqliteStore(join(folder, 'store.db'), { clock: { now: () => now } })
  const waiting = command(1, { state: 'queued', waiting: device })
  const rows = [waiting, command(2, {}), command(3, { state: 'delivered', deliveredAt: now })]
  await store.apply({
    writes: [
      ...rows.map((row) => ({ kind: 'insert', table: 'command', row }) as const),
      { kind: 'insert', table: 'mqttSession', row: session(device) },
      { kind: 'insert', table: 'mqttSession', row: session('app-1') },
      { kind: 'insert', table: 'coapContext', row: coapContextRow('010203') },
    ],
  })
  assert.deepEqual(await forgetWhatMovedOn(store, now), { commands: 1, sessions: 1, contexts: 1 })
  assert.deepEqual(await store.find('command', 'waiting', device), [])
  const ended = await store.get('command', waiting.id)
  assert.equal(ended?.state, 'refused')
  assert.equal(ended?.reason, 'the house was restored from a backup')
  assert.equal((await store.get('command', rows[2]?.id ?? ''))?.state, 'delivered')
  const left = await store.scan('mqttSession', { limit: 9 })
  assert.deepEqual(
    left.map(({ holder }) => holder),
    ['app-1'],
  )
  assert.deepEqual(await store.scan('coapContext', { limit: 9 }), [])
  assert.deepEqual(await forgetWhatMovedOn(store, now), { commands: 0, sessions: 0, contexts: 0 })
  await store.close()
})
