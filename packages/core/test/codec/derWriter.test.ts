/** DER writer: the same bytes as OpenSSL's generator, and a round trip through our own reader. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DerReader, der, fromHex, hex, noExpiration, tag } from '@countersign/core/codec'
import { CallerError } from '@countersign/core/errors'
import * as fc from 'fast-check'
import { needsOpenssl, openssl, runs, seed, temporaryFolder } from '../x509/support.ts'

test('every primitive is written as OpenSSL writes it', needsOpenssl(), () => {
  const file = `${temporaryFolder()}/out.der`
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ['BOOL:TRUE', der.boolean(true)],
    ['BOOL:FALSE', der.boolean(false)],
    ['NULL', der.nullValue()],
    ['INT:0', der.integer(0)],
    ['INT:127', der.integer(127)],
    ['INT:128', der.integer(128)],
    ['INT:65537', der.integer(65_537)],
    ['INT:0xffffffffffffffffffffffffffffffff', der.integer(2n ** 128n - 1n)],
    ['OID:1.2.840.113549.1.9.14', der.oid('1.2.840.113549.1.9.14')],
    ['OID:2.999.3', der.oid('2.999.3')],
    [
      'OID:2.25.70566220933101651007110555231231935521.1',
      der.oid('2.25.70566220933101651007110555231231935521.1'),
    ],
    ['UTF8:a', der.utf8String('a')],
    ['PRINTABLE:Ab 9', der.printableString('Ab 9')],
    ['IA5:a@b', der.ia5String('a@b')],
    ['FORMAT:HEX,OCT:00ff', der.octetString(fromHex('00ff'))],
    ['FORMAT:HEX,BITSTR:00ff', der.bitString(fromHex('00ff'))],
    ['FORMAT:BITLIST,BITSTR:5,6', der.namedBits([5, 6])],
    ['FORMAT:BITLIST,BITSTR:8', der.namedBits([8])],
    ['UTC:491231235959Z', der.time(Date.parse('2049-12-31T23:59:59Z'))],
    ['GENTIME:20500101000000Z', der.time(Date.parse('2050-01-01T00:00:00Z'))],
    ['GENTIME:99991231235959Z', der.time(noExpiration)],
    ['EXP:3,INT:2', der.explicit(3, der.integer(2))],
    ['IMP:1,IA5:a', der.ia5String('a', 0x81)],
    [`UTF8:${'a'.repeat(300)}`, der.utf8String('a'.repeat(300))],
  ]
  for (const [description, ours] of cases) {
    openssl(['asn1parse', '-genstr', description, '-noout', '-out', file])
    assert.equal(hex(ours), readFileSync(file, 'hex'), description)
  }
})

test('SET OF is sorted by its encodings', () => {
  const set = der.setOf(der.integer(256), der.integer(5), der.octetString(), der.integer(4))
  assert.equal(hex(set), '310c020104020105020201000400')
  assert.equal(hex(der.setOf()), '3100')
})

test('numbers and lengths come back through the reader', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 256n }),
      fc.integer({ min: 0, max: 70_000 }),
      (number, length) => {
        const whole = new DerReader(
          der.sequence(der.integer(number), der.octetString(new Uint8Array(length))),
          'x',
        )
        const inner = whole.sequence('s')
        whole.end()
        assert.equal(inner.unsignedBig('n', 33), number)
        assert.equal(inner.octetString('o').length, length)
        inner.end()
      },
    ),
    { seed, numRuns: Math.min(runs, 2000) },
  )
})

test('object identifiers and times come back through the reader', () => {
  const arc = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n })
  const last = Math.floor(noExpiration / 1000)
  fc.assert(
    fc.property(
      fc.array(arc, { maxLength: 3 }),
      fc.integer({ min: 0, max: last }),
      (arcs, seconds) => {
        const dotted = ['2.999', ...arcs].join('.')
        assert.equal(new DerReader(der.oid(dotted), 'x').oid('o'), dotted)
        assert.equal(new DerReader(der.time(seconds * 1000), 'x').time('t'), seconds * 1000)
        assert.equal(
          new DerReader(der.generalizedTime(seconds * 1000), 'x').generalizedTime('t'),
          seconds * 1000,
        )
      },
    ),
    { seed, numRuns: runs },
  )
})

test('headers can be laid out by hand', () => {
  for (const length of [0, 127, 128, 255, 256, 65_535, 65_536, 16_777_216]) {
    const into = new Uint8Array(8)
    const end = der.writeHeader(into, 1, tag.sequence, length)
    assert.equal(end, 2 + der.lengthOctets(length))
    const octets =
      length < 128 ? [length] : [0x80 | (der.lengthOctets(length) - 1), ...bytesOf(length)]
    assert.deepEqual([...into.subarray(1, end)], [0x30, ...octets])
  }
})

function bytesOf(length: number): readonly number[] {
  const text = length.toString(16)
  return [...Buffer.from(text.padStart(text.length + (text.length % 2), '0'), 'hex')]
}

test("values that have no DER are the caller's fault", () => {
  for (const call of [
    () => der.integer(-1),
    () => der.integer(0.5),
    () => der.integer(2 ** 53),
    () => der.oid('3.1'),
    () => der.oid('1.40'),
    () => der.oid('1'),
    () => der.oid('1.2.03'),
    () => der.printableString('a@b'),
    () => der.ia5String('ü'),
    () => der.time(Number.NaN),
    () => der.time(noExpiration + 1000),
  ]) {
    assert.throws(call, CallerError)
  }
})
