/** Frames out of a stream, cut in every way; and what a peer can make us keep. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Framer } from '../../../src/frontend/mqtt/framing.ts'
import type { Frame } from '../../../src/frontend/mqtt/packets.ts'
import { bytesMax, framesOf, hex, packetOf, refuses, seed } from './support.ts'

function drained(framer: Framer): readonly Frame[] {
  const frames: Frame[] = []
  for (let frame = framer.next(); frame !== undefined; frame = framer.next()) frames.push(frame)
  return frames
}

/** Bytes that it holds on to, at any depth. */
function kept(held: object): number {
  const fields: readonly unknown[] = Object.values(held)
  return fields.reduce<number>((sum, field) => {
    if (Buffer.isBuffer(field)) return sum + field.length
    return sum + (typeof field === 'object' && field !== null ? kept(field) : 0)
  }, 0)
}

// 3.1.1 table 2.4, MQTT 5 table 1-1.
const lengths = [
  { digits: '00', length: 0 },
  { digits: '7f', length: 127 },
  { digits: '80 01', length: 128 },
  { digits: 'ff 7f', length: 16_383 },
  { digits: '80 80 01', length: 16_384 },
  { digits: 'ff ff 7f', length: 2_097_151 },
  { digits: '80 80 80 01', length: 2_097_152 },
  { digits: 'ff ff ff 7f', length: 268_435_455 },
] as const

for (const { digits, length } of lengths) {
  test(`a remaining length of ${digits} is ${length}`, () => {
    const framer = new Framer(2 ** 32)
    framer.push(Buffer.concat([hex(`30 ${digits}`), Buffer.alloc(Math.min(length, 3_000_000))]))
    if (length <= 3_000_000) assert.equal(framer.next()?.body.length, length)
    else assert.equal(framer.next(), undefined)
  })
}

for (const digits of ['80 00', '81 00', 'ff 00', '80 80 00', 'ff ff 00', '80 80 80 00']) {
  test(`a remaining length of ${digits} is not in its shortest form`, () => {
    refuses(() => framesOf(hex(`30 ${digits}`)), 'ERR_MQTT_MALFORMED')
  })
}

test('a remaining length that goes on after four bytes is refused by the fourth', () => {
  const framer = new Framer(2 ** 32)
  framer.push(hex('30 80 80 80'))
  assert.equal(framer.next(), undefined)
  framer.push(hex('80'))
  refuses(() => framer.next(), 'ERR_MQTT_MALFORMED', 'fixed header.remaining length')
})

test('a packet may be as large as the limit, with its header, and not larger', () => {
  const framer = new Framer(130)
  framer.push(packetOf(0x30, Buffer.alloc(127)))
  assert.equal(framer.next()?.body.length, 127)
  framer.push(hex('30 80 01'))
  refuses(() => framer.next(), 'ERR_MQTT_TOO_LARGE')
})

test('the limit may change from one packet to the next', () => {
  const framer = new Framer(10)
  framer.push(Buffer.concat([packetOf(0x10, Buffer.alloc(8)), packetOf(0x30, Buffer.alloc(100))]))
  assert.equal(framer.next()?.body.length, 8)
  framer.bytesMax = 102
  assert.equal(framer.next()?.body.length, 100)
})

test('a packet that is too large is refused by its header, and nothing of it is kept', () => {
  const framer = new Framer(bytesMax)
  framer.push(Buffer.concat([hex('30 80 80 80 30'), Buffer.alloc(50_000)]))
  const error = refuses(() => framer.next(), 'ERR_MQTT_TOO_LARGE')
  assert.equal(error.details['remainingLength'], 100_663_296)
  for (let chunk = 0; chunk < 100; chunk++) framer.push(Buffer.alloc(64 * 1024))
  assert.equal(kept(framer), 0)
  assert.equal(framer.pending, 0)
})

test('a refusal is final', () => {
  const framer = new Framer(bytesMax)
  framer.push(hex('c0 00 30 80 00'))
  assert.equal(framer.next()?.type, 12)
  const first = refuses(() => framer.next(), 'ERR_MQTT_MALFORMED')
  framer.push(hex('c0 00'))
  assert.equal(
    refuses(() => framer.next(), 'ERR_MQTT_MALFORMED'),
    first,
  )
})

test('what is announced is not allocated', () => {
  const framer = new Framer(bytesMax)
  framer.push(Buffer.concat([hex('30 80 80 0f'), Buffer.alloc(10)]))
  assert.equal(framer.next(), undefined)
  assert.equal(framer.pending, 14)
  assert.ok(kept(framer) <= 64, `${kept(framer)} bytes`)
})

test('a packet that lies whole in a chunk is a view of it', () => {
  const chunk = Buffer.concat([hex('c0 00'), packetOf(0x30, Buffer.alloc(300)), hex('c0 00')])
  for (const { body } of framesOf(chunk)) assert.equal(body.buffer, chunk.buffer)
})

test('at rest the framer holds no bytes, however the packet came', () => {
  const bytes = packetOf(0x30, Buffer.alloc(1000))
  for (const cut of [0, 1, 2, 3, 500, bytes.length]) {
    const framer = new Framer(bytesMax)
    framer.push(bytes.subarray(0, cut))
    framer.next()
    framer.push(bytes.subarray(cut))
    // Not asked once more: the caller may wait for the next chunk instead.
    assert.ok(cut === bytes.length || framer.next() !== undefined)
    assert.equal(kept(framer), 0, `cut at ${cut}`)
    assert.equal(framer.pending, 0)
  }
})

test('a cut packet does not keep the chunks that it came in', () => {
  const bytes = packetOf(0x30, Buffer.alloc(1000, 7))
  const framer = new Framer(bytesMax)
  const large = Buffer.concat([Buffer.alloc(60_000), bytes.subarray(0, 100)])
  framer.push(large.subarray(60_000))
  assert.equal(framer.next(), undefined)
  framer.push(bytes.subarray(100))
  const frame = framer.next()
  assert.deepEqual(frame?.body, Buffer.alloc(1000, 7))
  assert.notEqual(frame?.body.buffer, large.buffer)
})

for (const each of [true, false]) {
  const when = each ? 'asked for after each' : 'asked for in the end'
  test(`a packet of a megabyte in single bytes, ${when}, costs linear work`, () => {
    const bytes = packetOf(0x30, Buffer.alloc(1024 * 1024, 1))
    const framer = new Framer(2 * bytes.length)
    const begun = performance.now()
    for (let at = 0; at < bytes.length; at++) {
      framer.push(bytes.subarray(at, at + 1))
      if (each && at < bytes.length - 1) assert.equal(framer.next(), undefined)
    }
    assert.equal(framer.next()?.body.length, 1024 * 1024)
    // Copying all that came before with each byte would move 500 gigabytes.
    assert.ok(performance.now() - begun < 20_000)
  })
}

/** Bodies by length and filling, so that a counterexample can be read. */
const packets = fc.array(
  fc.record(
    {
      first: fc.integer({ min: 0, max: 255 }),
      length: fc.oneof(
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 120, max: 300 }),
        fc.integer({ min: 16_380, max: 16_390 }),
      ),
      filling: fc.integer({ min: 0, max: 255 }),
    },
    { noNullPrototype: true },
  ),
  { maxLength: 12 },
)
const cuttings = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 })

test('packets come out as they went in, wherever the stream is cut', () => {
  fc.assert(
    fc.property(packets, cuttings, fc.boolean(), (sent, fractions, atOnce) => {
      const bytes = Buffer.concat(
        sent.map(({ first, length, filling }) => packetOf(first, Buffer.alloc(length, filling))),
      )
      const cuts = fractions.map((part) => Math.floor(part * bytes.length))
      const framer = new Framer(bytesMax)
      const frames: Frame[] = []
      let from = 0
      for (const end of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
        // A copy each: what a chunk is a view of must not matter.
        framer.push(Buffer.from(bytes.subarray(from, end)))
        from = end
        if (!atOnce) frames.push(...drained(framer))
      }
      frames.push(...drained(framer))
      assert.equal(framer.pending, 0)
      assert.equal(kept(framer), 0)
      assert.equal(frames.length, sent.length)
      for (const [index, { type, flags, body }] of frames.entries()) {
        const { first, length, filling } = sent[index] ?? { first: 0, length: 0, filling: 0 }
        assert.equal((type << 4) | flags, first)
        assert.ok(body.equals(Buffer.alloc(length, filling)), `packet ${index}`)
      }
    }),
    { seed, numRuns: 300 },
  )
})

test('packets come out of a stream byte by byte, each with its last byte', () => {
  const sent = [hex('c0 00'), packetOf(0x30, Buffer.alloc(200, 3)), hex('40 02 00 01')]
  const framer = new Framer(bytesMax)
  // Of 2, 203 and 4 bytes.
  const lastBytes = new Set([1, 204, 208])
  for (const [at, byte] of Buffer.concat(sent).entries()) {
    framer.push(Buffer.of(byte))
    assert.equal(framer.next() !== undefined, lastBytes.has(at), `byte ${at}`)
  }
})
