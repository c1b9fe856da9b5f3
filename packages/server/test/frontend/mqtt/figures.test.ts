/**
 * Packets written out by hand from the figures and tables of the OASIS standards: MQTT 3.1.1 (29
 * October 2014) and MQTT 5 (7 March 2019).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex, packetOf, read } from './support.ts'

test('CONNECT of 3.1.1 figure 3.6, with the payload that its flags announce', () => {
  const bytes = hex(`
    10 2c
    00 04 4d 51 54 54   # MQTT
    04                  # level
    ce                  # user name, password, will QoS 1, will, clean session
    00 0a               # keep alive
    00 03 61 2d 37      # client identifier
    00 03 61 2f 62      # will topic
    00 04 67 6f 6e 65   # will message
    00 04 75 73 65 72   # user name
    00 0a 00 01 02 03 04 05 06 07 08 ff  # password: any bytes
  `)
  assert.deepEqual(read(bytes, undefined), {
    type: 'connect',
    version: 4,
    clean: true,
    keepAlive: 10,
    clientId: 'a-7',
    will: { topic: 'a/b', payload: Buffer.from('gone'), qos: 1, retain: false, properties: {} },
    hasUserName: true,
    hasPassword: true,
    properties: {},
  })
})

test('CONNECT of MQTT 5 figure 3-6', () => {
  const bytes = hex(`
    10 2f
    00 04 4d 51 54 54 05 ce 00 0a
    05 11 00 00 00 0a   # properties: session expiry interval 10
    00 00               # client identifier: the server gives one
    05 18 00 00 00 07   # will properties: will delay interval 7
    00 03 61 2f 62 00 04 67 6f 6e 65
    00 04 75 73 65 72
    00 04 70 61 73 73
  `)
  assert.deepEqual(read(bytes, undefined), {
    type: 'connect',
    version: 5,
    clean: true,
    keepAlive: 10,
    clientId: '',
    will: {
      topic: 'a/b',
      payload: Buffer.from('gone'),
      qos: 1,
      retain: false,
      properties: { willDelay: 7 },
    },
    hasUserName: true,
    hasPassword: true,
    properties: { sessionExpiry: 10 },
  })
})

for (const version of [4, 5] as const) {
  const none = version === 5 ? '00' : ''

  test(`PUBLISH of level ${version}: topic a/b, packet identifier 10 (figures 3.11 and 3-9)`, () => {
    const bytes = packetOf(0x3b, hex(`00 03 61 2f 62 00 0a ${none} 68 69`))
    assert.deepEqual(read(bytes, version), {
      type: 'publish',
      topic: 'a/b',
      payload: Buffer.from('hi'),
      qos: 1,
      retain: true,
      dup: true,
      packetId: 10,
      properties: {},
    })
  })

  test(`SUBSCRIBE of level ${version}: a/b with QoS 1, c/d with QoS 2 (figures 3.23, 3-21)`, () => {
    const bytes = packetOf(0x82, hex(`00 0a ${none} 00 03 61 2f 62 01 00 03 63 2f 64 02`))
    assert.deepEqual(read(bytes, version), {
      type: 'subscribe',
      packetId: 10,
      subscriptions: [
        { filter: 'a/b', qos: 1 },
        { filter: 'c/d', qos: 2 },
      ],
      properties: {},
    })
  })

  test(`UNSUBSCRIBE of level ${version}: a/b and c/d (figures 3.30, 3-28)`, () => {
    const bytes = packetOf(0xa2, hex(`00 0a ${none} 00 03 61 2f 62 00 03 63 2f 64`))
    const filters = ['a/b', 'c/d']
    assert.deepEqual(read(bytes, version), { type: 'unsubscribe', packetId: 10, filters })
  })

  test(`acknowledgements, PINGREQ and DISCONNECT of level ${version} in their shortest form`, () => {
    const packetId = 0x1234
    const reason = 0
    assert.deepEqual(read(hex('40 02 12 34'), version), { type: 'puback', packetId, reason })
    assert.deepEqual(read(hex('50 02 12 34'), version), { type: 'pubrec', packetId, reason })
    assert.deepEqual(read(hex('62 02 12 34'), version), { type: 'pubrel', packetId, reason })
    assert.deepEqual(read(hex('70 02 12 34'), version), { type: 'pubcomp', packetId, reason })
    assert.deepEqual(read(hex('c0 00'), version), { type: 'pingreq' })
    const disconnect = { type: 'disconnect', reason, properties: {} }
    assert.deepEqual(read(hex('e0 00'), version), disconnect)
  })
}

test('the string of 3.1.1 figure 1.2 and MQTT 5 figure 1-2 is two characters', () => {
  const bytes = packetOf(0x30, hex('00 05 41 f0 aa 9b 94'))
  assert.partialDeepStrictEqual(read(bytes, 4), { topic: 'A\u{2a6d4}' })
})

test('U+FEFF in front of a string is a character of it [MQTT-1.5.4-3]', () => {
  const bytes = packetOf(0x30, hex('00 04 ef bb bf 61'))
  assert.partialDeepStrictEqual(read(bytes, 4), { topic: '\ufeffa' })
})
