/** Bytes by hand, and the reason codes of MQTT 5 §2.4 that they must be answered with. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { MqttVersion } from '../../../src/frontend/mqtt/packets.ts'
import { type TestDevice, turn } from '../house.ts'
import type { MqttClient } from './client.ts'
import { MqttHouse, topicOf } from './house.ts'
import { hex } from './support.ts'

const malformed = 0x81
const protocolError = 0x82
const tooLarge = 0x95

/** After CONNECT of MQTT 5. 3.1.1 has no codes: there each of them ends the connection. */
const packets: readonly (readonly [what: string, bytes: string, code: number])[] = [
  ['a packet of type 0', '00 00', malformed],
  ['a second CONNECT', '10 0d 0004 4d515454 05 02 0000 00 0000', protocolError],
  ['CONNACK', '20 03 00 00 00', protocolError],
  ['PUBLISH with QoS 3', '36 07 0001 61 0001 00 78', malformed],
  ['PUBLISH with DUP and QoS 0', '38 05 0001 61 00 78', malformed],
  ['PUBLISH with a topic that is cut', '30 04 0009 61 00', malformed],
  ['PUBLISH with a topic that is no UTF-8', '30 05 0001 ff 00 78', malformed],
  ['PUBLISH with U+0000 in its topic', '30 05 0001 00 00 78', malformed],
  ['PUBLISH with packet identifier 0', '32 07 0001 61 0000 00 78', protocolError],
  ['PUBLISH with a property of CONNECT', '30 09 0001 61 03 21 0001 78 78', malformed],
  ['PUBLISH with a property twice', '30 08 0001 61 04 0100 0100', protocolError],
  ['PUBLISH with properties beyond its end', '30 05 0001 61 7f 01', malformed],
  ['PUBLISH with a subscription identifier', '30 06 0001 61 02 0b01', protocolError],
  ['PUBACK without an identifier', '40 01 00', malformed],
  ['PUBACK with identifier 0', '40 02 0000', protocolError],
  ['PUBACK with flags', '41 02 0001', malformed],
  ['PUBACK with a code that it has not', '40 03 0001 01', protocolError],
  ['PUBREC of nothing', '50 02 0001', protocolError],
  ['PUBREL without its flags', '60 02 0001', malformed],
  ['PUBREL that is too long', '62 05 0001 00 00 00', malformed],
  ['PUBCOMP of nothing', '70 02 0001', protocolError],
  ['SUBSCRIBE without a filter', '82 03 0001 00', protocolError],
  ['SUBSCRIBE without its flags', '80 07 0001 00 0001 61 01', malformed],
  ['SUBSCRIBE with QoS 3', '82 07 0001 00 0001 61 03', protocolError],
  ['SUBSCRIBE with reserved bits', '82 07 0001 00 0001 61 c0', malformed],
  ['SUBSCRIBE with an empty filter', '82 06 0001 00 0000 01', malformed],
  ['SUBACK', '90 04 0001 00 00', protocolError],
  ['UNSUBSCRIBE without a filter', 'a2 03 0001 00', protocolError],
  ['UNSUBSCRIBE without its flags', 'a0 06 0001 00 0001 61', malformed],
  ['UNSUBACK', 'b0 04 0001 00 00', protocolError],
  ['PINGREQ with a body', 'c0 01 00', malformed],
  ['PINGREQ with flags', 'c1 00', malformed],
  ['PINGRESP', 'd0 00', protocolError],
  ['DISCONNECT with a code of a server', 'e0 01 8e', protocolError],
  [
    'DISCONNECT that gives an expiry to a session without one',
    'e0 07 00 05 11 0000003c',
    protocolError,
  ],
  ['AUTH that was not begun', 'f0 06 18 04 15 0001 61', protocolError],
  ['a remaining length of five bytes', '30 80 80 80 80 01', malformed],
  ['a remaining length in a longer form', 'c0 80 00', malformed],
  ['a packet larger than any', '30 ff ff ff 7f', tooLarge],
]

const beforeConnect: readonly (readonly [what: string, bytes: string])[] = [
  ['PINGREQ', 'c0 00'],
  ['PUBLISH', '30 05 0001 61 00 78'],
  ['HTTP', Buffer.from(`GET / HTTP/1.1\r\nHost: ${'x'.repeat(64)}\r\n\r\n`).toString('hex')],
  ['CONNECT of another protocol', '10 0d 0004 48545450 05 02 0000 00 0000'],
  ['CONNECT of 3.1.1 with the reserved flag', '10 0c 0004 4d515454 04 03 0000 0000'],
  ['CONNECT of 3.1.1 with a byte too many', '10 0d 0004 4d515454 04 02 0000 0000 00'],
  ['CONNECT of 3.1.1 that is cut', '10 0b 0004 4d515454 04 02 0000 00'],
  ['CONNECT of 3.1.1 with will QoS 3', '10 12 0004 4d515454 04 1e 0000 0000 0001 61 0001 61'],
  ['CONNECT of 3.1.1 with a password alone', '10 0f 0004 4d515454 04 42 0000 0000 0001 61'],
]

/** MQTT 5 lets CONNACK say what is wrong. */
const refusedConnect: readonly (readonly [what: string, bytes: string, code: number])[] = [
  ['the reserved flag', '10 0d 0004 4d515454 05 03 0000 00 0000', malformed],
  ['a byte too many', '10 0e 0004 4d515454 05 02 0000 00 0000 00', malformed],
  ['an end that is cut', '10 0c 0004 4d515454 05 02 0000 00 00', malformed],
  ['receive maximum 0', '10 10 0004 4d515454 05 02 0000 03 210000 0000', protocolError],
  ['maximum packet size 0', '10 12 0004 4d515454 05 02 0000 05 2700000000 0000', protocolError],
  ['authentication data alone', '10 11 0004 4d515454 05 02 0000 04 16000161 0000', protocolError],
]

describe('bytes that are no MQTT', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
    device = await house.device()
  })
  after(() => house.close())

  it('end the connection with the reason code of their fault', async () => {
    for (const [what, bytes, code] of packets) {
      const client = await house.enter(device, 'five')
      client.write(hex(bytes))
      assert.equal(await client.ended(), code, what)
    }
  })

  it('end the connection under 3.1.1 without a word', async () => {
    // As MQTT 5 writes them; most are wrong there for other reasons, and none is right.
    for (const [what, bytes] of packets) {
      if (what.startsWith('PUBLISH with') && !/QoS|cut|UTF|U\+/.test(what)) continue
      if (what.includes('UNSUBSCRIBE without a') || what.includes('a server')) continue
      const client = await house.enter(device, 'four', 4)
      client.write(hex(bytes))
      assert.equal(await client.ended(), undefined, what)
      assert.deepEqual([...client.received], [0x20, 2, 0, 0], what)
    }
  })

  it('instead of CONNECT end the connection without a word', async () => {
    for (const [what, bytes] of beforeConnect) {
      const client = house.client(device)
      client.write(hex(bytes))
      assert.equal(await client.ended(), undefined, what)
      assert.deepEqual([...client.received], [], what)
    }
  })

  it('in CONNECT of MQTT 5 are answered', async () => {
    for (const [what, bytes, code] of refusedConnect) {
      const client = house.client(device)
      client.write(hex(bytes))
      assert.equal((await client.next('connack')).reasonCode, code, what)
      assert.equal(await client.ended(), undefined, what)
    }
  })

  it('of an application end its connection alike', async () => {
    const application = await house.application()
    for (const bytes of [
      '50 02 0001',
      '70 02 0001',
      'f0 06 18 04 15 0001 61',
      '10 0d 0004 4d515454 05 02 0000 00 0000',
    ]) {
      const client = await house.enter(application, 'x')
      client.write(hex(bytes))
      assert.equal(await client.ended(), protocolError, bytes)
    }
  })

  it('do not touch what was right before them', async () => {
    const client = await house.enter(device, 'x')
    client.publish(topicOf(device, 'right'), 'x')
    await client.next('puback')
    client.write(hex('00 00'))
    assert.equal(await client.ended(), malformed)
    assert.deepEqual(await house.said(device), [['right', 'x']])
  })

  it('leave nothing broken behind, and no fault of ours in the log', async () => {
    await house.rest()
    assert.deepEqual(
      house.log.lines.filter(({ level }) => level === 'error'),
      [],
    )
    await (await house.enter(device, 'x')).ping()
  })
})

describe('bytes that are too many', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create()
    device = await house.device()
  })
  after(() => house.close())

  it('in a packet are refused by its header, and exactly as many as were named are taken', async () => {
    const most = house.limits.packetBytesMax
    const client = house.client(device)
    assert.equal((await client.connect('x')).properties?.maximumPacketSize, most)
    const topic = topicOf(device, 'a')
    // First byte, three of the length, topic, identifier, no properties; filled with a property.
    const whole = (bytes: number): Buffer => {
      const payload = 60_000
      const head = 1 + 3 + 2 + topic.length + 2 + 3
      const correlation = bytes - head - payload - 3
      return Buffer.concat([
        Buffer.of(
          0x32,
          ((bytes - 4) & 127) | 128,
          (((bytes - 4) >> 7) & 127) | 128,
          (bytes - 4) >> 14,
        ),
        Buffer.of(0, topic.length),
        Buffer.from(topic),
        Buffer.of(0, 1, ((correlation + 3) & 127) | 128, (((correlation + 3) >> 7) & 127) | 128, 0),
        Buffer.of(9, correlation >> 8, correlation & 255),
        Buffer.alloc(correlation + payload, 'x'),
      ])
    }
    // The property length is in its shortest form: two bytes.
    const shortest = (bytes: number): Buffer => {
      const long = whole(bytes + 1)
      const at = 4 + 2 + topic.length + 2
      const short = Buffer.concat([
        long.subarray(0, at),
        long.subarray(at, at + 2),
        long.subarray(at + 3),
      ])
      short[at + 1] = (short[at + 1] ?? 0) & 127
      const length = bytes - 4
      short.set([(length & 127) | 128, ((length >> 7) & 127) | 128, length >> 14], 1)
      return short
    }
    assert.equal(shortest(most).length, most)
    client.write(shortest(most))
    assert.equal((await client.next('puback')).reasonCode ?? 0, 0)
    client.write(shortest(most + 1))
    assert.equal(await client.ended(), tooLarge)
    assert.equal(await house.lastRefusal(), 'ERR_MQTT_TOO_LARGE')
  })

  it('of somebody who may not come in are refused beyond what CONNECT needs', async () => {
    const header = Buffer.of(0x10, 0x80, 0x80, 0x01) // 16384 bytes
    const stranger = house.client()
    stranger.write(header)
    assert.equal(await stranger.ended(), undefined)
  })

  it('announced cost nothing, and poured are not kept', async () => {
    for (const version of [4, 5] as const) {
      const client = await house.enter(device, 'x', version)
      // 104,857,600 bytes.
      client.write(Buffer.of(0x30, 0x80, 0x80, 0x80, 0x32))
      assert.equal(await client.ended(), version === 5 ? tooLarge : undefined)
    }
    const grown = await growth(async () => {
      const clients = await Promise.all(
        Array.from({ length: 8 }, (_, n) => house.enter(device, `pour-${n}`)),
      )
      // Each one announces as much as it may and sends all but the last byte.
      const most = house.limits.packetBytesMax - 4
      const header = Buffer.of(0x30, (most & 127) | 128, ((most >> 7) & 127) | 128, most >> 14)
      for (const client of clients) client.write(Buffer.concat([header, Buffer.alloc(most - 1)]))
      await house.rest()
      for (const client of clients) assert.equal(client.isOpen, true)
      for (const client of clients) client.socket.destroy()
    })
    assert.ok(grown < 40_000_000, `${grown} bytes`)
  })

  it('poured after the end are read and dropped, and the connection is cut', async () => {
    const grown = await growth(async () => {
      const client = await house.enter(device, 'x')
      client.write(Buffer.of(0x30, 0x80, 0x80, 0x80, 0x32))
      await pour(client, 100_000_000)
      assert.ok(client.socket.bytesWritten < 100_000_000, `${client.socket.bytesWritten} bytes`)
    })
    assert.ok(grown < 60_000_000, `${grown} bytes`)
  })

  /** Writes until so much is written or the other side has had enough; the sweep goes on. */
  async function pour(client: MqttClient, bytes: number): Promise<void> {
    const part = Buffer.alloc(65_536)
    while (client.isOpen && client.socket.bytesWritten < bytes) {
      house.sweep()
      if (!client.socket.write(part))
        await Promise.race([
          new Promise((resolve) => client.socket.once('drain', resolve)),
          client.closed,
        ])
      await turn()
    }
    await client.closed
  }
})

/** How much more the process holds while this goes on, at most; client and server are one process. */
async function growth(work: () => Promise<void>): Promise<number> {
  const first = bytesHeld()
  let most = first
  const watch = setInterval(() => {
    most = Math.max(most, bytesHeld())
  }, 5)
  try {
    await work()
  } finally {
    clearInterval(watch)
  }
  return Math.max(most, bytesHeld()) - first
}

function bytesHeld(): number {
  const { external, arrayBuffers } = process.memoryUsage()
  return Math.max(external, arrayBuffers)
}

describe('a CONNECT', () => {
  let house: MqttHouse
  let device: TestDevice
  before(async () => {
    house = await MqttHouse.create({ limits: { sweepMs: 2_000 } })
    device = await house.device()
  })
  after(() => house.close())

  for (const version of [4, 5] as const satisfies readonly MqttVersion[])
    it(`may come byte by byte, over version ${version}, and may not take for ever`, async () => {
      const bytes =
        version === 5
          ? hex('10 0e 0004 4d515454 05 02 0000 00 0001 61')
          : hex('10 0d 0004 4d515454 04 02 0000 0001 61')
      const patient = house.client(device, version)
      await patient.secure
      for (const byte of bytes) {
        patient.write(Buffer.of(byte))
        await turn()
      }
      const connack = await patient.next('connack')
      assert.equal(connack.reasonCode ?? connack.returnCode, 0)
      const slow = house.client(device, version)
      await slow.secure
      let waited = 0
      for (let n = 0; slow.isOpen; n++) {
        if (n < bytes.length - 1) slow.write(bytes.subarray(n, n + 1))
        // A round trip of another connection: what was written has arrived by then.
        await patient.ping()
        house.sweep()
        waited += house.limits.sweepMs
      }
      assert.equal(await slow.ended(), undefined)
      assert.ok(waited >= house.limits.connectMsMax, `${waited} ms`)
      assert.ok(waited < house.limits.connectMsMax * 2, `${waited} ms`)
    })

  it('that never comes is not waited for', async () => {
    for (const who of [device, undefined]) {
      const silent = house.client(who)
      assert.equal(await silent.secure, true)
      await house.rest()
      house.timers.advance(house.limits.connectMsMax + house.limits.sweepMs)
      assert.equal(await silent.ended(), undefined)
    }
    assert.ok(house.door.counters.overdue >= 2)
  })
})
