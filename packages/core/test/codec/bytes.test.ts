/** Text forms of bytes: RFC 4648 §10, RFC 3629 §7 and §10. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  base64,
  bigEndian,
  compareBytes,
  concat,
  equalBytes,
  fromBase64,
  fromBigEndian,
  fromHex,
  fromUtf8,
  hex,
  utf8,
} from '@countersign/core/codec'
import * as fc from 'fast-check'
import { refuses, runs, seed } from '../x509/support.ts'

test('the examples of RFC 4648 §10 in both directions', () => {
  const examples = ['', 'Zg==', 'Zm8=', 'Zm9v', 'Zm9vYg==', 'Zm9vYmE=', 'Zm9vYmFy']
  for (const [length, text] of examples.entries()) {
    const bytes = utf8('foobar'.slice(0, length))
    assert.equal(base64(bytes), text)
    assert.deepEqual(fromBase64(text), bytes)
  }
})

test('Base64 that is not the one text of its bytes is refused', () => {
  for (const text of [
    'Zg',
    'Zg=',
    'Zh==',
    'Zm9=',
    'Zg==\n',
    'Z===',
    '====',
    'Zm9v====',
    'Z_==',
    'Zm 9',
    'Zmé=',
  ]) {
    refuses(() => fromBase64(text), 'ERR_BASE64')
  }
})

test('hex takes both cases and nothing else', () => {
  assert.deepEqual(fromHex('00fFA5'), Uint8Array.of(0, 255, 165))
  assert.equal(hex(Uint8Array.of(0, 255, 165)), '00ffa5')
  for (const text of ['0', '0g', ' 0', '0x', 'é0']) refuses(() => fromHex(text), 'ERR_HEX')
})

test('base64 and hex agree with Node on any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(base64(bytes), Buffer.from(bytes).toString('base64'))
      assert.equal(hex(bytes), Buffer.from(bytes).toString('hex'))
      assert.deepEqual(fromBase64(base64(bytes)), bytes)
      assert.deepEqual(fromHex(hex(bytes)), bytes)
    }),
    { seed, numRuns: runs },
  )
})

test('UTF-8 of any text is what the platform writes, and comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      assert.deepEqual(utf8(text), new Uint8Array(Buffer.from(text, 'utf8')))
      assert.equal(fromUtf8(utf8(text)), text.toWellFormed())
    }),
    { seed, numRuns: runs },
  )
})

test('bytes are UTF-8 for us exactly when the platform decodes them', () => {
  const platform = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const edges = fc.constantFrom(
    0x41,
    0x80,
    0xbf,
    0xc0,
    0xc1,
    0xc2,
    0xe0,
    0xa0,
    0xed,
    0x9f,
    0xef,
    0xf0,
    0x90,
    0xf4,
    0x8f,
    0xf5,
    0xff,
  )
  fc.assert(
    fc.property(fc.array(edges, { maxLength: 6 }), (values) => {
      const bytes = Uint8Array.from(values)
      let expected: string | undefined
      try {
        expected = platform.decode(bytes)
      } catch {
        refuses(() => fromUtf8(bytes), 'ERR_UTF8')
        return
      }
      assert.equal(fromUtf8(bytes), expected)
    }),
    { seed, numRuns: runs * 20 },
  )
})

test('overlong forms, surrogates and values above U+10FFFF are refused', () => {
  for (const bytes of [
    'c080',
    'c1bf',
    'e08080',
    'e09fbf',
    'f0808080',
    'f08fbfbf',
    'eda080',
    'edbfbf',
    'f4908080',
    'f8888080',
    'ff',
    '80',
    'e282',
    'f09f98',
  ]) {
    refuses(() => fromUtf8(fromHex(bytes)), 'ERR_UTF8')
  }
})

test('bytes are joined, compared and ordered', () => {
  assert.deepEqual(
    concat(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)),
    Uint8Array.of(1, 2, 3),
  )
  assert.equal(equalBytes(fromHex('0102'), fromHex('0102')), true)
  assert.equal(equalBytes(fromHex('0102'), fromHex('0103')), false)
  assert.equal(equalBytes(fromHex('0102'), fromHex('01')), false)
  assert.equal(equalBytes(fromHex('01'), fromHex('0100')), false)
  assert.ok(compareBytes(fromHex('01'), fromHex('0100')) < 0)
  assert.ok(compareBytes(fromHex('02'), fromHex('01ff')) > 0)
  assert.equal(compareBytes(fromHex('0102'), fromHex('0102')), 0)
})

test('numbers have their most significant byte first, up to 53 bits', () => {
  const examples = [
    [0, ''],
    [0, '00'],
    [1, '0001'],
    [0xfffe, 'fffe'],
    [0x8000_0001, '80000001'],
    [2 ** 40 - 1, 'ffffffffff'],
    [Number.MAX_SAFE_INTEGER, '001fffffffffffff'],
  ] as const
  for (const [value, digits] of examples) {
    assert.equal(hex(bigEndian(value, digits.length / 2)), digits)
    assert.equal(fromBigEndian(fromHex(digits)), value)
  }
})
