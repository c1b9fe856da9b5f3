/** Signatures of every curve and encoding by the portable provider; OpenSSL makes them. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { test } from 'node:test'
import { nobleCrypto } from '../../src/crypto/noble.ts'
import { InvariantError, PeerError } from '../../src/errors.ts'
import type { HashName, PublicKey, SignatureScheme } from '../../src/ports.ts'

const zeros = { bytes: (length: number): Uint8Array => new Uint8Array(length) }
const crypto = nobleCrypto(zeros)
const message = Buffer.from('a message')
const hashes: readonly HashName[] = ['sha1', 'sha256', 'sha384', 'sha512']

for (const curve of ['P-256', 'P-384', 'P-521'] as const) {
  test(`ECDSA on ${curve} is verified with each hash and in both encodings`, () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve })
    const key = crypto.importPublicKey(spkiOf(publicKey), { kind: 'ec', curve })
    for (const hash of hashes) {
      for (const encoding of ['der', 'p1363'] as const) {
        const dsaEncoding = encoding === 'der' ? 'der' : 'ieee-p1363'
        // Half of all have a high s: none of eight would be one chance in 256.
        for (let round = 0; round < 8; round++) {
          const signature = sign(hash, message, { key: privateKey, dsaEncoding })
          const scheme = { kind: 'ecdsa', hash, encoding } as const
          assert.equal(crypto.verify(key, scheme, message, signature), true, `${hash} ${encoding}`)
          assert.equal(crypto.verify(key, scheme, Buffer.from('another'), signature), false)
        }
      }
    }
  })
}

test('a signature with any bit changed, cut, or in the other encoding does not verify', () => {
  for (const { key, scheme, signature } of signatures()) {
    const holds = (bytes: Uint8Array): boolean => crypto.verify(key, scheme, message, bytes)
    assert.equal(holds(signature), true)
    for (let bit = 0; bit < signature.length * 8; bit++) {
      const flipped = Uint8Array.from(signature)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.equal(holds(flipped), false, `${scheme.kind}, bit ${bit}`)
    }
    for (let length = 0; length < signature.length; length++) {
      assert.equal(holds(signature.subarray(0, length)), false, `${scheme.kind}, ${length} bytes`)
    }
    assert.equal(holds(Uint8Array.of(...signature, 0)), false)
    if (scheme.kind !== 'ecdsa') continue
    const encoding = scheme.encoding === 'der' ? 'p1363' : 'der'
    assert.equal(crypto.verify(key, { ...scheme, encoding }, message, signature), false)
  }
})

test('DER of a signature has one form: minimal lengths and numbers, nothing negative', () => {
  // One whose r is filled up with a zero so as not to be negative: every other one.
  let der: Signed | undefined
  while (der?.signature[4] !== 0) [der] = signatures()
  const { key, scheme, signature } = der
  const rLength = signature[3] ?? 0
  const r = signature.subarray(4, 4 + rLength)
  const s = signature.subarray(6 + rLength)
  const holds = (...bytes: readonly number[]): boolean =>
    crypto.verify(key, scheme, message, Uint8Array.from(bytes))
  const numbers = [2, r.length, ...r, 2, s.length, ...s]
  assert.equal(holds(0x30, numbers.length, ...numbers), true)
  assert.equal(holds(0x30, 0x81, numbers.length, ...numbers), false, 'a long form of the length')
  assert.equal(holds(0x30, 0x80, ...numbers, 0, 0), false, 'an indefinite length')
  assert.equal(holds(0x30, numbers.length + 2, ...numbers, 5, 0), false, 'a third element')
  const padded = [2, r.length + 1, 0, ...r, 2, s.length, ...s]
  assert.equal(holds(0x30, padded.length, ...padded), false, 'r with a zero too many')
  const negative = [2, r.length - 1, ...r.subarray(1), 2, s.length, ...s]
  assert.equal(holds(0x30, negative.length, ...negative), false, 'r below zero')
})

test('RSA is refused, and says so', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const act = (): unknown =>
    crypto.importPublicKey(spkiOf(publicKey), { kind: 'rsa', modulusBits: 2048 })
  assert.throws(act, (error) => error instanceof PeerError && /no RSA/.test(error.message))
})

test('a SubjectPublicKeyInfo with any bit of its head changed, or cut, is refused', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = spkiOf(publicKey)
  for (let bit = 0; bit < spki.length * 8; bit++) {
    const flipped = Uint8Array.from(spki)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    refuses(flipped)
  }
  for (let length = 0; length < spki.length; length++) refuses(spki.subarray(0, length))
  refuses(Uint8Array.of(...spki, 0))
})

function refuses(spki: Uint8Array): void {
  assert.throws(
    () => crypto.importPublicKey(spki, { kind: 'ec', curve: 'P-256' }),
    (error) => error instanceof PeerError && error.code === 'ERR_KEY_INVALID',
  )
}

test('private keys of agreements are made of what the port of randomness gives, and of nothing else', () => {
  // RFC 7748 §6.1: Alice's private key and her public one, Bob's public one, their secret.
  const alice = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a')
  const given = nobleCrypto({ bytes: () => Uint8Array.from(alice) })
  const x25519 = given.generateEphemeral('x25519')
  const share = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'
  assert.deepEqual(x25519.share, fromHex(share))
  const bob = fromHex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f')
  const secret = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'
  assert.deepEqual(given.exportSecret(x25519.agree(bob)), fromHex(secret))
  // FIPS 186-5 §A.2.1: zeros make the private key 1, whose public one is the base point (SEC 2 §2.4.2).
  assert.deepEqual(
    crypto.generateEphemeral('secp256r1').share,
    fromHex(
      '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
        '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
    ),
  )
})

test('a source of randomness that gives less than it was asked for is no source', () => {
  const short = nobleCrypto({ bytes: (length) => new Uint8Array(length - 1) })
  for (const group of short.groups) {
    assert.throws(() => short.generateEphemeral(group), InvariantError)
  }
})

interface Signed {
  readonly key: PublicKey
  readonly scheme: SignatureScheme
  readonly signature: Uint8Array
}

function signatures(): readonly Signed[] {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ed = generateKeyPairSync('ed25519')
  const p256 = crypto.importPublicKey(spkiOf(ec.publicKey), { kind: 'ec', curve: 'P-256' })
  const key = ec.privateKey
  return [
    {
      key: p256,
      scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'der' },
      signature: sign('sha256', message, key),
    },
    {
      key: p256,
      scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' },
      signature: sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' }),
    },
    {
      key: crypto.importPublicKey(spkiOf(ed.publicKey), { kind: 'ed25519' }),
      scheme: { kind: 'ed25519' },
      signature: sign(null, message, ed.privateKey),
    },
  ]
}

function spkiOf(key: KeyObject): Uint8Array {
  return Uint8Array.from(key.export({ format: 'der', type: 'spki' }))
}

function fromHex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits, 'hex'))
}
