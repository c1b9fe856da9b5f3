import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { TestDevice } from '../house.ts'
import type { MqttClient } from './client.ts'
import { Held, MqttHouse, topicOf } from './house.ts'

const kept = { clean: false, properties: { sessionExpiryInterval: 3600 } } as const

describe('a client id', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
    device = await house.device()
  })
  after(() => house.close())

  it('is free text', async () => {
    for (const version of [4, 5] as const)
      for (const id of ['a', 'boiler room/2 ü€😀', ' ', '#', '../x', 'x'.repeat(128)]) {
        const client = await house.enter(device, id, version)
        await client.ping()
        await client.leave()
      }
  })

  it('that is empty is given by the server, and the same is never given twice', async () => {
    const given = new Set<string | undefined>()
    for (let n = 0; n < 3; n++) {
      const client = house.client(device)
      const { properties } = await client.connect('')
      assert.match(properties?.assignedClientIdentifier ?? '', /^auto-[0-9a-f]{24}$/)
      given.add(properties?.assignedClientIdentifier)
      await client.leave()
    }
    assert.equal(given.size, 3)
    const stays = house.client(device)
    // Clean Start 0, Session Expiry Interval 60: MQTT 5 §3.1.3.1 allows it.
    stays.write(Buffer.from('101200044d5154540500000005110000003c0000', 'hex'))
    const { reasonCode, properties } = await stays.next('connack')
    assert.deepEqual([reasonCode, properties?.assignedClientIdentifier?.length], [0, 29])
    await stays.leave()
    const old = await house.enter(device, '', 4)
    await old.leave()
    const named = house.client(device)
    assert.equal((await named.connect('n')).properties?.assignedClientIdentifier, undefined)
    await named.leave()
  })

  it('that is empty in a session of 3.1.1 that is kept is refused', async () => {
    const client = house.client(device, 4)
    client.write(Buffer.from('100c00044d515454040000000000', 'hex'))
    assert.equal((await client.next('connack')).returnCode, 2)
    assert.equal(await client.ended(), undefined)
    assert.equal(await house.lastRefusal(), 'ERR_CLIENT_ID')
  })

  it('of more than 128 bytes is refused', async () => {
    await house.client(device, 4).refusedWith(2, 'x'.repeat(129))
    await house.client(device, 5).refusedWith(0x85, 'x'.repeat(129))
    await house.client(device, 5).refusedWith(0x85, '€'.repeat(43))
    await (await house.enter(device, '€'.repeat(42))).leave()
  })

  it('that names another device is refused, in whatever case', async () => {
    const { row } = await house.device()
    const { eui64, id } = row
    for (const name of [eui64, eui64.toUpperCase(), id, id.toUpperCase()]) {
      house.forgive()
      await house.client(device, 5).refusedWith(0x87, name)
      assert.equal(await house.lastRefusal(), 'ERR_CLIENT_ID_FOREIGN')
      await house.client(device, 4).refusedWith(5, name)
    }
  })

  it('that names the device itself, or nobody at all, is taken', async () => {
    const { eui64, id } = device.row
    for (const name of [
      eui64,
      eui64.toUpperCase(),
      id,
      '0123456789abcdef',
      `${eui64}0`,
      'urn:dev:mac:1',
    ])
      await (await house.enter(device, name)).leave()
  })

  it('means nothing outside its device: two devices and an application have the same', async () => {
    const [other, application] = [await house.device(), await house.application()]
    const clients = [
      await house.enter(device, 'same', 5, kept),
      await house.enter(other, 'same', 5, kept),
      await house.enter(application, 'same', 5, kept),
    ]
    for (const client of clients) await client.ping()
    const sessions = (await house.sessions()).filter(({ clientId }) => clientId === 'same')
    assert.deepEqual(
      new Set(sessions.map(({ holder }) => holder)),
      new Set([device.row.id, other.row.id, application.id]),
    )
    for (const client of clients) await client.leave()
  })
})

/** True: it came in; false: it was ended before. */
async function stay(client: MqttClient, more: object): Promise<boolean> {
  client.send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clean: true,
    keepalive: 0,
    clientId: 'storm',
    ...more,
  })
  const first = await client.any()
  return first?.cmd === 'connack' && first.reasonCode === 0
}

describe('a client that comes under an id that is connected', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
    device = await house.device()
  })
  after(() => house.close())

  it('takes over, and the one before it learns so under MQTT 5', async () => {
    const first = await house.enter(device, 'one')
    const second = await house.enter(device, 'one', 4)
    assert.equal(await first.ended(), 0x8e)
    await second.ping()
    const third = await house.enter(device, 'one')
    assert.equal(await second.ended(), undefined)
    await third.ping()
    await third.leave()
  })

  it('waits until what the one before it had sent is stored, and continues its session', async () => {
    const first = await house.enter(device, 'two', 5, kept)
    const held = new Held(house)
    const messageId = first.publish(topicOf(device, 'a'), 'late', { qos: 2 })
    await held.atLeast(1)
    const second = house.client(device)
    const connack = second.connect('two', kept)
    assert.equal(await first.ended(), 0x8e)
    await house.rest()
    assert.deepEqual(second.unread, [])
    held.end()
    assert.equal((await connack).sessionPresent, true)
    // It was stored, and is not stored again.
    second.publish(topicOf(device, 'a'), 'late', { qos: 2, messageId, dup: true })
    assert.equal((await second.next('pubrec')).messageId, messageId)
    await second.release(messageId)
    assert.deepEqual(await house.said(), [['a', 'late']])
    await second.leave()
  })

  it('fifty times at once leaves exactly one, and nothing of the others', async () => {
    for (const more of [{}, kept]) {
      const clients = Array.from({ length: 50 }, () => house.client(device))
      const ways = await Promise.all(clients.map((client) => stay(client, more)))
      await house.until(() => clients.filter(({ isOpen }) => isOpen).length === 1)
      const [living, ...more2] = clients.filter(({ isOpen }) => isOpen)
      assert.ok(living)
      assert.deepEqual(more2, [])
      assert.equal(ways[clients.indexOf(living)], true)
      await living.deliver(topicOf(device, 'storm'), 'x')
      const rows = (await house.sessions()).filter(({ clientId }) => clientId === 'storm')
      assert.deepEqual(
        rows.map(({ leftAt }) => leftAt),
        more === kept ? [null] : [],
      )
      await living.vanish()
      // The next one finds an empty seat.
      const next = await house.enter(device, 'storm')
      await next.ping()
      await next.leave()
    }
  })

  it('and is gone before it was in leaves the seat empty', async () => {
    const held = new Held(house)
    const ghost = house.client(device)
    const connack = ghost.connect('ghost', kept).catch(() => undefined)
    await held.atLeast(1)
    await ghost.vanish()
    assert.equal(await connack, undefined)
    const second = house.client(device)
    const inside = second.connect('ghost', kept)
    held.end()
    assert.equal((await inside).reasonCode, 0)
    await second.ping()
    await second.vanish()
    await house.until(async () => (await house.sessions()).every(({ leftAt }) => leftAt !== null))
  })

  it('whose session cannot be written is refused, and the next one comes in', async () => {
    const first = await house.enter(device, 'three', 5, kept)
    house.gate = () => Promise.reject(new Error('the disk is full'))
    await house.client(device).refusedWith(0x88, 'three', kept)
    house.gate = undefined
    assert.equal(await first.ended(), 0x8e)
    // Nobody is connected, whatever the row says.
    house.timers.advance(3_600_000)
    await house.until(async () => (await house.sessions()).every(({ leftAt }) => leftAt !== null))
    const next = await house.enter(device, 'three', 5, kept)
    await next.leave()
  })
})
