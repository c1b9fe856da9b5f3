/**
 * Hostile bytes for every packet of both versions: each bit flipped, each length cut, bytes behind
 * the end, the body of another kind; and a slice of what the fuzzer does for hours (FUZZ_RUNS;
 * `node fuzz/mqtt.ts` for more). The parser answers with a packet that is what packets.ts promises,
 * or with a PeerError.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packetBytes, type Sample, samples } from '../../../../../fuzz/mqttPackets.ts'
import { checkPacket } from '../../../../../fuzz/mqttPromises.ts'
import { Dice, mutate } from '../../../../../fuzz/mutate.ts'
import { Framer } from '../../../src/frontend/mqtt/framing.ts'
import {
  type ClientPacket,
  type MqttVersion,
  packetType,
} from '../../../src/frontend/mqtt/packets.ts'
import { parsePacket } from '../../../src/frontend/mqtt/parse.ts'
import { bytesMax, parseBody, readOrRefuse, refuses, seed } from './support.ts'

const fuzzRuns = Number(process.env['FUZZ_RUNS'] ?? 3000)

function check(packet: ClientPacket, version: MqttVersion | undefined): void {
  const spoken = packet.type === 'connect' ? packet.version : version
  assert.ok(spoken !== undefined, 'a packet was read before CONNECT')
  checkPacket(packet, spoken)
}

/** True when the body was read. */
function survives(sample: Sample, body: Buffer, context: string): boolean {
  const packet = readOrRefuse(() => parseBody(sample, body), `${sample.name}, ${context}`)
  if (packet !== undefined) check(packet, sample.version)
  return packet !== undefined
}

/**
 * Where MQTT 5 lets the end of a packet be left out (§3.4.2.1, §3.14.2.1), and in PUBLISH the
 * payload, which may be of any length.
 */
function shortForms({ version, first, body }: Sample): readonly number[] {
  const type = first >> 4
  if (type === packetType.publish) {
    const headEnd = body.length - (parsePayload(first, body, version)?.length ?? 0)
    return Array.from({ length: body.length - headEnd }, (_, index) => headEnd + index)
  }
  if (version !== 5) return []
  if (type >= packetType.puback && type <= packetType.pubcomp) return [2, 3]
  return type === packetType.disconnect ? [0, 1] : []
}

function parsePayload(first: number, body: Buffer, version: MqttVersion | undefined) {
  const packet = parsePacket({ type: first >> 4, flags: first & 0x0f, body }, version)
  return packet.type === 'publish' ? packet.payload : undefined
}

for (const sample of samples) {
  const { name, body } = sample

  test(`${name} is read`, () => {
    assert.ok(survives(sample, body, 'whole'))
  })

  test(`${name} with any one bit flipped is read or refused`, () => {
    for (let bit = 0; bit < body.length * 8; bit++) {
      const bent = Buffer.from(body)
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      survives(sample, bent, `bit ${bit}`)
    }
    for (let bit = 0; bit < 8; bit++) {
      const first = sample.first ^ (1 << bit)
      const type = sample.first >> 4
      const read = survives({ ...sample, first }, body, `bit ${bit} of the first byte`)
      // Only PUBLISH has flags [MQTT-2.1.3-1].
      if (bit < 4 && type !== packetType.publish) assert.equal(read, false, `flag ${bit}`)
    }
  })

  test(`${name} cut anywhere is refused, where a shorter form is not a packet itself`, () => {
    const forms = new Set(shortForms(sample))
    for (let length = 0; length < body.length; length++) {
      const read = survives(sample, body.subarray(0, length), `cut at ${length}`)
      // A list of filters may end behind any of them.
      const list = name.startsWith('SUBSCRIBE') || name.startsWith('UNSUBSCRIBE')
      if (!list) assert.equal(read, forms.has(length), `cut at ${length}`)
    }
  })

  test(`${name} waits for its last byte`, () => {
    const bytes = packetBytes(sample)
    for (let length = 0; length < bytes.length; length++) {
      const framer = new Framer(bytesMax)
      framer.push(bytes.subarray(0, length))
      assert.equal(framer.next(), undefined, `cut at ${length}`)
      assert.equal(framer.pending, length)
    }
  })

  // Of PUBLISH they would be payload.
  if (sample.first >> 4 !== packetType.publish) {
    test(`${name} with a byte behind its end is refused`, () => {
      for (const more of [0x00, 0x01, 0x26, 0x80, 0xff]) {
        const bent = Buffer.concat([body, Buffer.of(more)])
        const read = survives(sample, bent, `${more} behind it`)
        if (!mayGoOn(sample)) assert.equal(read, false, `${more}`)
      }
    })
  }

  test(`${name}, its body under the header of every other kind and version`, () => {
    for (let first = 0; first < 256; first++) {
      for (const other of [undefined, 4, 5] as const) {
        survives({ name, version: other, first, body }, body, `${first} under ${other}`)
      }
    }
  })

  test(`${name} with the length of any string or property bent`, () => {
    for (let at = 0; at < body.length; at++) {
      for (const bomb of ['ff', 'ffff', 'ffffff7f', 'ffffffff', '0000', '8000', '808080']) {
        const bytes = Buffer.from(bomb, 'hex')
        const bent = Buffer.concat([body.subarray(0, at), bytes, body.subarray(at + 1)])
        survives(sample, bent, `${bomb} at ${at}`)
      }
    }
  })
}

/** A reason code or a property length could follow, which were left out. */
function mayGoOn({ version, first, body }: Sample): boolean {
  const type = first >> 4
  if (version !== 5) return false
  if (type === packetType.disconnect) return body.length < 2
  return type >= packetType.puback && type <= packetType.pubcomp && body.length < 4
}

test('packets that only a server sends are Protocol Errors, and reserved types malformed', () => {
  const body = Buffer.of(0, 1, 0)
  for (const version of [4, 5] as const) {
    for (const type of [2, 9, 11, 13]) {
      refuses(() => parsePacket({ type, flags: 0, body }, version), 'ERR_MQTT_PROTOCOL')
    }
    refuses(() => parsePacket({ type: 0, flags: 0, body }, version), 'ERR_MQTT_MALFORMED')
  }
  refuses(() => parsePacket({ type: 15, flags: 0, body }, 4), 'ERR_MQTT_MALFORMED')
})

test('CONNECT comes first and once', () => {
  for (const sample of samples) {
    const version = sample.version === undefined ? 5 : undefined
    refuses(() => parseBody({ ...sample, version }, sample.body), 'ERR_MQTT_PROTOCOL')
  }
})

test('mutated packets are read or refused', () => {
  const dice = new Dice(seed)
  const bodies = samples.map(({ body }) => body)
  for (let run = 0; run < fuzzRuns; run++) {
    const sample = dice.pick(samples)
    const bent = Buffer.from(mutate(sample.body, dice, bodies))
    survives(sample, bent, `${bent.toString('hex')}, run ${run}`)
  }
})

test('an error says packet and field and nothing of what a client wrote', () => {
  const secret = 'hunter2-hunter2'
  for (const sample of samples.filter(({ body }) => body.length > 4)) {
    for (let at = 0; at < sample.body.length; at++) {
      const bent = Buffer.concat([
        sample.body.subarray(0, at),
        Buffer.from(secret),
        sample.body.subarray(at),
      ])
      try {
        parseBody(sample, bent)
      } catch (error) {
        const { message, details, where } = error as {
          message: string
          details: object
          where: string
        }
        assert.ok(!`${message}${JSON.stringify(details)}${where}`.includes('hunter2'))
        assert.match(where, /^[a-z ]+\.[A-Za-z ]+$/)
      }
    }
  }
})
