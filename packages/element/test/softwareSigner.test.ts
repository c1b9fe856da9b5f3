/**
 * The signer of a key in this process: what it signs verifies with Node's own verifier, and other
 * keys are refused.
 */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { test } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import { softwareCoseSigner, softwareSigner } from '../src/softwareSigner.ts'

const message = Uint8Array.from(Buffer.from('a whole message, no digest'))

test('P-256, P-384 and Ed25519 sign, each by its own scheme', async () => {
  const keys = [
    [generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'sha256'],
    [generateKeyPairSync('ec', { namedCurve: 'P-384' }), 'sha384'],
    [generateKeyPairSync('ed25519'), null],
  ] as const
  for (const [{ privateKey, publicKey }, hash] of keys) {
    const signer = softwareSigner(privateKey)
    const spki = createPublicKey({ key: Buffer.from(signer.spki), format: 'der', type: 'spki' })
    assert.ok(spki.equals(publicKey))
    const signature = await signer.sign(message)
    assert.ok(verify(hash, message, publicKey, signature))
    assert.equal(signer.scheme.kind, hash === null ? 'ed25519' : 'ecdsa')
  }
})

test('a key that no profile uses, and a public key, make no signer', () => {
  const refused = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
    generateKeyPairSync('x25519').privateKey,
    generateKeyPairSync('ed25519').publicKey,
  ]
  for (const key of refused) {
    assert.throws(
      () => softwareSigner(key),
      (error) => error instanceof CallerError && error.code === 'ERR_SIGNER_KEY',
    )
  }
})

test('for COSE, P-256 signs as r || s, which other verifiers take; other curves do not sign', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer = softwareCoseSigner(privateKey)
  assert.deepEqual(signer.scheme, { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' })
  const signature = await signer.sign(message)
  assert.equal(signature.length, 64)
  assert.ok(verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature))
  for (const key of [
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    generateKeyPairSync('ed25519').privateKey,
    publicKey,
  ])
    assert.throws(() => softwareCoseSigner(key), { code: 'ERR_SIGNER_KEY' })
})
