/**
 * What looks wrong and is allowed, what is left to the caller, and what a packet keeps of the bytes
 * that it was read from. What is refused: strict.test.ts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { userPropertiesMax } from '../../../src/frontend/mqtt/properties.ts'
import { hex, packetOf, read, refuses } from './support.ts'

const mqtt5 = '00 04 4d 51 54 54 05'
const ab = '00 03 61 2f 62'

test('a version that is not spoken is named, so that CONNACK can answer in its form', () => {
  for (const [body, level] of [
    ['00 06 4d 51 49 73 64 70 03 02 00 3c 00 01 61', 3],
    ['00 04 4d 51 54 54 06 02 00 3c', 6],
  ] as const) {
    const error = refuses(() => read(packetOf(0x10, hex(body)), undefined), 'ERR_MQTT_VERSION')
    assert.equal(error.details['level'], level)
  }
})

test('allowed: a password without a user name under MQTT 5 (§3.1.2.9)', () => {
  const packet = read(packetOf(0x10, hex(`${mqtt5} 42 00 00 00 00 01 61 00 01 70`)), undefined)
  assert.partialDeepStrictEqual(packet, { hasUserName: false, hasPassword: true })
})

test('allowed: an empty topic with an alias; what it means is for the session to say', () => {
  const packet = read(packetOf(0x30, hex('00 00 03 23 ff ff')), 5)
  assert.partialDeepStrictEqual(packet, { topic: '', properties: { topicAlias: 65_535 } })
})

test('allowed: control characters and non-characters, which MQTT 5 §1.5.4 leaves to us', () => {
  const packet = read(packetOf(0x30, hex('00 05 01 7f ef bf bf')), 4)
  assert.partialDeepStrictEqual(packet, { topic: '\u0001\u007f\uffff' })
})

test('allowed: under 3.1.1 $share is a name like any other', () => {
  const filter = '00 08 24 73 68 61 72 65 2f 2b'
  const packet = read(packetOf(0x82, hex(`00 01 ${filter} 00`)), 4)
  assert.ok(packet.type === 'subscribe')
  assert.deepEqual(packet.subscriptions, [{ filter: '$share/+', qos: 0 }])
})

test('allowed: the greatest subscription identifier, 268,435,455', () => {
  const packet = read(packetOf(0x82, hex(`00 01 05 0b ff ff ff 7f ${ab} 00`)), 5)
  assert.partialDeepStrictEqual(packet, { properties: { subscriptionIdentifier: 268_435_455 } })
})

test('user properties keep their order, may repeat, and their names stay values', () => {
  const user = `
    26 00 01 6b 00 01 32
    26 00 09 5f 5f 70 72 6f 74 6f 5f 5f 00 01 31
    26 00 01 6b 00 00
  `
  const packet = read(packetOf(0x30, hex(`${ab} 1c ${user}`)), 5)
  assert.ok(packet.type === 'publish')
  assert.deepEqual(packet.properties, {
    user: [
      ['k', '2'],
      ['__proto__', '1'],
      ['k', ''],
    ],
  })
})

function manyUserProperties(count: number): Buffer {
  const properties = hex('26 00 00 00 00'.repeat(count))
  const length = Buffer.of((properties.length & 127) | 128, properties.length >> 7)
  return packetOf(0x30, Buffer.concat([hex(ab), length, properties]))
}

test(`a packet may have ${userPropertiesMax} user properties, and not one more`, () => {
  assert.equal(userPropertiesMax, 64)
  const packet = read(manyUserProperties(64), 5)
  assert.ok(packet.type === 'publish' && packet.properties.user?.length === 64)
  refuses(() => read(manyUserProperties(65), 5), 'ERR_MQTT_TOO_LARGE', 'publish.user')
})

test('what is kept for long is no view of the chunk; the payload of PUBLISH is', () => {
  const connect = packetOf(
    0x10,
    hex(`${mqtt5} 06 00 00 00 00 01 61 05 09 00 02 01 02 ${ab} 00 02 68 69`),
  )
  const packet = read(connect, undefined)
  const publish = packetOf(0x30, hex(`${ab} 05 09 00 02 01 02 68 69`))
  const message = read(publish, 5)
  connect.fill(0)
  publish.fill(0)
  assert.ok(packet.type === 'connect' && message.type === 'publish')
  assert.deepEqual(packet.will?.payload, Buffer.from('hi'))
  assert.deepEqual(packet.will?.properties.correlationData, Uint8Array.of(1, 2))
  assert.deepEqual(message.properties.correlationData, Uint8Array.of(1, 2))
  assert.deepEqual(message.payload, Buffer.alloc(2))
})
