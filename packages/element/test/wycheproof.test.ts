/** Wycheproof (C2SP): signatures that broken verifiers take, through the crypto ports. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { nobleCrypto } from '@countersign/core/crypto/noble'
import { parseSpki } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import type { Crypto, PublicKey, SignatureScheme } from '@countersign/core/ports'
import { nodeCrypto, randomBytes } from '../src/nodeCrypto.ts'
import { type AgreementGroup, bytes, type SignatureGroup, wycheproof } from './vectors.ts'

const files: readonly [[string, SignatureScheme], [string, SignatureScheme]] = [
  ['ecdsa_secp256r1_sha256_p1363_test.json', { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' }],
  ['ed25519_test.json', { kind: 'ed25519' }],
]

const providers: readonly [string, Crypto][] = [
  ['node:crypto', nodeCrypto],
  ['@noble', nobleCrypto(randomBytes)],
]

for (const [name, crypto] of providers) describe(name, () => judges(crypto))

function judges(crypto: Crypto): void {
  for (const [file, scheme] of files) {
    test(`every signature of ${file} is judged as Wycheproof says`, () => {
      const vectors = wycheproof<SignatureGroup>(file)
      let judged = 0
      for (const group of vectors.testGroups) {
        const { der, algorithm } = parseSpki(bytes(group.publicKeyDer))
        assert.ok(algorithm !== undefined)
        const key = crypto.importPublicKey(der, algorithm)
        for (const { tcId, comment, msg, sig, result } of group.tests) {
          assert.notEqual(result, 'acceptable')
          const verdict = crypto.verify(key, scheme, bytes(msg), bytes(sig))
          assert.equal(verdict, result === 'valid', `${tcId}: ${comment}`)
          judged++
        }
      }
      assert.equal(judged, vectors.numberOfTests)
    })
  }

  test('a signature of another scheme than the key never verifies', () => {
    const key = p256(crypto)
    const schemes: readonly SignatureScheme[] = [
      { kind: 'ed25519' },
      { kind: 'rsa-pkcs1', hash: 'sha256' },
      { kind: 'rsa-pss', hash: 'sha256', saltLength: 32 },
    ]
    for (const scheme of schemes) {
      assert.equal(crypto.verify(key, scheme, new Uint8Array(1), new Uint8Array(64)), false)
    }
  })

  test('a point that is not on its curve is refused', () => {
    const { spki } = p256(crypto)
    const off = Uint8Array.from(spki)
    off[off.length - 1] = (off[off.length - 1] ?? 0) ^ 1
    refusesKey(() => crypto.importPublicKey(off, { kind: 'ec', curve: 'P-256' }))
  })

  test('a key of another curve or kind than was parsed is refused', () => {
    const { spki } = p256(crypto)
    refusesKey(() => crypto.importPublicKey(spki, { kind: 'ec', curve: 'P-384' }))
    refusesKey(() => crypto.importPublicKey(spki, { kind: 'ed25519' }))
    refusesKey(() => crypto.importPublicKey(spki, { kind: 'rsa', modulusBits: 2048 }))
  })

  test('an X25519 key is taken and signs nothing', () => {
    const spki = bytes(x25519Head + alice)
    assert.deepEqual(parseSpki(spki).algorithm, { kind: 'x25519' })
    const key = crypto.importPublicKey(spki, { kind: 'x25519' })
    assert.deepEqual(key.spki, spki)
    for (const scheme of [{ kind: 'ed25519' }, files[0][1]] as const) {
      assert.equal(crypto.verify(key, scheme, new Uint8Array(1), new Uint8Array(64)), false)
    }
    refusesKey(() => crypto.importPublicKey(spki, { kind: 'ed25519' }))
    const ed25519 = bytes(`302a300506032b6570032100${alice}`)
    refusesKey(() => crypto.importPublicKey(ed25519, { kind: 'x25519' }))
  })

  test('an X25519 key of small order is refused in each of its encodings', () => {
    // The groups of Wycheproof name those that give a secret of zeros.
    const { testGroups } = wycheproof<AgreementGroup>('x25519_test.json')
    const shared = testGroups.flatMap(({ tests }) => tests)
    const zero = shared.filter(({ shared: secret }) => /^0+$/.test(secret))
    const spkis = new Set(zero.map(({ public: share }) => x25519Head + share))
    assert.ok(spkis.size >= 7, String(spkis.size))
    for (const spki of spkis) {
      refusesKey(() => crypto.importPublicKey(bytes(spki), { kind: 'x25519' }))
    }
  })

  test('an Ed25519 key of small order is refused in each of its encodings', () => {
    // RFC 8032 §5.1: y of the points whose order divides 8, and y + p where that fits into 255 bits;
    // both signs.
    const p = 2n ** 255n - 19n
    const d = (-121665n * power(121666n, p - 2n, p)) % p
    const orderEight = roots(d < 0n ? d + p : d, p)
    const ys = [0n, 1n, p - 1n, p, p + 1n, ...orderEight]
    assert.equal(ys.length, 7)
    for (const y of ys) {
      for (const sign of [0, 0x80]) {
        const point = Buffer.from(Buffer.from(y.toString(16).padStart(64, '0'), 'hex').toReversed())
        point.writeUInt8(point.readUInt8(31) | sign, 31)
        const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), point])
        refusesKey(() => crypto.importPublicKey(spki, { kind: 'ed25519' }))
      }
    }
  })
}

/** RFC 8410 §4 around the key of RFC 7748 §6.1 that is Alice's. */
const x25519Head = '302a300506032b656e032100'
const alice = '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'

function p256(crypto: Crypto): PublicKey {
  const vectors = wycheproof<SignatureGroup>('ecdsa_secp256r1_sha256_p1363_test.json')
  const spki = bytes(vectors.testGroups[0]?.publicKeyDer ?? '')
  return crypto.importPublicKey(spki, { kind: 'ec', curve: 'P-256' })
}

function refusesKey(act: () => unknown): void {
  assert.throws(act, (error) => error instanceof PeerError && error.code === 'ERR_KEY_INVALID')
}

/** The two y with d·y⁴ + 2·y² − 1 = 0 that double to a point with y = 0: points of order 8. */
function roots(d: bigint, p: bigint): readonly bigint[] {
  // x² = −y² there (x = y·√−1 doubles to y = 0), so the curve −x² + y² = 1 + d·x²·y² becomes 2·y² =
  // 1 − d·y⁴.
  const root = squareRoot((1n + d) % p, p)
  const inverse = power(d, p - 2n, p)
  const found: bigint[] = []
  for (const sign of [root, p - root]) {
    const square = (((sign - 1n + p) % p) * inverse) % p
    const y = squareRoot(square, p)
    if ((y * y) % p === square) found.push(y, p - y)
  }
  return found
}

/** p ≡ 5 (mod 8); the result is a root only when there is one. */
function squareRoot(value: bigint, p: bigint): bigint {
  const candidate = power(value, (p + 3n) / 8n, p)
  if ((candidate * candidate) % p === value) return candidate
  return (candidate * power(2n, (p - 1n) / 4n, p)) % p
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  let factor = ((base % modulus) + modulus) % modulus
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * factor) % modulus
    factor = (factor * factor) % modulus
  }
  return result
}
