import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { MqttSessionRow, Notices } from '../../../src/ports.ts'
import { ManualClock, ManualTimers } from '../../support/world.ts'
import type { TestDevice } from '../house.ts'
import type { MqttClient } from './client.ts'
import { Held, MqttHouse, storesMessage, topicOf } from './house.ts'

const day = 86_400_000

const kept = (
  seconds: number,
): { readonly clean: false; readonly properties: { readonly sessionExpiryInterval: number } } => ({
  clean: false,
  properties: { sessionExpiryInterval: seconds },
})

describe('a session', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
  })
  beforeEach(async () => {
    device = await house.device()
  })
  after(() => house.close())

  const commands = (): string => topicOf(device, 'commands/#')
  const of = async (holder: string): Promise<readonly MqttSessionRow[]> =>
    (await house.sessions()).filter((row) => row.holder === holder)
  const left = (holder: string = device.row.id, but = ''): Promise<void> =>
    house.until(async () =>
      (await of(holder)).every(({ leftAt, clientId }) => leftAt !== null || clientId === but),
    )

  /** Connects, and says whether the session was there. */
  async function back(
    id: string,
    version: 4 | 5,
    more: Parameters<MqttClient['connect']>[1],
  ): Promise<{ readonly client: MqttClient; readonly isPresent: boolean }> {
    const client = house.client(device, version)
    const { sessionPresent } = await client.connect(id, more)
    return { client, isPresent: sessionPresent }
  }

  for (const version of [4, 5] as const)
    it(`keeps its subscriptions across connections, a crash and a restart, over version ${version}`, async () => {
      const more = version === 5 ? kept(3600) : { clean: false }
      let { client, isPresent } = await back('x', version, more)
      assert.equal(isPresent, false)
      await client.subscribe([commands(), topicOf(device, 'other')])
      client.send({
        cmd: 'unsubscribe',
        messageId: 99,
        unsubscriptions: [topicOf(device, 'other')],
      })
      await client.next('unsuback')
      for (const between of [
        () => client.vanish(),
        () => client.leave(),
        () => house.crash(),
        () => house.restart(),
      ]) {
        await between()
        ;({ client, isPresent } = await back('x', version, more))
        assert.equal(isPresent, true)
        const command = await house.command(device, 'go')
        const { topic } = await client.take()
        assert.equal(topic, topicOf(device, 'commands/go'))
        await house.until(async () => (await house.stateOf(command)) === 'delivered')
      }
      await client.leave()
    })

  it('is there in CONNACK only when it was kept, and gone after a clean start', async () => {
    for (const version of [4, 5] as const) {
      const more = version === 5 ? kept(3600) : { clean: false }
      const id = `v${version}`
      await (await back(id, version, more)).client.leave()
      const again = await back(id, version, more)
      assert.equal(again.isPresent, true)
      await again.client.subscribe(commands())
      await again.client.leave()
      const clean = await back(id, version, { clean: true })
      assert.equal(clean.isPresent, false)
      await clean.client.leave()
      const anew = await back(id, version, more)
      assert.equal(anew.isPresent, false)
      await house.command(device, 'nobody')
      await anew.client.ping()
      await anew.client.leave()
    }
  })

  it('of MQTT 5 with a clean start and an expiry is new and kept', async () => {
    const first = await back('x', 5, { ...kept(60), clean: true })
    await first.client.leave()
    const second = await back('x', 5, { ...kept(60), clean: true })
    assert.equal(second.isPresent, false)
    await second.client.leave()
    assert.equal((await back('x', 5, kept(60))).isPresent, true)
  })

  it('of MQTT 5 without an expiry ends with its connection, clean start or not', async () => {
    const first = await back('x', 5, { clean: false })
    await first.client.subscribe(commands())
    await first.client.leave()
    assert.equal((await back('x', 5, { clean: false })).isPresent, false)
    assert.deepEqual(await of(device.row.id), [])
  })

  it('expires by the clock after it was left, and not before', async () => {
    for (const [version, more, expiryMs] of [
      [5, kept(100), 100_000],
      [4, { clean: false }, 7 * day],
    ] as const) {
      const { client } = await back('x', version, more)
      house.timers.advance(200_000)
      await client.leave()
      await left()
      house.house.clock.time += expiryMs - 1
      const inTime = await back('x', version, more)
      assert.equal(inTime.isPresent, true)
      await inTime.client.leave()
      await left()
      house.house.clock.time += expiryMs
      assert.equal((await back('x', version, more)).isPresent, false)
      const clean = await back('x', version, { clean: true })
      await clean.client.leave()
    }
  })

  it('is kept for seven days at most, and CONNACK says so', async () => {
    const client = house.client(device)
    const { properties } = await client.connect('x', kept(0xffff_ffff))
    assert.equal(properties?.sessionExpiryInterval, 7 * 86_400)
    await client.leave()
    const shorter = house.client(device)
    const connack = await shorter.connect('x', kept(60))
    assert.equal(connack.properties?.sessionExpiryInterval, undefined)
    await shorter.leave()
  })

  it('is given another expiry by DISCONNECT, also none', async () => {
    const application = await house.application()
    for (const [who, holder] of [
      [device, device.row.id],
      [application, application.id],
    ] as const) {
      const client = await house.enter(who, 'x', 5, kept(3600))
      await client.leave(0, { sessionExpiryInterval: 10 })
      await left(holder)
      house.timers.advance(10_000)
      const late = house.client(who)
      assert.equal((await late.connect('x', kept(3600))).sessionPresent, false)
      await late.leave(0, { sessionExpiryInterval: 0 })
      const gone = house.client(who)
      assert.equal((await gone.connect('x', kept(10))).sessionPresent, false)
      await gone.leave(0, { sessionExpiryInterval: 3600 })
      await left(holder)
      house.timers.advance(3_599_000)
      const inTime = house.client(who)
      assert.equal((await inTime.connect('x', kept(10))).sessionPresent, true)
      await inTime.leave()
      // MQTT 5 §3.14.2.2.2.
      const short = await house.enter(who, 'y')
      short.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 5 } })
      assert.equal(await short.ended(), 0x82)
    }
  })

  it('is forgotten some time after it has expired', async () => {
    const { client } = await back('x', 5, kept(10))
    await client.leave()
    await left()
    assert.equal((await of(device.row.id)).length, 1)
    house.timers.advance(3_600_000)
    await house.until(async () => (await of(device.row.id)).length === 0)
  })

  it('is one of few of its device: the one left longest ago makes room', async () => {
    const most = house.limits.sessionsPerHolderMax
    const inside = await back('inside', 5, kept(3600))
    for (let n = 0; n < most + 4; n++) {
      const { client } = await back(`s-${n}`, 5, kept(3600))
      await client.leave()
      house.house.clock.time += 1
      await left(device.row.id, 'inside')
    }
    const mine = await of(device.row.id)
    assert.equal(mine.length, most)
    const names = mine.map(({ clientId }) => clientId)
    assert.ok(names.includes('inside') && names.includes(`s-${most + 3}`))
    assert.equal(names.includes('s-0'), false)
    await inside.client.subscribe(commands())
  })

  for (const first of ['back', 'new'] as const)
    it(`that is to make room while its device comes back to it is lost to neither (${first} first)`, async () => {
      const most = house.limits.sessionsPerHolderMax
      for (let n = 0; n < most; n++) {
        const { client } = await back(`r-${n}`, 5, kept(3600))
        await client.leave()
        await left()
        house.house.clock.time += 1
      }
      // What each of them writes, they have read before the other one writes.
      const held = new Held(house)
      const coming = back('r-0', 5, kept(3600))
      await held.atLeast(1)
      const fresh = back('fresh', 5, kept(3600))
      await held.atLeast(2)
      held.release(first === 'back' ? 0 : 1)
      await house.rest()
      held.end()
      const both = [await coming, await fresh]
      assert.equal(both[0]?.isPresent, first === 'back')
      for (const { client } of both) assert.deepEqual(await client.subscribe(commands()), [1])
      const names = (await of(device.row.id)).map(({ clientId }) => clientId)
      assert.ok(names.includes('r-0') && names.includes('fresh') && names.length === most)
      for (const { client } of both) await client.leave()
    })

  it('whose subscription cannot be written says so by ending the connection', async () => {
    const { client } = await back('x', 5, kept(3600))
    house.gate = () => Promise.reject(new Error('the disk is full'))
    const subscriptions = [{ topic: commands(), qos: 1 as const }]
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    assert.equal(await client.ended(), 0x89)
    house.gate = undefined
    const again = await back('x', 5, kept(3600))
    await house.command(device, 'go')
    await again.client.ping()
    assert.deepEqual(await again.client.subscribe(commands()), [1])
    await again.client.take()
  })
})

describe('a door that closes', () => {
  it('acknowledges what it has taken, says that it goes, and leaves nothing behind', async (t) => {
    const timers = new ManualTimers(new ManualClock())
    const listeners = new Set<unknown>()
    const notices: Notices = {
      tell: () => undefined,
      listen: (listener) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
    }
    const house = await MqttHouse.create({ parts: { timers, notices } })
    t.after(() => house.close())
    assert.equal(listeners.size, 2)
    const [device, application] = [await house.device(), await house.application()]
    const { door } = house
    assert.equal(timers.count, 2)
    const more = { clean: false, properties: { sessionExpiryInterval: 60 } }
    const reader = await house.enter(application, 'r', 5, more)
    await reader.subscribe('devices/#')
    const clients = [await house.enter(device, 'five'), await house.enter(device, 'four', 4)]
    const silent = house.client(device)
    await silent.secure
    const held = new Held(house, storesMessage)
    for (const client of clients) client.publish(topicOf(device, 'last'), 'x')
    await held.atLeast(2)
    const closing = door.close(60_000)
    await house.rest()
    for (const client of clients) assert.deepEqual(client.unread, [])
    const late = house.client(device)
    assert.equal(await late.secure, false)
    held.end()
    for (const client of clients) await client.next('puback')
    assert.deepEqual([await clients[0]?.ended(), await clients[1]?.ended()], [0x8b, undefined])
    await silent.closed
    await closing
    assert.equal((await house.messages(device)).length, 2)
    assert.equal(timers.count, 0)
    assert.equal(listeners.size, 0)
    await door.close(1)
  })

  it('does not wait for ever for a store that does not answer', async (t) => {
    const house = await MqttHouse.create()
    t.after(() => house.close())
    const device = await house.device()
    const client = await house.enter(device, 'x')
    const held = new Held(house, storesMessage)
    client.publish(topicOf(device, 'a'), 'x')
    await held.atLeast(1)
    const closing = house.door.close(500)
    await house.rest()
    house.timers.advance(500)
    await client.closed
    held.end()
    await closing
  })
})
