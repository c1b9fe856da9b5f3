/** CBOR against RFC 8949: its examples (Appendix A), and what deterministic encoding refuses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CborErrorCode, CborReader, cbor, fromHex, hex } from '../../src/codec/index.ts'

const reader = (text: string): CborReader => new CborReader(fromHex(text), 'item')

/** Appendix A, in its order, as far as these kinds go. */
const integers: readonly (readonly [value: number, encoding: string])[] = [
  [0, '00'],
  [1, '01'],
  [10, '0a'],
  [23, '17'],
  [24, '1818'],
  [25, '1819'],
  [100, '1864'],
  [1000, '1903e8'],
  [1_000_000, '1a000f4240'],
  [1_000_000_000_000, '1b000000e8d4a51000'],
  [-1, '20'],
  [-10, '29'],
  [-100, '3863'],
  [-1000, '3903e7'],
]
const texts: readonly (readonly [value: string, encoding: string])[] = [
  ['', '60'],
  ['a', '6161'],
  ['IETF', '6449455446'],
  ['"\\', '62225c'],
  ['\u00fc', '62c3bc'],
  ['\u6c34', '63e6b0b4'],
  ['\ud800\udd51', '64f0908591'],
]

test('integers are those of RFC 8949 Appendix A, both ways', () => {
  for (const [value, encoding] of integers) {
    assert.equal(hex(cbor.int(value)), encoding)
    const read = reader(encoding)
    assert.equal(read.int('value'), value)
    read.end()
  }
  for (const value of [Number.MAX_SAFE_INTEGER - 1, Number.MIN_SAFE_INTEGER + 1]) {
    assert.equal(new CborReader(cbor.int(value), 'item').int('value'), value)
  }
})

test('strings, arrays, maps and simple values are those of RFC 8949 Appendix A', () => {
  for (const [value, encoding] of texts) {
    assert.equal(hex(cbor.textString(value)), encoding)
    assert.equal(reader(encoding).textString('value'), value)
  }
  assert.equal(hex(cbor.byteString(new Uint8Array())), '40')
  assert.equal(hex(cbor.byteString(fromHex('01020304'))), '4401020304')
  assert.equal(hex(reader('4401020304').byteString('value')), '01020304')
  assert.deepEqual([cbor.boolean(false), cbor.boolean(true), cbor.nullValue].map(hex), [
    'f4',
    'f5',
    'f6',
  ])
  assert.deepEqual([reader('f4').boolean('value'), reader('f5').boolean('value')], [false, true])
  reader('f6').null('value')
  const [one, two, three, four, five] = [1, 2, 3, 4, 5].map(cbor.int)
  assert.ok(one && two && three && four && five)
  assert.equal(hex(cbor.array()), '80')
  assert.equal(hex(cbor.array(one, two, three)), '83010203')
  const nested = cbor.array(one, cbor.array(two, three), cbor.array(four, five))
  assert.equal(hex(nested), '8301820203820405')
  const many = cbor.array(...Array.from({ length: 25 }, (_, i) => cbor.int(i + 1)))
  assert.equal(hex(many), '98190102030405060708090a0b0c0d0e0f101112131415161718181819')
  assert.equal(hex(cbor.map()), 'a0')
  // Sorted, in whatever order they are given.
  assert.equal(hex(cbor.map([three, four], [one, two])), 'a201020304')
  const [a, b] = [cbor.textString('a'), cbor.textString('b')]
  assert.equal(hex(cbor.map([a, one], [b, cbor.array(two, three)])), 'a26161016162820203')
})

test('an item of any kind is taken whole, and what follows stays', () => {
  for (const whole of [
    '8301820203820405',
    'a56161614161626142616361436164614461656145',
    'c11a514b67b0',
    'd74401020304',
    'f6',
    '3903e7',
  ]) {
    const read = reader(`${whole}17`)
    assert.equal(hex(read.raw('value')), whole)
    assert.equal(read.int('next'), 23)
    read.end()
  }
})

function refused(text: string, code: CborErrorCode): void {
  assert.throws(
    () => {
      const read = reader(text)
      read.raw('value')
      read.end()
    },
    { code },
  )
}

test('what is not deterministic is refused, each kind of it', () => {
  // RFC 8949 §4.2.1: heads longer than they have to be, in each length.
  for (const long of ['1800', '1817', '190018', '1900ff', '1a0000ffff', '1b00000000ffffffff']) {
    refused(long, 'ERR_CBOR_MINIMAL')
  }
  for (const long of ['5800', '590001ff', '7817', '980100', 'b8010102'])
    refused(long, 'ERR_CBOR_MINIMAL')
  // Appendix A, its examples of indefinite lengths, and heads that are not assigned.
  for (const endless of [
    '5f42010243030405ff',
    '7f657374726561646d696e67ff',
    '9fff',
    'bf61610161629f0203ffff',
    '1c',
    '3d',
    'fe',
    'ff',
  ]) {
    refused(endless, 'ERR_CBOR_MINIMAL')
  }
  // A key twice, and keys in another order than that of their bytes.
  for (const map of ['a201020103', 'a203040102', 'a2616201616101', 'a21818011701']) {
    refused(map, 'ERR_CBOR_ORDER')
  }
})

test('numbers and simple values that nothing here uses are refused', () => {
  // Appendix A: floating-point numbers, undefined, simple values; §3.3: two octets below 32.
  for (const number of ['f90000', 'fa47c35000', 'fb3ff199999999999a', 'f7', 'f0', 'f8ff', 'f818']) {
    refused(number, 'ERR_CBOR_KIND')
  }
  for (const big of ['1bffffffffffffffff', '3bffffffffffffffff', '1b0020000000000000']) {
    refused(big, 'ERR_CBOR_VALUE')
  }
  refused('61ff', 'ERR_CBOR_VALUE')
  refused('62c0af', 'ERR_CBOR_VALUE')
})

test('what is cut at any length is refused, and so is a byte too many', () => {
  const whole = 'a56161614161626142616361436164614461656145'
  for (let length = 0; length < whole.length; length += 2) {
    refused(whole.slice(0, length), 'ERR_CBOR_TRUNCATED')
  }
  refused(`${whole}00`, 'ERR_CBOR_TRAILING')
  for (const cut of ['18', '19ff', '1affffff', '4301', '8301']) refused(cut, 'ERR_CBOR_TRUNCATED')
  // A length that promises more than there is, up to four gigabytes and beyond.
  for (const promise of ['5affffffff', '7b001fffffffffff00', '9affffffff', 'ba7fffffff']) {
    assert.throws(() => reader(promise).raw('value'), { code: /ERR_CBOR_(TRUNCATED|SIZE)/ })
  }
})

const nested = (depth: number): CborReader => reader(`${'81'.repeat(depth)}00`)

test('nesting is bounded', () => {
  nested(8).raw('value')
  assert.throws(() => nested(9).raw('value'), { code: 'ERR_CBOR_DEPTH' })
})

test('another kind than the expected one is named, with the place', () => {
  assert.throws(() => reader('4101').int('count'), {
    code: 'ERR_CBOR_KIND',
    message: 'item.count: expected unsigned, found bytes',
    where: 'item.count, offset 0',
  })
  assert.throws(() => reader('01').byteString('key'), { code: 'ERR_CBOR_KIND' })
  assert.throws(() => reader('420102').byteString('key', 1), { code: 'ERR_CBOR_SIZE' })
  assert.throws(() => new CborReader(new Uint8Array(65_537), 'item'), { code: 'ERR_CBOR_SIZE' })
})

test("our own mistakes in writing are no peer's fault", () => {
  const key = cbor.int(1)
  assert.throws(() => cbor.map([key, key], [key, key]), { code: 'ERR_CBOR_KEY' })
  for (const value of [1.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => cbor.int(value), { code: 'ERR_CBOR_INT' })
  }
})

test('a count has its bounds, and what may be absent is null in its place', () => {
  assert.equal(reader('1864').unsigned('count', 100), 100)
  assert.equal(reader('00').unsigned('count'), 0)
  assert.throws(() => reader('1865').unsigned('count', 100), { code: 'ERR_CBOR_VALUE' })
  assert.throws(() => reader('20').unsigned('count'), { code: 'ERR_CBOR_KIND' })
  const sequence = reader('f641ab')
  const bytes = (): Uint8Array => sequence.byteString('bytes')
  assert.equal(sequence.nullable('bytes', bytes), undefined)
  assert.deepEqual(sequence.nullable('bytes', bytes), fromHex('ab'))
  sequence.end()
  const wrong = reader('f4')
  assert.throws(() => wrong.nullable('bytes', () => wrong.byteString('bytes')), {
    code: 'ERR_CBOR_KIND',
  })
})
