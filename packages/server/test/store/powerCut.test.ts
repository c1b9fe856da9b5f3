/**
 * The power goes at any moment. Killed processes: what was acknowledged is there, nothing is half
 * there, and the chain of events is whole. Cut and damaged logs, as a disk that lost its last
 * writes would leave them: the store opens to a prefix of the history. POWER_CUTS=<rounds> runs the
 * full number; SEED=<number> repeats one run.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Store } from '../../src/ports.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { verifyLog } from '../../src/store/verifyLog.ts'
import { seededNumbers } from '../support/seededNumbers.ts'
import { certificateRow, deviceRow, messageDraft, testTime } from './rows.ts'

const writer = fileURLToPath(new URL('./powerCutWriter.ts', import.meta.url))
const clock = { now: () => testTime }
const soak = Number(process.env['POWER_CUTS'] ?? 0)
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const page = 100_000

/** Everything of Change n or nothing of it, for every n; returns how many there are. */
async function wholeHistory(store: Store): Promise<number> {
  const devices = await store.scan('device', { limit: page })
  const count = devices.length
  assert.deepEqual(
    devices.map(({ id, state }) => `${id} ${state}`),
    Array.from({ length: count }, (_, n) => `${deviceRow(n).id} active`),
  )
  const serials = (await store.scan('certificate', { limit: page })).map(({ serial }) => serial)
  assert.deepEqual(
    serials,
    Array.from({ length: count }, (_, n) => certificateRow(n).serial),
  )
  const messages = await store.scan('message', { limit: page })
  assert.deepEqual(
    messages.map(({ source }) => source),
    devices.map(({ id }) => id),
  )
  assert.equal((await verifyLog(store)).entries, count)
  const setting = await store.get('setting', 'count')
  assert.equal(setting?.value ?? '0', String(count))
  return count
}

describe('a power cut', () => {
  let dir: string
  let file: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'countersign-power-'))
    file = join(dir, 'store.db')
  })
  afterEach(() => rm(dir, { recursive: true }))

  /**
   * Starts a writer and kills it after it acknowledged `acks` Changes and a little while; returns
   * the last acknowledged number.
   */
  const killAfter = async (acks: number, lanes: number, from: number): Promise<number> => {
    const child = spawn(process.execPath, [writer, file, String(lanes), String(from)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'close')
    let text = ''
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk: string) => {
      text += chunk
      if (text.split('\n').length > acks) child.kill('SIGKILL')
    })
    const [code, signal] = await ended
    assert.equal(signal, 'SIGKILL', `the writer ended by itself with ${code}`)
    // The last line may be cut: what is not wholly read was not acknowledged to us.
    const numbers = text.split('\n').slice(0, -1).map(Number)
    return Math.max(-1, ...numbers)
  }

  test(`a killed process loses nothing that it acknowledged (seed ${seed})`, async () => {
    const random = seededNumbers(seed)
    const rounds = soak > 0 ? soak : 8
    let count = 0
    for (let round = 0; round < rounds; round++) {
      // A log that was never brought home, one that was cut in the middle of that, and everything
      // between.
      const acks = random(round % 4 === 3 ? 900 : 40)
      const last = await killAfter(acks, 1 + random(12), count)
      const store = await openSqliteStore(file, { clock })
      count = await wholeHistory(store)
      assert.ok(count > last, `round ${round}: ${last} was acknowledged, ${count} are there`)
      await store.close()
      if (count > 3_000) {
        await rm(file)
        count = 0
      }
    }
  })

  test(`a log that was cut or damaged gives a prefix of the history (seed ${seed})`, async () => {
    const random = seededNumbers(seed + 1)
    const store = await openSqliteStore(file, { clock })
    await store.apply({
      writes: [{ kind: 'insert', table: 'setting', row: { name: 'count', value: '0' } }],
    })
    for (let n = 0; n < 60; n++)
      await store.apply({
        writes: [
          { kind: 'insert', table: 'device', row: deviceRow(n, { state: 'active' }) },
          { kind: 'insert', table: 'certificate', row: certificateRow(n) },
          { kind: 'update', table: 'setting', key: 'count', set: { value: String(n + 1) } },
        ],
        events: [{ time: 0, type: 'made', subject: `${n}`, actor: 'writer', data: '{}' }],
        messages: [messageDraft(deviceRow(n).id, 'hello')],
      })
    const base = await readFile(file)
    const log = await readFile(`${file}-wal`)
    await store.close()
    const copy = join(dir, 'copy.db')
    const open = async (bytes: Uint8Array): Promise<number> => {
      await rm(`${copy}-shm`, { force: true })
      await writeFile(copy, base)
      await writeFile(`${copy}-wal`, bytes)
      const damaged = await openSqliteStore(copy, { clock })
      try {
        return await wholeHistory(damaged)
      } finally {
        await damaged.close()
      }
    }
    assert.equal(await open(log), 60)
    let shorter = 0
    for (let round = 0; round < (soak > 0 ? soak : 60); round++) {
      const at = random(log.length)
      const bytes = round % 2 === 0 ? log.subarray(0, at) : Buffer.from(log)
      if (round % 2 === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 + random(255))
      const count = await open(bytes)
      assert.ok(count <= 60)
      if (count < 60) shorter++
    }
    assert.ok(shorter > 0, 'no cut took anything away: the test has no teeth')
  })

  test('a copy of the file without its log is the state of the last time it was brought home', async () => {
    const store = await openSqliteStore(file, { clock })
    await store.apply({ writes: [{ kind: 'insert', table: 'device', row: deviceRow(1) }] })
    const copy = join(dir, 'copy.db')
    await copyFile(file, copy)
    await store.close()
    const again = await openSqliteStore(copy, { clock })
    assert.deepEqual(await again.scan('device', { limit: 9 }), [])
    assert.equal((await verifyLog(again)).entries, 0)
    await again.close()
  })
})
