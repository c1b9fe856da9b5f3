import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, beforeEach, describe, it } from 'node:test'
import { Server, type TLSSocket } from 'node:tls'
import { type TestDevice, turn } from '../house.ts'
import { Held, MqttHouse, storesMessage, topicOf } from './house.ts'

describe('keep alive', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
  })
  beforeEach(async () => {
    device = await house.device()
  })
  after(() => house.close())

  for (const version of [4, 5] as const)
    it(`ends a connection that is silent for one and a half times as long, over version ${version}`, async () => {
      const client = await house.enter(device, 'x', version, { keepalive: 60 })
      house.timers.advance(90_000)
      await client.ping()
      for (let n = 0; n < 5; n++) {
        house.timers.advance(89_000)
        await client.ping()
      }
      house.timers.advance(90_000)
      assert.equal(client.isOpen, true)
      house.timers.advance(1 + house.limits.sweepMs)
      assert.equal(await client.ended(), version === 5 ? 0x8d : undefined)
    })

  it('of 0 allows any silence', async () => {
    const client = await house.enter(device, 'x', 4, { keepalive: 0 })
    house.house.clock.time += 2 * 86_400_000
    house.sweep()
    await client.ping()
  })

  it('runs from CONNACK, however long CONNECT has taken', async () => {
    const client = house.client(device)
    await client.secure
    await house.rest()
    house.timers.advance(house.limits.connectMsMax - 1_000)
    await client.connect('x', { keepalive: 2 })
    house.sweep()
    await client.ping()
    house.timers.advance(3_001 + house.limits.sweepMs)
    assert.equal(await client.ended(), 0x8d)
  })

  it('does not count what the server did not read', async () => {
    const client = await house.enter(device, 'x', 5, { keepalive: 2 })
    const held = new Held(house, storesMessage)
    for (let n = 0; n < house.limits.receiveMaximum; n++) client.publish(topicOf(device, 'a'), '1')
    await held.atLeast(house.limits.receiveMaximum)
    client.send({ cmd: 'pingreq' })
    house.timers.advance(60_000)
    held.end()
    for (let n = 0; n < house.limits.receiveMaximum; n++) await client.next('puback')
    house.timers.advance(2_000)
    await client.next('pingresp')
    await client.ping()
  })
})

describe('a device that sends faster than its product allows', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
    await house.house.registry.setProduct('default', { messagesPerMinute: 6 })
  })
  beforeEach(async () => {
    device = await house.device()
  })
  after(() => house.close())

  it('is read more slowly, and loses nothing', async () => {
    const client = await house.enter(device, 'x', 4, { keepalive: 5 })
    for (let n = 0; n < 10; n++) client.publish(topicOf(device, 'a'), `${n}`)
    for (let n = 0; n < 6; n++) await client.next('puback')
    for (let n = 6; n < 10; n++) {
      await house.timers.armed((ms) => ms === 10_000)
      await house.rest()
      assert.equal((await house.messages(device)).length, n)
      house.timers.advance(10_000)
      await client.next('puback')
    }
    assert.deepEqual(
      (await house.said(device)).map(([, data]) => data),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
    await client.ping()
  })

  it('and would have to wait too long is disconnected, and the operator reads why', async (t) => {
    const { registry } = house.house
    await registry.setProduct('default', { messagesPerMinute: 1 })
    t.after(() => registry.setProduct('default', { messagesPerMinute: 6 }))
    for (const version of [4, 5] as const) {
      device = await house.device()
      const client = await house.enter(device, 'x', version)
      await client.deliver(topicOf(device, 'a'), '1')
      client.publish(topicOf(device, 'a'), '2')
      assert.equal(await client.ended(), version === 5 ? 0x97 : undefined)
      const refusal = (await house.refusals()).at(-1)
      assert.deepEqual(
        [refusal?.['code'], refusal?.['subject']],
        ['ERR_MESSAGE_RATE', device.row.id],
      )
    }
  })

  it('and goes while it waits leaves no timer behind', async () => {
    const client = await house.enter(device, 'x')
    for (let n = 0; n < 6; n++) await client.deliver(topicOf(device, 'a'), `${n}`)
    const armed = house.timers.count
    client.publish(topicOf(device, 'a'), 'late')
    await house.until(() => house.timers.count > armed)
    // Under a hold its end is not seen before the door looks: another connection takes its place.
    const next = await house.enter(device, 'x')
    await client.ended()
    await house.until(() => house.timers.count === armed)
    house.timers.advance(60_000)
    await next.ping()
    assert.equal((await house.messages(device)).length, 6)
  })
})

describe('a door with as much in hand as it may have', () => {
  it('lets those who wait go on in turn, also when some of them have gone or have nothing to store', async (t) => {
    const house = await MqttHouse.create({ limits: { messagesInFlightMax: 1 } })
    t.after(() => house.close())
    const devices = [
      await house.device(),
      await house.device(),
      await house.device(),
      await house.device(),
    ] as const
    const clients = await Promise.all(devices.map((device) => house.enter(device, 'x')))
    const [first, gone, refused, last] = clients
    const held = new Held(house, storesMessage)
    first?.publish(topicOf(devices[0], 'a'), '"first"')
    await held.atLeast(1)
    for (const [n, client] of clients.entries()) {
      const device = devices[n]
      if (n === 0 || device === undefined) continue
      const topic = n === 2 ? 'devices/0123456789abcdef/a' : topicOf(device, 'a')
      client.publish(topic, '"x"')
      await house.rest()
    }
    await house.enter(devices[1], 'x')
    assert.equal(await gone?.ended(), 0x8e)
    held.end()
    await first?.next('puback')
    assert.equal((await refused?.next('puback'))?.reasonCode, 0x87)
    await last?.next('puback')
    assert.equal((await house.messages()).length, 2)
  })
})

/** The door shows its sockets to nobody; the library's server has them. */
const sockets: TLSSocket[] = []
const emit: unknown = Reflect.get(Server.prototype, 'emit')
Server.prototype.emit = function (this: Server, ...event: unknown[]): boolean {
  const [name, socket] = event
  if (name === 'secureConnection') sockets.push(socket as TLSSocket)
  return Boolean(Reflect.apply(emit as () => boolean, this, event))
} as Server['emit']

/** Bytes of the door that one of its sockets has not handed on. */
function unsent(): number {
  return sockets.reduce((most, { writableLength }) => Math.max(most, writableLength), 0)
}

describe('a peer that does not read', () => {
  let house: MqttHouse
  before(async () => {
    house = await MqttHouse.create()
    await house.house.registry.setProduct('default', { messagesPerMinute: 1_000_000 })
  })
  after(() => house.close())

  for (const version of [4, 5] as const)
    it(`as an application is sent no more than the named bytes, and cut off in time, over version ${version}`, async () => {
      const [device, application] = [await house.device(), await house.application()]
      const [writer, reader] = [
        await house.enter(device, 'w'),
        await house.enter(application, 'r', version),
      ]
      await reader.subscribe('devices/#', 0)
      reader.socket.pause()
      const payload = Buffer.alloc(60_000, 'x')
      let most = 0
      for (let n = 0; n < 300; n++) {
        await writer.deliver(topicOf(device, 'a'), payload)
        most = Math.max(most, unsent())
      }
      await house.rest()
      most = Math.max(most, unsent())
      assert.ok(most > house.limits.unsentBytesMax, `${most} bytes: it was not slow at all`)
      assert.ok(most < house.limits.unsentBytesMax + 200_000, `${most} bytes`)
      house.timers.advance(house.limits.stalledMsMax - 2 * house.limits.sweepMs)
      await turn()
      assert.equal(reader.socket.destroyed, false)
      const { overdue } = house.door.counters
      house.timers.advance(3 * house.limits.sweepMs)
      assert.ok(house.door.counters.overdue > overdue)
      reader.socket.resume()
      await reader.closed
      assert.ok(reader.unread.length < 300)
    })

  it('is sent no more of what had waited for it either', async () => {
    const [device, application] = [await house.device(), await house.application()]
    const [writer, kept] = [
      await house.enter(device, 'w'),
      { clean: false, properties: { sessionExpiryInterval: 3600 } },
    ]
    const first = await house.enter(application, 'r', 5, kept)
    await first.subscribe('devices/#', 0)
    await first.leave()
    const payload = Buffer.alloc(60_000, 'x')
    for (let n = 0; n < 250; n++) await writer.deliver(topicOf(device, 'a'), payload)
    const reader = await house.enter(application, 'r', 5, kept)
    reader.socket.pause()
    let most = 0
    for (let n = 0; n < 300; n++) {
      await turn()
      most = Math.max(most, unsent())
    }
    assert.ok(most > house.limits.unsentBytesMax, `${most} bytes: it was not slow at all`)
    assert.ok(most < house.limits.unsentBytesMax + 200_000, `${most} bytes`)
    await reader.vanish()
  })

  it('and reads again in time misses nothing', async () => {
    const [device, application] = [await house.device(), await house.application()]
    const [writer, reader] = [await house.enter(device, 'w'), await house.enter(application, 'r')]
    await reader.subscribe([`devices/${device.row.eui64}/#`, 'events/#'], 0)
    reader.socket.pause()
    const payload = 'x'.repeat(60_000)
    for (let n = 0; n < 200; n++) await writer.deliver(topicOf(device, `${n}`), payload)
    house.timers.advance(house.limits.stalledMsMax / 2)
    reader.socket.resume()
    const topics: string[] = []
    while (topics.length < 400) {
      const { topic } = await reader.next('publish')
      if (topic.includes(device.row.eui64) && !topic.includes('$')) topics.push(topic)
    }
    const expected = Array.from({ length: 200 }, (_, n) => [
      topicOf(device, `${n}`),
      `events/${device.row.eui64}/${n}`,
    ])
    assert.deepEqual(topics, expected.flat())
  })

  it('as a device that asks and asks is not read any more, and cut off in time', async () => {
    const device = await house.device()
    const client = await house.enter(device, 'x')
    client.socket.pause()
    const pings = Buffer.alloc(131_072, Buffer.of(0xc0, 0))
    // Written until the server takes no more: both kernels' buffers are full then.
    let isFull = false
    while (!isFull) {
      isFull = !client.socket.write(pings)
      if (isFull) isFull = !(await drained())
    }
    assert.ok(unsent() > 0)
    const { overdue } = house.door.counters
    house.timers.advance(house.limits.stalledMsMax + house.limits.sweepMs)
    assert.ok(house.door.counters.overdue > overdue)
    await client.vanish()

    async function drained(): Promise<boolean> {
      const drain = once(client.socket, 'drain').then(() => true)
      let wait: Promise<unknown> = Promise.resolve()
      for (let n = 0; n < 2_000; n++) wait = wait.then(turn)
      return await Promise.race([drain, wait.then(() => false)])
    }
  })
})
