import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { PeerError } from '@countersign/core/errors'
import { destinationOf } from '../../../src/frontend/mqtt/topics.ts'
import { topicBytesMax } from '../../../src/frontend/topic.ts'
import type { TestDevice } from '../house.ts'
import { MqttHouse, topicOf } from './house.ts'

/** `@` stands for `devices/<the device's own EUI-64>`. */
const foreign = [
  'a',
  '/',
  '/@/a',
  'devices',
  '@',
  'devices/0123456789abcdef/a',
  'DEVICES/a',
  'devices/ /a',
  '$SYS/broker/uptime',
  '$share/g/@/a',
  'events/a',
  '@/commands/reboot',
  '@/commands',
  '@/commands/a/b',
] as const
const malformed = [
  '@/',
  '@//a',
  '@/a/',
  '@/a//b',
  '@/./a',
  '@/a/..',
  '@/a b',
  '@/$a',
  '@/ä',
  '@/\u0001',
  '@/results',
  '@/results/a',
  '@/results/00000000000000000000000000000000/other',
  '@/results/00000000000000000000000000000000/refused/a',
  `@/${'x'.repeat(topicBytesMax + 1)}`,
  `@/${'x'.repeat(65_000)}`,
  `@/${'s/'.repeat(16)}s`,
  `@/${'/'.repeat(60_000)}`,
] as const

describe('a topic', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
  })
  beforeEach(async () => {
    device = await house.device()
    house.forgive()
  })
  after(() => house.close())

  const own = (topic: string): string => topic.replace('@', `devices/${device.row.eui64}`)

  it('of the device’s own is taken as far as it goes', async () => {
    const client = await house.enter(device, 'x')
    const topics = [
      'a',
      'a/b',
      'A.b_c~d-9',
      '...',
      'x'.repeat(topicBytesMax),
      's/'.repeat(15) + 's',
    ]
    for (const topic of topics) await client.deliver(topicOf(device, topic), 'x')
    assert.deepEqual(
      (await house.said(device)).map(([topic]) => topic),
      topics,
    )
  })

  it('of a result that names no command is told how one is written', () => {
    const eui64 = '0200000000000001'
    const hints = ['results/x', 'a//b'].map((rest) => {
      try {
        return destinationOf(`devices/${eui64}/${rest}`, eui64)
      } catch (error) {
        return error instanceof PeerError && error.code === 'ERR_TOPIC' ? error.hint : error
      }
    })
    assert.match(String(hints[0]), /results\/<the command's id>.*refused/)
    assert.match(String(hints[1]), /^For instance /)
  })

  it('that is not the device’s, or no topic, is refused under MQTT 5 and the connection stays', async () => {
    const client = await house.enter(device, 'x')
    for (const [topics, code] of [
      [foreign, 0x87],
      [malformed, 0x90],
    ] as const)
      for (const topic of topics)
        for (const qos of [1, 2] as const) {
          const messageId = client.publish(own(topic), 'x', { qos })
          const answer = await client.next(qos === 1 ? 'puback' : 'pubrec')
          const shown = topic.slice(0, 60)
          assert.deepEqual([answer.messageId, answer.reasonCode], [messageId, code], shown)
        }
    await client.deliver(own('@/still'), 'x')
    assert.deepEqual(await house.said(device), [['still', 'x']])
  })

  it('of a result that names no command is told how one is written', () => {
    const eui64 = '0200000000000001'
    const hints = ['results/x', 'a//b'].map((rest) => {
      try {
        return destinationOf(`devices/${eui64}/${rest}`, eui64)
      } catch (error) {
        return error instanceof PeerError && error.code === 'ERR_TOPIC' ? error.hint : error
      }
    })
    assert.match(String(hints[0]), /results\/<the command's id>.*refused/)
    assert.match(String(hints[1]), /^For instance /)
  })

  it('that is not the device’s, or no topic, ends the connection at QoS 0, and under 3.1.1', async () => {
    for (const [topic, code, refusal] of [
      ['devices/0123456789abcdef/a', 0x87, 'ERR_TOPIC_FOREIGN'],
      ['$SYS/a', 0x87, 'ERR_TOPIC_FOREIGN'],
      ['@/commands/reboot', 0x87, 'ERR_TOPIC_FOREIGN'],
      ['@/a//b', 0x90, 'ERR_TOPIC'],
      [`@/${'x'.repeat(65_000)}`, 0x90, 'ERR_TOPIC'],
    ] as const) {
      house.forgive()
      const five = await house.enter(device, 'five')
      five.publish(own(topic), 'x', { qos: 0 })
      assert.equal(await five.ended(), code)
      assert.equal(await house.lastRefusal(), refusal)
      for (const qos of [0, 1, 2] as const) {
        const four = await house.enter(device, 'four', 4)
        four.publish(own(topic), 'x', { qos })
        assert.equal(await four.ended(), undefined)
      }
    }
    assert.deepEqual(await house.messages(device), [])
  })

  it('that is refused says to the operator whose it was, and a long one not all of it', async () => {
    const client = await house.enter(device, 'x')
    client.publish(`devices/${'x'.repeat(60_000)}`, 'x')
    await client.next('puback')
    const refusal = (await house.refusals()).at(-1)
    assert.equal(refusal?.['subject'], device.row.id)
    assert.match(String(refusal?.['where']), /^publish: devices\/x{92}…$/)
    assert.ok(house.log.lines.every(({ fields }) => JSON.stringify(fields).length < 1000))
  })

  it('with a wildcard, an alias or nothing in it ends the connection', async () => {
    for (const [bytes, code] of [
      ['300500 01 23 00 78', 0x81],
      ['300500 01 2b 00 78', 0x81],
      ['3004 0000 00 78', 0x82],
      ['3007 0000 03 230001 78', 0x94],
      ['3008 000161 03 230001 78', 0x94],
    ] as const) {
      const client = await house.enter(device, 'x')
      client.write(Buffer.from(bytes.replaceAll(' ', ''), 'hex'))
      assert.equal(await client.ended(), code, bytes)
    }
  })

  it('filter of the device’s own is granted, and every other one refused by itself', async () => {
    const client = await house.enter(device, 'x')
    const filters = ['@/commands/#', '@/#', '@/commands/+', '@/anything', '@/+/+']
    assert.deepEqual(await client.subscribe(filters.map(own), 2), [1, 1, 1, 1, 1])
    assert.deepEqual(await client.subscribe(filters.map(own), 0), [0, 0, 0, 0, 0])
    const others = [
      '#',
      '+/+/commands/#',
      'devices/+/commands/#',
      'devices/#',
      '@',
      'devices/0123456789abcdef/#',
      '$SYS/#',
      'events/#',
    ]
    assert.deepEqual(await client.subscribe(others.map(own)), Array(8).fill(0x87))
    assert.equal(await house.lastRefusal(), 'ERR_TOPIC_FOREIGN')
    assert.deepEqual(await client.subscribe(own('$share/g/@/commands/#')), [0x9e])
    assert.deepEqual(await client.subscribe(['#', own('@/a')]), [0x87, 1])
    const old = await house.enter(device, 'y', 4)
    const mixed = ['#', own('@/a'), own('$share/g/@/commands/#'), '$SYS/#']
    assert.deepEqual(await old.subscribe(mixed), [0x80, 1, 0x80, 0x80])
  })

  it('filter that is none ends the connection', async () => {
    for (const filter of ['a#', 'a/#/b', 'a+', '$share/g']) {
      const client = await house.enter(device, 'x')
      const subscriptions = [{ topic: filter, qos: 1 as const }]
      // Checked by the encoder as well: the bytes are changed behind it.
      const bytes = Buffer.from(
        `82${(6 + filter.length).toString(16).padStart(2, '0')}000100`,
        'hex',
      )
      const name = Buffer.from(subscriptions[0]?.topic ?? '')
      client.write(Buffer.concat([bytes, Buffer.of(0, name.length), name, Buffer.of(1)]))
      assert.equal(await client.ended(), 0x81, filter)
    }
    const client = await house.enter(device, 'x')
    const subscriptions = [{ topic: own('@/a'), qos: 1 as const }]
    const properties = { subscriptionIdentifier: 7 }
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions, properties })
    assert.equal(await client.ended(), 0xa1)
  })

  it('filters are few for one session: one by one, and ten thousand in packets', async () => {
    const most = house.limits.subscriptionsMax
    for (const version of [4, 5] as const) {
      const tooMany = version === 5 ? 0x97 : 0x80
      const one = await house.enter(device, 'one', version)
      for (let n = 0; n < most; n++) assert.deepEqual(await one.subscribe(own(`@/${n}`)), [1])
      assert.deepEqual(await one.subscribe(own('@/more')), [tooMany])
      assert.deepEqual(await one.subscribe(own('@/0'), 0), [0])
      one.send({ cmd: 'unsubscribe', messageId: 1000, unsubscriptions: [own('@/0')] })
      await one.next('unsuback')
      assert.deepEqual(await one.subscribe(own('@/more')), [1])
      const many = await house.enter(device, 'many', version)
      let granted = 0
      for (let packet = 0; packet < 5; packet++) {
        const filters = Array.from({ length: 2000 }, (_, n) => own(`@/${packet}-${n}`))
        const codes = await many.subscribe(filters)
        granted += codes.filter((code) => code === 1).length
        assert.equal(codes.filter((code) => code === tooMany).length, 2000 - (packet ? 0 : most))
      }
      assert.equal(granted, most)
    }
  })

  it('filter longer than any topic is refused', async () => {
    const client = await house.enter(device, 'x')
    const long = own(`@/${'x'.repeat(house.limits.filterBytesMax)}`)
    assert.deepEqual(await client.subscribe([long, own(`@/${'x'.repeat(400)}`)]), [0x97, 1])
  })

  it('filter that was never subscribed to is unsubscribed from with a word', async () => {
    const client = await house.enter(device, 'x')
    await client.subscribe(own('@/a'))
    client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [own('@/a'), own('@/b')] })
    assert.deepEqual((await client.next('unsuback')).granted, [0, 0x11])
  })

  it('of 3.1.1 and its payload: JSON when it is JSON, else text, else octets', async () => {
    const client = await house.enter(device, 'x', 4)
    for (const body of ['{"a": 1}', 'hello', '', Buffer.of(0xff, 0xfe)])
      await client.deliver(own('@/a'), body)
    const shown = (await house.messages(device)).map(({ body }) => {
      const event = JSON.parse(body) as Record<string, unknown>
      return [event['datacontenttype'], event['data'] ?? event['data_base64']]
    })
    assert.deepEqual(shown, [
      ['application/json', { a: 1 }],
      ['text/plain; charset=utf-8', 'hello'],
      ['text/plain; charset=utf-8', ''],
      ['application/octet-stream', '//4='],
    ])
  })

  it('of MQTT 5 and what its properties promise', async () => {
    const client = await house.enter(device, 'x')
    const said = async (payload: string | Buffer, properties: object): Promise<number> => {
      client.publish(own('@/a'), payload, { properties })
      return (await client.next('puback')).reasonCode ?? 0
    }
    assert.equal(await said('{}', { contentType: 'application/json' }), 0)
    assert.equal(await said('{', { contentType: 'application/json' }), 0x99)
    assert.equal(await said('x', { contentType: 'nonsense' }), 0x99)
    assert.equal(await said(Buffer.of(0xff), { payloadFormatIndicator: true }), 0x99)
    for (const value of ['', '-1', '007', '1.5', '99999999999999999'])
      assert.equal(await said('x', number(value)), 0x99, value)
    assert.equal(await said('x', number('9999999999999999')), 0)
  })
})

function number(value: string): object {
  return { userProperties: { 'countersign-number': value } }
}
