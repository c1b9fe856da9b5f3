/**
 * What a server sends: bytes written out by hand from the OASIS standards, and the same bytes read
 * by mqtt-packet.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import {
  ack,
  connack,
  disconnect,
  pingresp,
  publish,
  suback,
  unsuback,
} from '../../../src/frontend/mqtt/write.ts'
import { foreign, says } from './foreign.ts'
import { hex } from './support.ts'

const message = {
  topic: 'a/b',
  payload: Buffer.from('hi'),
  qos: 1,
  dup: false,
  packetId: 10,
} as const

test('CONNACK of 3.1.1: session present, return code', () => {
  const accepted = connack({ version: 4, sessionPresent: true, code: 0 })
  assert.deepEqual(accepted, hex('20 02 01 00'))
  says(foreign(accepted, 4), { sessionPresent: true, returnCode: 0 })
  const refused = connack({ version: 4, sessionPresent: true, code: 5 })
  assert.deepEqual(refused, hex('20 02 00 05'), '[MQTT-3.2.2-4]: no session with a refusal')
})

test('CONNACK of 3.1.1 carries no properties', () => {
  const properties = { assignedClientId: 'x' }
  const bytes = connack({ version: 4, sessionPresent: false, code: 0, properties })
  assert.deepEqual(bytes, hex('20 02 00 00'))
})

test('CONNACK of MQTT 5 with every property', () => {
  const bytes = connack({
    version: 5,
    sessionPresent: true,
    code: 0,
    properties: {
      sessionExpiry: 3600,
      receiveMaximum: 20,
      retainAvailable: false,
      maximumPacketSize: 65_536,
      assignedClientId: 'a-7',
      topicAliasMaximum: 0,
      reasonString: 'ok',
      wildcardAvailable: true,
      subscriptionIdentifiersAvailable: false,
      sharedAvailable: false,
      serverKeepAlive: 60,
    },
  })
  const expected = hex(`
    20 29 01 00 26
    11 00 00 0e 10
    12 00 03 61 2d 37
    13 00 3c
    1f 00 02 6f 6b
    21 00 14
    22 00 00
    25 00
    27 00 01 00 00
    28 01
    29 00
    2a 00
  `)
  assert.deepEqual(bytes, expected)
  says(foreign(bytes, 5), {
    sessionPresent: true,
    reasonCode: 0,
    properties: {
      sessionExpiryInterval: 3600,
      receiveMaximum: 20,
      retainAvailable: false,
      maximumPacketSize: 65_536,
      assignedClientIdentifier: 'a-7',
      topicAliasMaximum: 0,
      reasonString: 'ok',
      wildcardSubscriptionAvailable: true,
      subscriptionIdentifiersAvailable: false,
      sharedSubscriptionAvailable: false,
      serverKeepAlive: 60,
    },
  })
})

test('CONNACK of MQTT 5 with a refusal has no session [MQTT-3.2.2-6]', () => {
  assert.deepEqual(connack({ version: 5, sessionPresent: true, code: 0x87 }), hex('20 03 00 87 00'))
})

test('PUBLISH of figures 3.11 and 3-9', () => {
  assert.deepEqual(publish({ version: 4, ...message }), hex('32 09 00 03 61 2f 62 00 0a 68 69'))
  assert.deepEqual(publish({ version: 5, ...message }), hex('32 0a 00 03 61 2f 62 00 0a 00 68 69'))
})

test('PUBLISH with QoS 0 has no packet identifier and no DUP [MQTT-2.2.1-2], [MQTT-3.3.1-2]', () => {
  const bytes = publish({ version: 4, ...message, qos: 0, dup: true, packetId: 0 })
  assert.deepEqual(bytes, hex('30 07 00 03 61 2f 62 68 69'))
})

test('PUBLISH of MQTT 5 with every property, again, to a topic in Unicode', () => {
  const bytes = publish({
    version: 5,
    topic: 'A\u{2a6d4}',
    payload: Buffer.from('{}'),
    qos: 2,
    dup: true,
    packetId: 0xffff,
    properties: {
      payloadFormat: 1,
      messageExpiry: 60,
      contentType: 't',
      responseTopic: 'r/s',
      correlationData: Uint8Array.of(1, 2),
      user: [
        ['k', 'v'],
        ['k', ''],
      ],
    },
  })
  const expected = hex(`
    3c 2f 00 05 41 f0 aa 9b 94 ff ff 23
    01 01
    02 00 00 00 3c
    03 00 01 74
    08 00 03 72 2f 73
    09 00 02 01 02
    26 00 01 6b 00 01 76
    26 00 01 6b 00 00
    7b 7d
  `)
  assert.deepEqual(bytes, expected)
  says(foreign(bytes, 5), {
    topic: 'A\u{2a6d4}',
    payload: Buffer.from('{}'),
    qos: 2,
    dup: true,
    retain: false,
    messageId: 0xffff,
    properties: {
      payloadFormatIndicator: true,
      messageExpiryInterval: 60,
      contentType: 't',
      responseTopic: 'r/s',
      correlationData: Buffer.of(1, 2),
      userProperties: Object.assign(Object.create(null), { k: ['v', ''] }),
    },
  })
})

test('PUBLISH of 3.1.1 carries no properties', () => {
  const bytes = publish({ version: 4, ...message, properties: { contentType: 'x' } })
  assert.deepEqual(bytes, publish({ version: 4, ...message }))
})

test('PUBLISH in each size of the remaining length (tables 2.4 and 1-1)', () => {
  for (const [length, digits] of [
    [122, '7f'],
    [123, '80 01'],
    [16_378, 'ff 7f'],
    [16_379, '80 80 01'],
    [2_097_146, 'ff ff 7f'],
    [2_097_147, '80 80 80 01'],
  ] as const) {
    const payload = Buffer.alloc(length, 7)
    const bytes = publish({ version: 4, ...message, qos: 0, payload })
    const header = hex(`30 ${digits} 00 03 61 2f 62`)
    assert.deepEqual(bytes.subarray(0, header.length), header)
    assert.ok(bytes.subarray(header.length).equals(payload))
  }
})

for (const [type, first] of [
  ['puback', '40'],
  ['pubrec', '50'],
  ['pubrel', '62'],
  ['pubcomp', '70'],
] as const) {
  test(`${type} in its shortest form, and with a reason where there are reasons`, () => {
    assert.deepEqual(ack(type, 0x1234, 4, 0), hex(`${first} 02 12 34`))
    assert.deepEqual(ack(type, 0x1234, 4, 0x92), hex(`${first} 02 12 34`))
    assert.deepEqual(ack(type, 0x1234, 5, 0), hex(`${first} 02 12 34`))
    const reason = type === 'puback' || type === 'pubrec' ? 0x87 : 0x92
    const bytes = ack(type, 0x1234, 5, reason)
    assert.deepEqual(bytes, hex(`${first} 03 12 34 ${reason.toString(16)}`))
    const read = foreign(bytes, 5)
    says(read, { cmd: type, messageId: 0x1234, reasonCode: reason })
  })
}

test('SUBACK of figures 3.26 and 3-24; 3.1.1 has one way to refuse [MQTT-3.9.3-2]', () => {
  assert.deepEqual(suback(10, 4, [0, 2, 0x80]), hex('90 05 00 0a 00 02 80'))
  assert.deepEqual(suback(10, 4, [1, 0x87]), hex('90 04 00 0a 01 80'))
  const bytes = suback(10, 5, [0, 1, 2, 0x87, 0x9e])
  assert.deepEqual(bytes, hex('90 08 00 0a 00 00 01 02 87 9e'))
  says(foreign(bytes, 5), { granted: [0, 1, 2, 0x87, 0x9e] })
})

test('UNSUBACK has codes under MQTT 5 only', () => {
  assert.deepEqual(unsuback(10, 4, [0, 0x11]), hex('b0 02 00 0a'))
  const bytes = unsuback(10, 5, [0, 0x11])
  assert.deepEqual(bytes, hex('b0 05 00 0a 00 00 11'))
  says(foreign(bytes, 5), { messageId: 10, granted: [0, 0x11] })
})

test('PINGRESP, and DISCONNECT of MQTT 5', () => {
  assert.deepEqual(pingresp(), hex('d0 00'))
  assert.deepEqual(disconnect(0), hex('e0 00'))
  assert.deepEqual(disconnect(0x8e), hex('e0 01 8e'))
  says(foreign(disconnect(0x8e), 5), { reasonCode: 0x8e })
})

const to = (more: object) => () => publish({ version: 5, ...message, ...more })

test('what cannot be encoded is refused and not bent', () => {
  const long = 'x'.repeat(65_536)
  const calls = {
    'a packet identifier of 0': to({ packetId: 0 }),
    'a packet identifier of 65536': () => ack('puback', 65_536, 4, 0),
    'a topic that is too long': to({ topic: long }),
    'a topic with U+0000': to({ topic: 'a\0' }),
    'a content type that is too long': to({ properties: { contentType: long } }),
    'a user property with U+0000': to({ properties: { user: [['a', '\0']] } }),
    'correlation data that are too long': to({
      properties: { correlationData: new Uint8Array(65_536) },
    }),
    'an expiry that is negative': to({ properties: { messageExpiry: -1 } }),
    'an expiry of more than four octets': to({ properties: { messageExpiry: 2 ** 32 } }),
    'a return code that 3.1.1 does not have': () =>
      connack({ version: 4, sessionPresent: false, code: 0x87 }),
  }
  for (const [what, call] of Object.entries(calls)) {
    assert.throws(
      call,
      (error) => error instanceof CallerError && error.code === 'ERR_MQTT_UNENCODABLE',
      what,
    )
  }
})

test('a string of 65,535 bytes is the longest (§1.5.4)', () => {
  const bytes = publish({ version: 4, ...message, qos: 0, topic: 'x'.repeat(65_535) })
  assert.deepEqual(bytes.subarray(0, 6), hex('30 83 80 04 ff ff'))
})

test('a lone surrogate is sent as U+FFFD: what goes out is well-formed [MQTT-1.5.4-1]', () => {
  const bytes = publish({ version: 4, ...message, qos: 0, topic: 'a\ud800' })
  assert.deepEqual(bytes, hex('30 08 00 04 61 ef bf bd 68 69'))
})
