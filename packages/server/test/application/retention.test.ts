import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Cursors } from '../../src/application/cursors.ts'
import { applicationLimits } from '../../src/application/limits.ts'
import { Retention } from '../../src/application/retention.ts'
import type { MqttSessionRow } from '../../src/ports.ts'
import { ApplicationHouse } from './house.ts'

describe('messages are kept', () => {
  let house: ApplicationHouse
  let cursors: Cursors
  let retention: Retention
  const limits = { ...applicationLimits, messagesMax: 10 }

  beforeEach(async () => {
    house = await ApplicationHouse.create()
    const { store, timers, log, clock } = house
    cursors = new Cursors(store, timers, log, limits.cursorSaveMs)
    retention = new Retention({ store, cursors, clock, log, limits })
  })
  afterEach(() => house.dispose())

  const kept = async (): Promise<number[]> =>
    (await house.store.scan('message', { limit: 100 })).map(({ seq }) => seq)

  it('for the named time although every application has had them', async () => {
    cursors.load('app', 0)
    await house.send(3)
    cursors.advance('app', 3)
    await retention.run()
    assert.deepEqual(await kept(), [1, 2, 3])
    house.clock.time += limits.keptMs / 2
    await house.send(1)
    house.clock.time += limits.keptMs / 2 + 1
    cursors.advance('app', 4)
    await retention.run()
    assert.deepEqual(await kept(), [4])
    assert.equal(retention.head, 4)
  })

  it('beyond that time for an application that has not had them', async () => {
    cursors.load('app', 0)
    cursors.load('other', 0)
    await house.send(3)
    cursors.advance('app', 3)
    cursors.advance('other', 1)
    house.clock.time += limits.keptMs + 1
    await retention.run()
    assert.deepEqual(await kept(), [2, 3])
  })

  it('for an MQTT session that is kept and has not had them, until it has expired', async () => {
    cursors.load('app', 0)
    await house.send(3)
    cursors.advance('app', 3)
    const expiryMs = 3 * limits.keptMs
    const row: MqttSessionRow = {
      id: 'app desk',
      holder: 'app',
      clientId: 'desk',
      subscriptions: '[["devices/#",1]]',
      received: '[]',
      position: 1,
      expiryMs,
      leftAt: house.clock.time,
      createdAt: 0,
    }
    await house.store.apply({ writes: [{ kind: 'insert', table: 'mqttSession', row }] })
    house.clock.time += limits.keptMs + 1
    await retention.run()
    assert.deepEqual(await kept(), [2, 3])
    house.clock.time += expiryMs
    await retention.run()
    assert.deepEqual(await kept(), [])
  })

  it('until there are too many: the oldest go, and the audit log says so', async () => {
    cursors.load('app', 0)
    await house.send(13)
    cursors.advance('app', 1)
    await retention.run()
    assert.deepEqual(await kept(), [4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
    const events = await house.store.find('event', 'subject', 'messages')
    assert.deepEqual(
      events.map(({ type, data }) => [type, JSON.parse(data)]),
      [['messages.dropped', { first: 2, last: 3, kept: 10 }]],
    )
  })

  it('and the newest is found whatever was dropped before', async () => {
    for (const count of [1, 1, 5, 30]) {
      await house.send(count)
      await house.store.trimMessages(retention.head)
      const fresh = new Retention({
        store: house.store,
        log: house.log,
        clock: house.clock,
        cursors,
        limits,
      })
      await fresh.findHead()
      await retention.findHead()
      const all = await kept()
      assert.equal(fresh.head, all.at(-1))
      assert.equal(retention.head, all.at(-1))
    }
  })
})
