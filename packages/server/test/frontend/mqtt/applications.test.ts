import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { TestDevice } from '../house.ts'
import type { MqttClient } from './client.ts'
import { MqttHouse, type TestApplication, topicOf } from './house.ts'

const kept = { clean: false, properties: { sessionExpiryInterval: 3600 } } as const

/** The next so many payloads, acknowledged. */
async function takes(reader: MqttClient, ...numbers: number[]): Promise<void> {
  for (const n of numbers) assert.equal(String((await reader.take()).payload), `${n}`)
}

describe('an application', () => {
  let house: MqttHouse
  let device: TestDevice
  let application: TestApplication
  let writer: MqttClient
  before(async () => {
    house = await MqttHouse.create()
  })
  beforeEach(async () => {
    device = await house.device()
    application = await house.application()
    writer = await house.enter(device, 'w')
    house.forgive()
  })
  after(() => house.close())

  const data = (): string => `devices/${device.row.eui64}/#`
  const write = (...numbers: number[]): Promise<void> =>
    numbers.reduce(
      (last, n) => last.then(() => writer.deliver(topicOf(device, 'n'), `${n}`)),
      Promise.resolve(),
    )
  async function hasNothingMore(reader: MqttClient): Promise<void> {
    await house.rest()
    await reader.ping()
    assert.deepEqual(reader.unread, [])
  }
  const position = async (): Promise<number | undefined> =>
    (await house.sessions()).find(({ holder }) => holder === application.id)?.position
  const cursor = async (): Promise<number> => {
    // Asked how far it is, then told to the store: each once a second.
    for (let n = 0; n < 3; n++) {
      house.timers.advance(1_000)
      await house.rest()
    }
    return (await house.house.store.get('application', application.id))?.cursor ?? -1
  }

  for (const version of [4, 5] as const)
    it(`reads data as they were sent, to the byte, over version ${version}`, async () => {
      const reader = await house.enter(application, 'r', version)
      assert.deepEqual(await reader.subscribe(data(), 2), [1])
      const long = Buffer.alloc(house.limits.messageBytesMax, 'ü')
      const bodies: readonly (readonly [body: Buffer, type: string | undefined])[] = [
        [Buffer.from('{ "a" :\r\n [1.50, 1e400, 12345678901234567890] }\n'), 'application/json'],
        [Buffer.from('{"data_base64":"x","data":{"subject":"y"}}'), undefined],
        [Buffer.from('"text \\u0000 \u2028 \u{1F600}"'), 'application/json; charset=utf-8'],
        [Buffer.from('two\r\nlines "quoted" \u0000\u0001'), 'text/plain'],
        [Buffer.alloc(0), undefined],
        [Buffer.alloc(0), 'application/octet-stream'],
        [Buffer.of(0xff, 0x00, 0xfe), undefined],
        [Buffer.from('{"a":1}'), 'application/octet-stream'],
        [Buffer.of(0xe4), 'text/plain; charset=iso-8859-1'],
        [long, 'text/plain'],
      ]
      for (const [body, contentType] of bodies) {
        const properties = contentType === undefined ? {} : { contentType }
        await writer.deliver(topicOf(device, 'a/b'), body, { properties })
        const { topic, payload, qos, properties: came } = await reader.take()
        assert.deepEqual([topic, qos], [topicOf(device, 'a/b'), 1])
        assert.ok(Buffer.from(payload).equals(body), `${contentType} ${String(payload)}`)
        if (version === 5 && contentType !== undefined) assert.equal(came?.contentType, contentType)
      }
    })

  it('reads of MQTT 5 the attributes as user properties', async () => {
    const reader = await house.enter(application, 'r')
    await reader.subscribe(data())
    const number = { userProperties: { 'countersign-number': '7', other: 'x' } }
    const properties = { contentType: 'application/json', ...number }
    await writer.deliver(topicOf(device, 'a'), '{"n":1}', { properties })
    const { properties: came } = await reader.take()
    const [row] = await house.messages(device)
    assert.deepEqual(
      {
        contentType: came?.contentType,
        format: came?.payloadFormatIndicator,
        user: { ...came?.userProperties },
      },
      {
        contentType: 'application/json',
        format: true,
        user: {
          specversion: '1.0',
          id: `${device.row.eui64}-7`,
          source: device.row.id,
          type: 'countersign.message',
          time: new Date(row?.time ?? 0).toISOString(),
          subject: 'a',
          road: 'mqtts',
          assurance: '0',
          credential: (await house.house.registry.certificatesOf(device.row.id))[0]?.x5t,
        },
      },
    )
  })

  it('reads whole events, also those that are no messages', async () => {
    const reader = await house.enter(application, 'r')
    await reader.subscribe(`events/${device.row.eui64}/#`)
    await write(1)
    const { topic, payload, properties } = await reader.take()
    assert.equal(topic, `events/${device.row.eui64}/n`)
    assert.equal(String(payload), (await house.messages(device))[0]?.body)
    assert.equal(properties?.contentType, 'application/cloudevents+json')
    await house.house.registry.suspend(device.row.id, 'lost')
    for (;;) {
      const event = await reader.take()
      if (event.topic.endsWith('$countersign.device.changed')) break
    }
    const houseReader = await house.enter(application, 'h')
    await houseReader.subscribe('events/house/#')
    await house.client(undefined).refusedWith(0x87)
    assert.equal((await houseReader.take()).topic, 'events/house/$countersign.refused')
  })

  it('at QoS 0 has what was sent to it', async () => {
    const reader = await house.enter(application, 'r', 5, kept)
    assert.deepEqual(await reader.subscribe(data(), 0), [0])
    await write(1, 2)
    for (const n of [1, 2]) {
      const { qos, payload, messageId } = await reader.next('publish')
      assert.deepEqual([qos, String(payload), messageId], [0, `${n}`, undefined])
    }
    await reader.vanish()
    const back = await house.enter(application, 'r', 5, kept)
    await write(3)
    assert.equal(String((await back.next('publish')).payload), '3')
  })

  it('begins a new session with the next message', async () => {
    await write(1, 2)
    const reader = await house.enter(application, 'r')
    await write(3)
    await reader.subscribe(data())
    await hasNothingMore(reader)
    await write(4)
    await takes(reader, 4)
  })

  it('goes on with a kept session where everything was acknowledged', async () => {
    const first = await house.enter(application, 'r', 5, kept)
    await first.subscribe(data())
    await write(1, 2, 3)
    await takes(first, 1, 2)
    await first.next('publish')
    await first.ping()
    await first.vanish()
    await write(4)
    const second = await house.enter(application, 'r', 5, kept)
    await takes(second, 3, 4)
    await second.ping()
    await second.leave()
    await write(5)
    await house.restart()
    writer = await house.enter(device, 'w')
    await write(6)
    const third = await house.enter(application, 'r', 5, kept)
    await takes(third, 5, 6)
    await hasNothingMore(third)
  })

  it('goes on behind what the house has forgotten', async () => {
    const reader = await house.enter(application, 'r', 5, kept)
    await reader.subscribe(data())
    await reader.leave()
    const { store, notices } = house.house
    const messages = Array.from({ length: 5 }, (_, n) => ({
      id: `forgotten-${n}`,
      source: device.row.id,
      type: 'countersign.session.opened',
      time: 0,
      body: '{}',
    }))
    const throughSeq = (await store.apply({ messages })).messageSeqs.at(-1) ?? 0
    notices.tell({ kind: 'messages', throughSeq })
    await store.trimMessages(throughSeq)
    const back = await house.enter(application, 'r', 5, kept)
    await write(7)
    await takes(back, 7)
    await hasNothingMore(back)
  })

  it('that was subscribed and has had nothing yet misses nothing by a crash', async () => {
    const reader = await house.enter(application, 'r', 5, kept)
    await reader.subscribe(data())
    await house.crash()
    writer = await house.enter(device, 'w')
    await write(1, 2)
    const back = await house.enter(application, 'r', 5, kept)
    await takes(back, 1, 2)
  })

  it('has after a crash what it had not acknowledged a while before', async () => {
    const reader = await house.enter(application, 'r', 5, kept)
    await reader.subscribe(data())
    await write(1, 2, 3)
    await takes(reader, 1, 2)
    await reader.next('publish')
    await reader.ping()
    const stood = await position()
    await house.until(async () => {
      house.timers.advance(house.limits.positionSaveMs)
      return (await position()) !== stood
    })
    await house.crash()
    const back = await house.enter(application, 'r', 5, kept)
    await takes(back, 3)
    await hasNothingMore(back)
  })

  it('acknowledges in any order, and has again what lies behind the first that is missing', async () => {
    const reader = await house.enter(application, 'r', 5, kept)
    await reader.subscribe(data())
    await write(1, 2, 3)
    const ids = [
      await reader.next('publish'),
      await reader.next('publish'),
      await reader.next('publish'),
    ].map(({ messageId = 0 }) => messageId)
    assert.equal(new Set(ids).size, 3)
    for (const n of [2, 0]) reader.send({ cmd: 'puback', messageId: ids[n] ?? 0 })
    reader.send({ cmd: 'puback', messageId: 999 })
    await reader.ping()
    await reader.vanish()
    const back = await house.enter(application, 'r', 5, kept)
    await takes(back, 2, 3)
  })

  it('has no more under way than it takes, whatever it subscribes to', async () => {
    const reader = await house.enter(application, 'r', 5, { properties: { receiveMaximum: 1 } })
    await reader.subscribe([data(), `events/${device.row.eui64}/n`])
    await write(1, 2)
    const topics: string[] = []
    for (let n = 0; n < 4; n++) {
      const { topic, messageId = 0 } = await reader.next('publish')
      await hasNothingMore(reader)
      topics.push(topic.split('/')[0] ?? '')
      reader.send({ cmd: 'puback', messageId })
    }
    assert.deepEqual(topics, ['devices', 'events', 'devices', 'events'])
    await hasNothingMore(reader)
    const many = await house.enter(application, 'm')
    await many.subscribe(data())
    const more = Array.from({ length: house.limits.sendMaximum + 10 }, (_, n) => n)
    await write(...more)
    for (let n = 0; n < house.limits.sendMaximum; n++) await many.next('publish')
    await hasNothingMore(many)
    for (let id = 1; id <= 10; id++) many.send({ cmd: 'puback', messageId: id })
    for (let n = 0; n < 10; n++) await many.next('publish')
  })

  it('is not sent what is longer than it takes', async () => {
    const reader = await house.enter(application, 'r', 5, {
      properties: { maximumPacketSize: 500 },
    })
    await reader.subscribe(data())
    await writer.deliver(topicOf(device, 'n'), 'x'.repeat(500))
    await write(1)
    await takes(reader, 1)
  })

  it('has one message once, however many of its filters match', async () => {
    const reader = await house.enter(application, 'r')
    const { eui64 } = device.row
    const filters = ['devices/#', `devices/${eui64}/+`, `devices/${eui64}/n`, '+/+/n', '#']
    await reader.subscribe(filters.slice(0, 3), 1)
    await reader.subscribe(`devices/${eui64}/n`, 0)
    await write(1)
    assert.equal((await reader.take()).qos, 1)
    await hasNothingMore(reader)
  })

  it('has two sessions that read for themselves', async () => {
    const [one, two] = [
      await house.enter(application, 'one', 5, kept),
      await house.enter(application, 'two', 4),
    ]
    for (const reader of [one, two]) await reader.subscribe(data())
    await write(1)
    await takes(one, 1)
    await one.leave()
    await write(2)
    await takes(two, 1, 2)
    const back = await house.enter(application, 'one', 5, kept)
    await takes(back, 2)
  })

  it('moves its cursor by what it has acknowledged, unless a webhook moves it', async () => {
    const reader = await house.enter(application, 'r')
    await reader.subscribe(data())
    await write(1, 2)
    const stood = await cursor()
    await takes(reader, 1)
    const { messageId = 0 } = await reader.next('publish')
    await reader.ping()
    const first = (await house.messages(device))[0]?.seq ?? 0
    assert.ok(stood < first)
    assert.equal(await cursor(), first)
    reader.send({ cmd: 'puback', messageId })
    await reader.ping()
    assert.ok((await cursor()) > first)

    await house.house.store.apply({
      writes: [
        {
          kind: 'update',
          table: 'application',
          key: application.id,
          set: { webhook: 'http://127.0.0.1:9/', webhookState: 'paused' },
        },
      ],
    })
    house.house.notices.tell({ kind: 'application', id: application.id })
    await house.rest()
    const stays = await cursor()
    await write(3)
    await takes(reader, 3)
    await reader.ping()
    assert.equal(await cursor(), stays)
  })

  it('subscribes to what there is for applications, and to nothing else', async () => {
    const reader = await house.enter(application, 'r')
    const own = ['#', '+/#', 'devices/+/temperature', 'events/#', 'devices', '+/+/+']
    assert.deepEqual(await reader.subscribe(own), Array(6).fill(1))
    await reader.leave()
    const stranger = await house.enter(application, 's')
    const others = ['$SYS/#', '$SYS/broker/uptime', 'a', 'device/#', '/devices/#', '$devices/#']
    assert.deepEqual(await stranger.subscribe(others), Array(6).fill(0x87))
    assert.equal(await house.lastRefusal(), 'ERR_TOPIC_FOREIGN')
    const line = house.log.lines.at(-1)
    assert.equal(line?.fields['hint'], 'It may read devices/… and events/….')
    assert.deepEqual(await stranger.subscribe('$share/g/devices/#'), [0x9e])
    const old = await house.enter(application, 'o', 4)
    assert.deepEqual(await old.subscribe(['$SYS/#', '$share/g/devices/#']), [0x80, 0x80])
  })

  it('publishes nothing: it is acknowledged and dropped, and so is its will', async () => {
    const will = { topic: topicOf(device, 'a'), payload: 'x', qos: 1 as const, retain: false }
    for (const version of [4, 5] as const) {
      const client = await house.enter(application, 'p', version, { will })
      for (const topic of [topicOf(device, 'a'), 'homeassistant/status', '$SYS/a'])
        for (const qos of [0, 1, 2] as const) await client.deliver(topic, 'x', { qos })
      await client.vanish()
    }
    await house.rest()
    assert.deepEqual(await house.messages(device), [])
  })

  it('unsubscribes, and what came meanwhile does not come later', async () => {
    const reader = await house.enter(application, 'r', 5, kept)
    await reader.subscribe(data())
    await write(1)
    await takes(reader, 1)
    reader.send({ cmd: 'unsubscribe', messageId: 50, unsubscriptions: [data()] })
    await reader.next('unsuback')
    await write(2)
    await hasNothingMore(reader)
    await reader.subscribe(data())
    await write(3)
    await takes(reader, 3)
  })

  it('that is judged again misses nothing of what came meanwhile', async () => {
    const reader = await house.enter(application, 'r')
    await reader.subscribe(data())
    for (let n = 0; n < 20; n++) {
      writer.publish(topicOf(device, 'n'), `${n}`)
      house.house.notices.tell({ kind: 'application', id: application.id })
      await takes(reader, n)
    }
  })

  it('that cannot be read for is told to come again', async (t) => {
    const reader = await house.enter(application, 'r')
    await reader.subscribe(data())
    const { store } = house.house
    const scan = t.mock.method(store, 'scan', () => Promise.reject(new Error('the disk is gone')))
    await write(1)
    assert.equal(await reader.ended(), 0x89)
    scan.mock.restore()
    await (await house.enter(application, 'r')).ping()
  })
})
