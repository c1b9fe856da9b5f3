import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { TestDevice } from '../house.ts'
import { Held, MqttHouse, storesMessage, topicOf } from './house.ts'

const kept = { clean: false, properties: { sessionExpiryInterval: 3600 } } as const
const full = new Error('the disk is full')

describe('a message', () => {
  let house: MqttHouse
  let device: TestDevice
  let topic: string
  before(async () => {
    house = await MqttHouse.create()
  })
  beforeEach(async () => {
    device = await house.device()
    topic = topicOf(device, 'a')
  })
  after(() => house.close())

  const data = async (): Promise<unknown[]> => (await house.said(device)).map(([, said]) => said)

  for (const version of [4, 5] as const)
    it(`of each quality of service is stored once, over version ${version}`, async () => {
      const client = await house.enter(device, 'x', version, { clean: false })
      for (const qos of [0, 1, 2] as const) await client.deliver(topic, `"${qos}"`, { qos })
      await house.until(async () => (await data()).length === 3)
      assert.deepEqual(await data(), ['0', '1', '2'])
    })

  it('is stored before it is acknowledged', async () => {
    const client = await house.enter(device, 'x')
    for (const qos of [1, 2] as const) {
      const held = new Held(house, storesMessage)
      const messageId = client.publish(topic, 'x', { qos })
      await held.atLeast(1)
      await client.ping()
      assert.deepEqual(client.unread, [])
      held.end()
      assert.equal((await client.next(qos === 1 ? 'puback' : 'pubrec')).messageId, messageId)
    }
  })

  for (const version of [4, 5] as const)
    it(`that cannot be stored is not acknowledged and ends the connection, over version ${version}; sent again it is one`, async () => {
      for (const qos of [1, 2] as const) {
        const client = await house.enter(device, 'x', version, kept)
        const held = new Held(house, storesMessage)
        const messageId = client.publish(topic, `"${qos}"`, { qos })
        await held.atLeast(1)
        held.end(full)
        assert.equal(await client.ended(), version === 5 ? 0x89 : undefined)
        const again = await house.enter(device, 'x', version, kept)
        await again.deliver(topic, `"${qos}"`, { qos, messageId, dup: true })
        await again.leave()
      }
      assert.deepEqual(await data(), ['1', '2'])
      assert.match(String(house.log.lines.at(-1)?.message), /was not stored: .*the disk is full/)
    })

  it('that was stored without its acknowledgement comes again as another, unless it has a number', async () => {
    const client = await house.enter(device, 'x')
    const number = { properties: { userProperties: { 'countersign-number': '7' } } }
    for (const more of [{}, number])
      for (let n = 0; n < 2; n++) await client.deliver(topic, 'x', { ...more, dup: n > 0 })
    assert.equal((await house.messages(device)).length, 3)
    const ids = (await house.messages(device)).map(({ id }) => id)
    assert.equal(ids[2], `${device.row.eui64}-7`)
  })

  it('is acknowledged in the order of coming, in whatever order it is stored', async () => {
    const client = await house.enter(device, 'x')
    const held = new Held(house, storesMessage)
    const ids = [1, 2, 1, 1].map((qos) => client.publish(topic, 'x', { qos: qos as 1 | 2 }))
    await held.atLeast(4)
    held.release(3)
    held.release(2)
    await client.ping()
    assert.deepEqual(client.unread, [])
    held.release(0)
    assert.equal((await client.next('puback')).messageId, ids[0])
    await client.ping()
    held.end()
    assert.equal((await client.next('pubrec')).messageId, ids[1])
    for (const id of ids.slice(2)) assert.equal((await client.next('puback')).messageId, id)
  })

  it('beyond Receive Maximum is not read before there is room, and none is lost', async () => {
    const client = house.client(device)
    const { properties } = await client.connect('x')
    const most = properties?.receiveMaximum ?? 0
    assert.equal(most, house.limits.receiveMaximum)
    const held = new Held(house, storesMessage)
    const count = 3 * most
    for (let n = 0; n < count; n++) client.publish(topic, `${n}`)
    await held.atLeast(most)
    await house.rest()
    assert.equal(held.count, most)
    held.end()
    for (let n = 1; n <= count; n++) assert.equal((await client.next('puback')).messageId, n)
    const numbers = Array.from({ length: count }, (_, n) => n)
    assert.deepEqual(await data(), numbers)
  })

  it('of QoS 2 that comes again before it is released is one', async () => {
    for (const version of [4, 5] as const) {
      const client = await house.enter(device, `v${version}`, version)
      const held = new Held(house, storesMessage)
      const messageId = client.publish(topic, 'x', { qos: 2 })
      client.publish(topic, 'x', { qos: 2, messageId, dup: true })
      await held.atLeast(1)
      client.publish(topic, 'x', { qos: 2, messageId })
      await client.ping()
      assert.equal(held.count, 1)
      held.end()
      for (let n = 0; n < 3; n++) assert.equal((await client.next('pubrec')).messageId, messageId)
      assert.equal(await client.release(messageId), 0)
      // Released, the identifier is free: this is another message.
      await client.deliver(topic, 'y', { qos: 2, messageId })
    }
    assert.deepEqual(await data(), ['x', 'y', 'x', 'y'])
  })

  it('of QoS 2 is one across connections, and across a crash and a restart of the server', async () => {
    for (const version of [4, 5] as const) {
      let client = await house.enter(device, `v${version}`, version, kept)
      const messageId = client.publish(topic, `"${version}"`, { qos: 2 })
      await client.next('pubrec')
      for (const between of [() => client.vanish(), () => house.crash(), () => house.restart()]) {
        await between()
        client = house.client(device, version)
        assert.equal((await client.connect(`v${version}`, kept)).sessionPresent, true)
        client.publish(topic, `"${version}"`, { qos: 2, messageId, dup: true })
        await client.next('pubrec')
      }
      await client.release(messageId)
      await house.crash()
      client = await house.enter(device, `v${version}`, version, kept)
      await client.deliver(topic, '"new"', { qos: 2, messageId })
    }
    assert.deepEqual(await data(), ['4', 'new', '5', 'new'])
  })

  it('of QoS 2 in a session that is not kept is forgotten with it', async () => {
    const first = await house.enter(device, 'x')
    const messageId = first.publish(topic, 'x', { qos: 2 })
    await first.next('pubrec')
    await first.vanish()
    const second = await house.enter(device, 'x')
    await second.deliver(topic, 'x', { qos: 2, messageId })
    assert.deepEqual(await data(), ['x', 'x'])
  })

  it('of QoS 2 that was not stored is not taken for stored because the next one was', async () => {
    const client = await house.enter(device, 'x', 5, kept)
    const held = new Held(house, storesMessage)
    const [first, second] = [
      client.publish(topic, '"first"', { qos: 2 }),
      client.publish(topic, '"second"', { qos: 2 }),
    ]
    await held.atLeast(2)
    held.release(0, full)
    held.end()
    assert.equal(await client.ended(), 0x89)
    await house.rest()
    const again = await house.enter(device, 'x', 5, kept)
    await again.deliver(topic, '"first"', { qos: 2, messageId: first, dup: true })
    await again.deliver(topic, '"second"', { qos: 2, messageId: second, dup: true })
    assert.deepEqual(await data(), ['first', 'second'])
  })

  it('that nobody knows of is released: MQTT 5 says so, 3.1.1 cannot', async () => {
    const five = await house.enter(device, 'five')
    assert.equal(await five.release(77), 0x92)
    const four = await house.enter(device, 'four', 4)
    await four.release(77)
    assert.deepEqual([...four.received.subarray(-4)], [0x70, 2, 0, 77])
  })

  it('of QoS 2 is released only when that is durable', async () => {
    const client = await house.enter(device, 'x', 5, kept)
    const messageId = client.publish(topic, 'x', { qos: 2 })
    await client.next('pubrec')
    const held = new Held(house)
    client.send({ cmd: 'pubrel', messageId })
    await held.atLeast(1)
    await client.ping()
    held.end(full)
    assert.equal(await client.ended(), 0x89)
    const again = await house.enter(device, 'x', 5, kept)
    assert.equal(await again.release(messageId), 0)
  })

  it('of QoS 2 that is never released ends the connection when there are too many', async (t) => {
    const other = await MqttHouse.create({ limits: { unreleasedMax: 5 } })
    t.after(() => other.close())
    device = await other.device()
    topic = topicOf(device, 'a')
    for (const version of [4, 5] as const) {
      const client = await other.enter(device, `v${version}`, version, kept)
      for (let n = 0; n < 5; n++) client.publish(topic, 'x', { qos: 2 })
      for (let n = 0; n < 5; n++) await client.next('pubrec')
      client.publish(topic, 'x', { qos: 2 })
      assert.equal(await client.ended(), version === 5 ? 0x93 : undefined)
      assert.equal(await other.lastRefusal(), 'ERR_MQTT_UNRELEASED')
      const again = await other.enter(device, `v${version}`, version, kept)
      await again.release(1)
      await again.deliver(topic, 'y', { qos: 2, messageId: 9 })
    }
  })

  it('of exactly the bound is stored, and one byte more is refused', async () => {
    const most = house.limits.messageBytesMax
    const client = await house.enter(device, 'x')
    await client.deliver(topic, Buffer.alloc(most, 'x'))
    for (const qos of [1, 2] as const) {
      client.publish(topic, Buffer.alloc(most + 1, 'x'), { qos })
      // 0x95 would be no code of theirs (MQTT 5 §3.4.2.1).
      assert.equal((await client.next(qos === 1 ? 'puback' : 'pubrec')).reasonCode, 0x97)
    }
    assert.equal(await house.lastRefusal(), 'ERR_MESSAGE_SIZE')
    assert.equal((await house.messages(device)).length, 1)
    const old = await house.enter(device, 'y', 4)
    old.publish(topic, Buffer.alloc(most + 1, 'x'))
    assert.equal(await old.ended(), undefined)
  })

  it('is no other for a retain flag, and the operator is told once for a connection', async () => {
    const told = (): number =>
      house.log.lines.filter(({ message }) => message.includes('not retained')).length
    for (const [n, version] of ([4, 5] as const).entries()) {
      const client = house.client(device, version)
      const { properties } = await client.connect(`v${version}`)
      assert.equal(properties?.retainAvailable, version === 5 ? false : undefined)
      for (let m = 0; m < 3; m++) await client.deliver(topic, 'x', { retain: true })
      assert.equal(told(), n + 1)
    }
    assert.equal((await house.messages(device)).length, 6)
    const application = await house.application()
    const reader = await house.enter(application, 'r')
    await reader.subscribe('devices/#')
    const writer = await house.enter(device, 'w')
    await writer.deliver(topic, 'y', { retain: true })
    assert.equal((await reader.take()).retain, false)
  })
})
