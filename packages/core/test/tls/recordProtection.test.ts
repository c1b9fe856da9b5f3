/**
 * Record protection against node:crypto alone: every suite in both directions, counters, padding,
 * key updates, and how long a record may be (RFC 8446 §5, RFC 8449).
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { alertFor } from '../../src/tls/alerts.ts'
import { Inbound } from '../../src/tls/inbound.ts'
import { RecordProtection } from '../../src/tls/recordProtection.ts'
import { RecordReader } from '../../src/tls/recordReader.ts'
import { RecordWriter } from '../../src/tls/recordWriter.ts'
import { contentType, type SuiteName, suites } from '../../src/tls/registry.ts'
import { ForeignRecords, foreignSuites, recordsIn } from './foreignRecords.ts'

const names = Object.keys(foreignSuites) as SuiteName[]
const fullRecord = 2 ** 14
const { alert, applicationData, handshake } = contentType

/** The same traffic secret on both sides. */
function ends(name: SuiteName = 'TLS_AES_128_GCM_SHA256'): {
  readonly ours: RecordProtection
  readonly foreign: ForeignRecords
} {
  const secret = randomBytes(suites[name].hashLength)
  const ours = new RecordProtection(nodeCrypto, suites[name], nodeCrypto.importSecret(secret))
  return { ours, foreign: new ForeignRecords(foreignSuites[name], secret) }
}

function opened(
  ours: RecordProtection,
  record: Uint8Array,
  contentMax: number = fullRecord,
): { readonly type: number; readonly content: string } {
  const { type, content } = ours.open(record.subarray(0, 5), record.subarray(5), contentMax)
  return { type, content: Buffer.from(content).toString('hex') }
}

const bytes = (length: number, value: number = 7): Buffer => Buffer.alloc(length, value)
const header = (length: number, type: number = 23): Buffer =>
  Buffer.from([type, 3, 3, length >> 8, length & 255])
const refusal =
  (code: string, alertName: string) =>
  (error: unknown): boolean => {
    assert.equal((error as { code?: string }).code, code)
    assert.equal(alertFor(error), alertName)
    return true
  }
const tooLong = refusal('ERR_TLS_RECORD_OVERFLOW', 'record_overflow')
const unexpected = refusal('ERR_TLS_UNEXPECTED_MESSAGE', 'unexpected_message')
const changed = refusal('ERR_TLS_RECORD_MAC', 'bad_record_mac')

for (const name of names) {
  test(`${name}: records open at the other side, one after the other, with new keys too`, () => {
    let { ours, foreign } = ends(name)
    for (let update = 0; update < 3; update++) {
      for (const content of [bytes(1), bytes(0), bytes(fullRecord)]) {
        const record = ours.seal(applicationData, content)
        assert.deepEqual(foreign.open(record), { type: applicationData, content, padding: 0 })
      }
      ours = ours.next()
      foreign = foreign.next()
      for (const content of [bytes(fullRecord - 3), bytes(0), bytes(2)]) {
        const record = foreign.seal(alert, content, 3)
        const expected = { type: alert, content: content.toString('hex') }
        assert.deepEqual(opened(ours, record), expected)
      }
      ours = ours.next()
      foreign = foreign.next()
    }
  })
}

test('with a provider that makes no pieces, records open at the other side too', () => {
  const bare = { ...nodeCrypto }
  delete bare.sealPieces
  for (const name of names) {
    const secret = randomBytes(suites[name].hashLength)
    const ours = new RecordProtection(bare, suites[name], bare.importSecret(secret))
    const foreign = new ForeignRecords(foreignSuites[name], secret)
    for (const content of [bytes(1), bytes(0), bytes(fullRecord)]) {
      const record = ours.seal(handshake, content)
      assert.deepEqual(foreign.open(record), { type: handshake, content, padding: 0 })
    }
  }
})

test('the counter goes over into its second and third byte', () => {
  const { ours, foreign } = ends()
  const content = bytes(1)
  const looked = new Set([0, 255, 256, 257, 65_535, 65_536, 65_537])
  for (let sequence = 0; sequence <= 65_537; sequence++) {
    const record = ours.seal(handshake, content)
    if (!looked.has(sequence)) continue
    const there = new ForeignRecords(foreign.suite, foreign.secret, sequence)
    assert.deepEqual(there.open(record), { type: handshake, content, padding: 0 })
  }
})

test('padding behind the type is taken off, zeros before it are content', () => {
  const { ours, foreign } = ends()
  for (const padding of [0, 1, 15, 16, 17, 1000]) {
    const expected = { type: applicationData, content: '00050000' }
    const content = Buffer.from(expected.content, 'hex')
    assert.deepEqual(opened(ours, foreign.seal(applicationData, content, padding)), expected)
  }
  const cover = foreign.seal(applicationData, bytes(0), 100)
  assert.deepEqual(opened(ours, cover), { type: applicationData, content: '' })
})

test('a record of padding alone has no type and is refused', () => {
  const { ours, foreign } = ends()
  assert.throws(() => opened(ours, foreign.seal(0, bytes(0), 0)), unexpected)
  assert.throws(() => opened(ours, foreign.seal(0, bytes(0), 40)), unexpected)
})

test('a handshake or alert record with no content is unexpected, of data it is cover', () => {
  for (const type of [handshake, alert]) {
    const { ours, foreign } = ends()
    const inbound = new Inbound(fullRecord)
    inbound.protect(ours)
    // Data in the handshake, which is too early however little it is.
    inbound.push(foreign.seal(applicationData, bytes(0), 20))
    assert.deepEqual(inbound.next(), { kind: 'data', content: Buffer.of() })
    inbound.endOfHandshake()
    inbound.push(foreign.seal(applicationData, bytes(0), 20))
    assert.equal(inbound.next(), undefined)
    inbound.push(foreign.seal(type, bytes(0), 20))
    assert.throws(() => inbound.next(), unexpected)
  }
})

test('padding counts as content where a record is too long', () => {
  for (const limit of [64, 500, fullRecord]) {
    const { ours, foreign } = ends()
    const fits = foreign.seal(applicationData, bytes(limit))
    assert.equal(opened(ours, fits, limit).content.length, 2 * limit)
    const padded = foreign.seal(applicationData, bytes(limit - 5), 5)
    assert.equal(opened(ours, padded, limit).content.length, 2 * (limit - 5))
    const long = foreign.seal(applicationData, bytes(limit + 1))
    assert.throws(() => opened(ours, long, limit), tooLong)
    const overPadded = foreign.seal(applicationData, bytes(limit - 5), 6)
    assert.throws(() => opened(ours, overPadded, limit), tooLong)
  }
})

test('a record with any bit changed does not open', () => {
  const { foreign } = ends()
  const record = foreign.seal(alert, Buffer.from([1, 0]))
  const fresh = (): RecordProtection =>
    new RecordProtection(
      nodeCrypto,
      suites.TLS_AES_128_GCM_SHA256,
      nodeCrypto.importSecret(foreign.secret),
    )
  assert.deepEqual(opened(fresh(), record), { type: alert, content: '0100' })
  for (let bit = 0; bit < record.length * 8; bit++) {
    const other = record.slice()
    other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.throws(() => opened(fresh(), other), changed, `bit ${bit}`)
  }
  assert.throws(() => opened(fresh(), record.subarray(0, 5 + 15)), changed)
})

test('a record that is repeated, left out or of another key does not open', () => {
  const { ours, foreign } = ends()
  const first = foreign.seal(applicationData, bytes(3))
  const second = foreign.seal(applicationData, bytes(4))
  const third = foreign.seal(applicationData, bytes(5))
  assert.equal(opened(ours, first).content, '070707')
  assert.throws(() => opened(ours, first), changed)
  // The counter has gone on: the stream is lost, and its owner ends it.
  assert.throws(() => opened(ours, second), changed)
  assert.throws(() => opened(ours, foreign.next().seal(applicationData, bytes(1))), changed)
  assert.throws(() => opened(ours.next(), third), changed)
})

test('a length beyond what a record may have is refused before its bytes come', () => {
  const plain = new RecordReader()
  plain.push(header(fullRecord, 22))
  assert.equal(plain.next(), undefined)
  const plainLong = new RecordReader()
  plainLong.push(header(fullRecord + 1, 22))
  assert.throws(() => plainLong.next(), tooLong)

  // RFC 8446 §5.2: 256 bytes may be added; RFC 8449: to less than a full record.
  for (const limit of [64, 1000, fullRecord]) {
    const sealed = new RecordReader()
    sealed.protect(ends().ours, limit)
    sealed.push(header(limit + 256))
    assert.equal(sealed.next(), undefined)
    const sealedLong = new RecordReader()
    sealedLong.protect(ends().ours, limit)
    sealedLong.push(header(limit + 257))
    assert.throws(() => sealedLong.next(), tooLong)
  }
})

test('what goes out is cut into records that the other side takes', () => {
  const { ours, foreign } = ends()
  const writer = new RecordWriter()
  writer.protect(ours)
  writer.limitTo(100)
  const content = randomBytes(250)
  const sent = recordsIn(writer.write(applicationData, content)).map((one) => foreign.open(one))
  assert.deepEqual(
    sent.map((one) => one.content.length),
    [100, 100, 50],
  )
  assert.deepEqual(Buffer.concat(sent.map((one) => one.content)), content)
  assert.ok(sent.every(({ type, padding }) => type === applicationData && padding === 0))
  assert.equal(recordsIn(writer.write(applicationData, bytes(100))).length, 1)
})

test('no bytes make no record', () => {
  const writer = new RecordWriter()
  assert.equal(writer.write(applicationData, bytes(0)).length, 0)
  const { ours, foreign } = ends()
  writer.protect(ours)
  assert.equal(writer.write(applicationData, bytes(0)).length, 0)
  // Nothing was counted either.
  assert.equal(foreign.open(writer.write(applicationData, bytes(1))).content.length, 1)
})

test('without a limit of the other side a record has up to 16384 bytes of content', () => {
  const writer = new RecordWriter()
  const { ours, foreign } = ends()
  writer.protect(ours)
  const sent = recordsIn(writer.write(applicationData, bytes(2 * fullRecord + 1)))
  assert.deepEqual(
    sent.map((one) => foreign.open(one).content.length),
    [fullRecord, fullRecord, 1],
  )
})

test('the first record says 0x0301, all others 0x0303; change_cipher_spec is never sealed', () => {
  const writer = new RecordWriter()
  assert.deepEqual([...writer.write(handshake, bytes(1))], [22, 3, 1, 0, 1, 7])
  assert.deepEqual([...writer.write(handshake, bytes(1))], [22, 3, 3, 0, 1, 7])
  const { ours, foreign } = ends()
  writer.protect(ours)
  assert.deepEqual(
    [...writer.write(contentType.changeCipherSpec, bytes(1, 1))],
    [20, 3, 3, 0, 1, 1],
  )
  // It counts nowhere: the next record is the first under its key.
  assert.equal(foreign.open(writer.write(handshake, bytes(1))).type, handshake)
})

test('a provider that fails is not told as a record that was changed', () => {
  const { foreign } = ends()
  const failure = new RangeError('out of memory')
  const open = (): never => {
    throw failure
  }
  const ours = new RecordProtection(
    { ...nodeCrypto, open },
    suites.TLS_AES_128_GCM_SHA256,
    nodeCrypto.importSecret(bytes(32)),
  )
  assert.throws(
    () => opened(ours, foreign.seal(applicationData, bytes(1))),
    (error) => error === failure && alertFor(error) === 'internal_error',
  )
})

test('what was closed has no key: nothing goes out of it, nothing comes out of it', () => {
  const { ours, foreign } = ends()
  const writer = new RecordWriter()
  writer.protect(ours)
  writer.close()
  for (const type of [applicationData, alert, contentType.changeCipherSpec]) {
    assert.throws(() => writer.write(type, bytes(1, 1)), { name: 'InvariantError' })
  }
  const reader = new RecordReader()
  reader.protect(ends().ours, fullRecord)
  reader.push(foreign.seal(applicationData, bytes(1)))
  reader.close()
  assert.equal(reader.waiting, 0)
  assert.equal(reader.next(), undefined)
})
