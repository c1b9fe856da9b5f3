/** Key agreement with the private keys that RFC 7748, RFC 5903 and Wycheproof give. */
import assert from 'node:assert/strict'
import { createECDH, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { PeerError } from '@countersign/core/errors'
import type { EphemeralKey } from '@countersign/core/ports'
import { nodeCrypto } from '../src/nodeCrypto.ts'
import { ephemeralFrom } from '../src/nodeGroups.ts'
import { type AgreementGroup, bytes, hex, wycheproof } from './vectors.ts'

test('X25519 gives the shares and the secret of RFC 7748 §6.1', () => {
  const secret = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'
  const alice = x25519('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a')
  const bob = x25519('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')
  assert.equal(hex(alice.share), '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')
  assert.equal(hex(bob.share), 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f')
  assert.equal(agreed(alice, hex(bob.share)), secret)
  assert.equal(agreed(bob, hex(alice.share)), secret)
})

test('every X25519 of Wycheproof gives its secret, or is refused when that is all zeros', () => {
  const vectors = wycheproof<AgreementGroup>('x25519_test.json')
  let judged = 0
  for (const { tests } of vectors.testGroups) {
    for (const one of tests) {
      const agree = (): string => agreed(x25519(one.private), one.public)
      // Wycheproof leaves zeros, twists and non-canonical points to the protocol; TLS 1.3 refuses
      // zeros alone (RFC 8446 §7.4.2).
      if (/^0+$/.test(one.shared)) assert.throws(agree, badShare, String(one.tcId))
      else assert.equal(agree(), one.shared, String(one.tcId))
      judged++
    }
  }
  assert.equal(judged, vectors.numberOfTests)
})

test('secp256r1 gives the shares and the secret of RFC 5903 §8.1', () => {
  const ours = p256('c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433')
  assert.equal(
    hex(ours.share),
    '04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
  )
  const theirs =
    '04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab'
  const secret = 'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de'
  assert.equal(agreed(ours, theirs), secret)
})

test('every ECDH of P-256 of Wycheproof gives its secret, or is refused', () => {
  const vectors = wycheproof<AgreementGroup>('ecdh_secp256r1_ecpoint_test.json')
  let judged = 0
  for (const { tests } of vectors.testGroups) {
    for (const one of tests) {
      const agree = (): string => agreed(p256(one.private), one.public)
      // "acceptable" is a compressed point, which TLS 1.3 does not have.
      if (one.result === 'valid') assert.equal(agree(), one.shared, String(one.tcId))
      else assert.throws(agree, badShare, `${one.tcId}: ${one.comment}`)
      judged++
    }
  }
  assert.equal(judged, vectors.numberOfTests)
})

test('a coordinate that begins with zeros keeps its 32 bytes', () => {
  // The x of the first and the y of the second begin with a zero byte.
  for (const [scalar, zeroAt] of [
    [379, 1],
    [43, 33],
  ] as const) {
    const { share } = p256(scalar.toString(16).padStart(64, '0'))
    assert.equal(share.length, 65)
    assert.equal(share[zeroAt], 0)
    assert.equal(hex(share), hex(ecdhOf(scalar.toString(16)).getPublicKey()))
  }
})

test('an ephemeral key shows nothing of its private half', () => {
  const scalar = 'c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433'
  const key = p256(scalar)
  assert.deepEqual(Reflect.ownKeys(key), ['group', 'share'])
  for (const face of [inspect(key, { showHidden: true, depth: 20 }), JSON.stringify(key)]) {
    assert.ok(!face.includes('KeyObject'), face)
  }
})

function agreed(key: EphemeralKey, share: string): string {
  return hex(nodeCrypto.exportSecret(key.agree(bytes(share))))
}

function x25519(scalar: string): EphemeralKey {
  // PKCS #8 of RFC 8410 §7 up to the 32 bytes.
  const der = Buffer.from(`302e020100300506032b656e04220420${scalar}`, 'hex')
  return ephemeralFrom('x25519', pair(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })))
}

function p256(scalar: string): EphemeralKey {
  const ecdh = ecdhOf(scalar)
  const point = ecdh.getPublicKey()
  const key = {
    kty: 'EC',
    crv: 'P-256',
    d: ecdh.getPrivateKey().toString('base64url'),
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  }
  return ephemeralFrom('secp256r1', pair(createPrivateKey({ key, format: 'jwk' })))
}

/** Wycheproof writes its scalars as signed integers: shorter or longer than 32 bytes. */
function ecdhOf(scalar: string): ReturnType<typeof createECDH> {
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(Buffer.from(scalar.padStart(64, '0').slice(-64), 'hex'))
  return ecdh
}

function pair(privateKey: KeyObject): { privateKey: KeyObject; publicKey: KeyObject } {
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

function badShare(error: unknown): boolean {
  return error instanceof PeerError && error.code === 'ERR_KEY_SHARE'
}
