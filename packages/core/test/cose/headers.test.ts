/** Headers against RFC 9052 §3: what is taken, and each rule broken. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex } from '../../src/codec/index.ts'
import { parseEncrypt0, parseMac0, parseSign1 } from '../../src/cose/index.ts'

/** A COSE_Encrypt0 with these maps and no content. */
const message = (protectedMap: string, unprotected: string): Uint8Array => {
  const length = (protectedMap.length / 2).toString(16).padStart(2, '0')
  const head =
    protectedMap.length / 2 < 24 ? (0x40 + protectedMap.length / 2).toString(16) : `58${length}`
  return fromHex(`83${head}${protectedMap}${unprotected}40`)
}
const headers = (
  protectedMap: string,
  unprotected = 'a0',
): ReturnType<typeof parseEncrypt0>['headers'] =>
  parseEncrypt0(message(protectedMap, unprotected)).headers

test('known headers come as their values, all of them as they were encoded', () => {
  const read = headers('a2010a6161f5', 'a204420102054103')
  assert.equal(read.algorithm, 10)
  assert.equal(hex(read.protectedMap), 'a2010a6161f5')
  assert.deepEqual(
    [read.kid, read.iv].map((value) => value && hex(value)),
    ['0102', '03'],
  )
  assert.equal(read.partialIv, undefined)
  assert.equal(hex(read.protected.get('a') ?? new Uint8Array()), 'f5')
  assert.equal(hex(read.unprotected.get(4) ?? new Uint8Array()), '420102')
})

test('a protected map without entries is no bytes, also where it travels as one', () => {
  for (const empty of ['', 'a0']) assert.equal(hex(headers(empty).protectedMap), '')
})

test('what is in the wrong place, twice or of another type is refused', () => {
  const refused: readonly (readonly [string, string, string | RegExp])[] = [
    // The same label in both maps, twice in one, out of order.
    ['a10441aa', 'a10441aa', 'ERR_COSE_HEADER'],
    ['a20441aa0441aa', 'a0', 'ERR_CBOR_ORDER'],
    ['a20441aa010a', 'a0', 'ERR_CBOR_ORDER'],
    ['', 'a20441aa0441aa', 'ERR_CBOR_ORDER'],
    // Algorithm, crit outside; IV and Partial IV.
    ['', 'a1010a', 'ERR_COSE_HEADER'],
    ['', 'a102810a', 'ERR_COSE_HEADER'],
    ['', 'a2054101064101', 'ERR_COSE_HEADER'],
    ['a1054101', 'a1064101', 'ERR_COSE_HEADER'],
    // Types: alg, kid, IV, Partial IV; labels; what follows the map; no map.
    ['a10141aa', 'a0', 'ERR_CBOR_KIND'],
    ['', 'a10401', 'ERR_CBOR_KIND'],
    ['', 'a105f6', 'ERR_CBOR_KIND'],
    ['', 'a106616d', 'ERR_CBOR_KIND'],
    ['a1410101', 'a0', 'ERR_CBOR_KIND'],
    ['a1f501', 'a0', 'ERR_CBOR_KIND'],
    ['a1010a00', 'a0', 'ERR_CBOR_TRAILING'],
    ['80', 'a0', 'ERR_CBOR_KIND'],
    ['', '80', 'ERR_CBOR_KIND'],
    // Another encoding of the same map.
    ['bf010aff', 'a0', 'ERR_CBOR_MINIMAL'],
    ['a101180a', 'a0', 'ERR_CBOR_MINIMAL'],
  ]
  for (const [protectedMap, unprotected, code] of refused) {
    assert.throws(() => headers(protectedMap, unprotected), { code }, protectedMap + unprotected)
  }
})

test('critical headers are there, protected, and understood by this room or by the caller', () => {
  // crit [1]: common, so understood. crit ["a"]: the caller has to say so.
  assert.equal(headers('a2010a028101').algorithm, 10)
  assert.throws(() => headers('a2028161616161f5'), { code: 'ERR_COSE_CRITICAL' })
  const understood = { understood: ['a'] }
  const text = message('a2028161616161f5', 'a0')
  assert.equal(parseEncrypt0(text, understood).headers.protected.size, 2)
  assert.throws(() => headers('a102816161'), { code: 'ERR_COSE_HEADER' })
  assert.throws(() => headers('a102816161', 'a16161f5'), { code: 'ERR_COSE_HEADER' })
  assert.throws(() => headers('a10280'), { code: 'ERR_COSE_HEADER' })
  assert.throws(() => headers('a10201'), { code: 'ERR_CBOR_KIND' })
  assert.throws(() => headers('a1028141aa'), { code: 'ERR_CBOR_KIND' })
})

/** A map of so many labels from 0x40 on. */
const many = (count: number): string =>
  `b8${count.toString(16)}${Array.from({ length: count }, (_, at) => `18${(0x40 + at).toString(16)}00`).join('')}`

test('maps, identifiers and messages have their most', () => {
  const sixteen = `b0${many(16).slice(4)}`
  assert.throws(() => headers('', many(16)), { code: 'ERR_CBOR_MINIMAL' })
  assert.equal(headers('', sixteen).unprotected.size, 16)
  assert.throws(() => headers('', `b1${many(17).slice(4)}`), { code: 'ERR_COSE_HEADER' })
  assert.equal(headers('', `a1045840${'00'.repeat(64)}`).kid?.length, 64)
  assert.throws(() => headers('', `a1045841${'00'.repeat(65)}`), { code: 'ERR_CBOR_SIZE' })
  assert.throws(() => headers('', `a17841${'61'.repeat(65)}00`), { code: 'ERR_CBOR_SIZE' })
  assert.throws(() => parseEncrypt0(new Uint8Array(65_537)), { code: 'ERR_CBOR_SIZE' })
})

test('another kind of message is refused', () => {
  const [encrypt0, mac0, sign1] = ['d08340a040', 'd18440a04040', 'd28440a04040'].map(fromHex)
  assert.ok(encrypt0 && mac0 && sign1)
  assert.equal(parseEncrypt0(encrypt0).ciphertext?.length, 0)
  assert.equal(parseMac0(mac0).tag.length, 0)
  assert.equal(parseSign1(sign1).signature.length, 0)
  for (const [parse, others] of [
    [parseEncrypt0, [mac0, sign1]],
    [parseMac0, [encrypt0, sign1]],
    [parseSign1, [encrypt0, mac0]],
  ] as const) {
    for (const other of others) assert.throws(() => parse(other), { code: 'ERR_COSE_MESSAGE' })
  }
  // Without a tag it is the number of elements that tells; and a tag stands once.
  assert.throws(() => parseSign1(fromHex('8340a040')), { code: 'ERR_COSE_MESSAGE' })
  assert.throws(() => parseEncrypt0(fromHex('8440a04040')), { code: 'ERR_COSE_MESSAGE' })
  assert.throws(() => parseSign1(fromHex('d2d28440a04040')), { code: 'ERR_COSE_MESSAGE' })
  for (const text of ['', 'a0', '40', 'f6']) {
    assert.throws(() => parseSign1(fromHex(text)), { code: /^ERR_CBOR_(KIND|TRUNCATED)$/ }, text)
  }
})
