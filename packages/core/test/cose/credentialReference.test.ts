/** References to credentials: RFC 9360 §2, ID_CRED_x of RFC 9528 §3.5.3 and RFC 9529. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { CborReader, fromHex, hex, utf8 } from '../../src/codec/index.ts'
import {
  type CredentialReference,
  credentialHeaders,
  encodeByteIdentifier,
  encodeCompactReference,
  encodeCredentialReference,
  hashAlgorithm,
  isThumbprintOf,
  readByteIdentifier,
  readCompactReference,
  readCredentialReference,
  referenceOf,
  thumbprint,
} from '../../src/cose/index.ts'

function parse(text: string): CredentialReference {
  const reader = new CborReader(fromHex(text), 'message_2')
  const reference = readCredentialReference(reader, 'ID_CRED_R', 'message_2')
  reader.end()
  return reference
}

test('kid, x5t, x5chain and x5u are read and written, alone and together', () => {
  const kid = parse('a1044132')
  assert.deepEqual(Object.keys(kid), ['kid'])
  // RFC 9529 §2.3: ID_CRED_R.
  const x5t = parse('a11822822e4879f2a41b510c1f9b')
  assert.equal(x5t.x5t?.algorithm.id, -15)
  assert.equal(hex(x5t.x5t?.value ?? new Uint8Array()), '79f2a41b510c1f9b')
  assert.deepEqual(parse('a118214130').x5chain?.map(hex), ['30'])
  assert.deepEqual(parse('a118218241304131').x5chain?.map(hex), ['30', '31'])
  assert.equal(parse('a11823d820676125323062622f').x5u, 'a%20bb/')
  const all = 'a4044132182141301822822e4879f2a41b510c1f9b1823d8206161'
  assert.deepEqual(Object.keys(parse(all)).toSorted(), ['kid', 'x5chain', 'x5t', 'x5u'])
  for (const text of [
    'a1044132',
    'a11822822e4879f2a41b510c1f9b',
    'a118214130',
    'a118218241304131',
    'a11823d820676125323062622f',
    all,
  ]) {
    assert.equal(hex(encodeCredentialReference(parse(text))), text)
    assert.equal(
      hex(encodeCredentialReference(referenceOf(new Map(credentialHeaders(parse(text))), 'it'))),
      text,
    )
  }
})

test('what names nothing, something else, or breaks its form is refused', () => {
  const refused: readonly (readonly [string, string])[] = [
    ['a0', 'ERR_COSE_CREDENTIAL'],
    // A CWT claims set by value, an unknown label, a text label.
    ['a10ea0', 'ERR_COSE_CREDENTIAL'],
    ['a118244130', 'ERR_COSE_CREDENTIAL'],
    ['a1636b69644132', 'ERR_COSE_CREDENTIAL'],
    ['a10432', 'ERR_CBOR_KIND'],
    // Chains: of none, of one in an array, of five, without bytes, not of byte strings.
    ['a1182180', 'ERR_COSE_CREDENTIAL'],
    ['a11821814130', 'ERR_COSE_CREDENTIAL'],
    ['a118218541304131413241334134', 'ERR_COSE_CREDENTIAL'],
    ['a1182140', 'ERR_COSE_CREDENTIAL'],
    ['a11821824130f6', 'ERR_CBOR_KIND'],
    ['a11821f6', 'ERR_CBOR_KIND'],
    // Thumbprints: unknown hashes, SHA-1 among them, another length, another form.
    ['a118228238484879f2a41b510c1f9b', 'ERR_COSE_ALGORITHM'],
    ['a11822822d540000000000000000000000000000000000000000', 'ERR_COSE_ALGORITHM'],
    ['a1182282264879f2a41b510c1f9b', 'ERR_COSE_ALGORITHM'],
    ['a1182282677368612d3235364101', 'ERR_COSE_ALGORITHM'],
    ['a11822822e4779f2a41b510c1f', 'ERR_COSE_CREDENTIAL'],
    ['a11822822f4879f2a41b510c1f9b', 'ERR_COSE_CREDENTIAL'],
    ['a11822812e', 'ERR_COSE_CREDENTIAL'],
    ['a11822832e4879f2a41b510c1f9b00', 'ERR_COSE_CREDENTIAL'],
    ['a118224879f2a41b510c1f9b', 'ERR_CBOR_KIND'],
    // URIs: without their tag, under another one, empty, with a space, beyond ASCII, not text.
    ['a118236161', 'ERR_COSE_CREDENTIAL'],
    ['a11823d8216161', 'ERR_COSE_CREDENTIAL'],
    ['a11823d82060', 'ERR_COSE_CREDENTIAL'],
    ['a11823d82063612062', 'ERR_COSE_CREDENTIAL'],
    ['a11823d82062c3bc', 'ERR_COSE_CREDENTIAL'],
    ['a11823d8204161', 'ERR_CBOR_KIND'],
    // Twice, out of order, more than the map.
    ['a2044132044133', 'ERR_CBOR_ORDER'],
    ['a218214130044132', 'ERR_CBOR_ORDER'],
    ['a104413200', 'ERR_CBOR_TRAILING'],
  ]
  for (const [text, code] of refused) assert.throws(() => parse(text), { code }, text)
})

const size = (length: number): string => length.toString(16).padStart(4, '0')
const chainOf = (length: number): string => `a1182159${size(length)}${'30'.repeat(length)}`
const uri = (length: number): string => `a11823d82079${size(length)}${'61'.repeat(length)}`

test('certificates, key identifiers and URIs have their most', () => {
  assert.equal(parse(chainOf(16_384)).x5chain?.[0]?.length, 16_384)
  assert.throws(() => parse(chainOf(16_385)), { code: 'ERR_CBOR_SIZE' })
  assert.equal(parse(uri(512)).x5u?.length, 512)
  assert.throws(() => parse(uri(513)), { code: 'ERR_CBOR_SIZE' })
  assert.throws(() => parse(`a1045841${'00'.repeat(65)}`), { code: 'ERR_CBOR_SIZE' })
})

test('a thumbprint is that of its certificate alone', () => {
  // FIPS 180-4: SHA-256 of "abc".
  const whole = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  const certificate = utf8('abc')
  const [short, long] = [-15, -16].map((id) => hashAlgorithm(id, 'x5t'))
  assert.ok(short && long)
  assert.equal(hex(thumbprint(nodeCrypto, long, certificate).value), whole)
  const eight = thumbprint(nodeCrypto, short, certificate)
  assert.equal(hex(eight.value), whole.slice(0, 16))
  assert.equal(isThumbprintOf(nodeCrypto, eight, certificate), true)
  assert.equal(isThumbprintOf(nodeCrypto, eight, utf8('abd')), false)
})

function identifier(text: string): string {
  const reader = new CborReader(fromHex(text), 'message_1')
  const value = readByteIdentifier(reader, 'C_I')
  reader.end()
  return hex(value)
}

test('a byte that is an integer by itself travels as it is, everything else as a byte string', () => {
  // RFC 9528 §3.3.2, and -14 of RFC 9529 §3.1.
  const pairs: readonly (readonly [value: string, encoding: string])[] = [
    ['00', '00'],
    ['17', '17'],
    ['18', '4118'],
    ['1f', '411f'],
    ['20', '20'],
    ['2d', '2d'],
    ['37', '37'],
    ['38', '4138'],
    ['40', '4140'],
    ['ff', '41ff'],
    ['', '40'],
    ['0000', '420000'],
  ]
  for (const [value, encoding] of pairs) {
    assert.equal(hex(encodeByteIdentifier(fromHex(value))), encoding)
    assert.equal(identifier(encoding), value)
  }
  for (const other of ['4100', '4117', '4120', '412d', '4137', '1818', '3818']) {
    assert.throws(() => identifier(other), { code: 'ERR_CBOR_VALUE' }, other)
  }
  for (const other of ['6161', 'f6', '80', 'd82000']) {
    assert.throws(() => identifier(other), { code: 'ERR_CBOR_KIND' }, other)
  }
})

function compact(text: string): CredentialReference {
  const reader = new CborReader(fromHex(text), 'PLAINTEXT_2')
  const reference = readCompactReference(reader, 'ID_CRED_R', 'PLAINTEXT_2')
  reader.end()
  return reference
}

test('a kid alone goes without its map, and with something beside it in one', () => {
  // RFC 9529 §3.2: ID_CRED_R is { 4: h'32' }, which goes as -19.
  assert.equal(hex(compact('32').kid ?? new Uint8Array()), '32')
  for (const text of ['32', '4118', '43010203', 'a11822822e4879f2a41b510c1f9b']) {
    assert.equal(hex(encodeCompactReference(compact(text))), text)
  }
  const both = 'a20441321823d8206161'
  assert.equal(hex(encodeCompactReference(compact(both))), both)
  assert.equal(hex(encodeCompactReference(parse('a1044132'))), '32')
  assert.throws(() => compact('a1044132'), { code: 'ERR_COSE_CREDENTIAL' })
  assert.throws(() => compact('4132'), { code: 'ERR_CBOR_VALUE' })
  assert.throws(() => compact('a0'), { code: 'ERR_COSE_CREDENTIAL' })
})
