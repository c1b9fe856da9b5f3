/** A Node that has no ML-KEM: a file of its own, because the provider asks once in a process. */
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { test } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import { nodeCrypto } from '../src/nodeCrypto.ts'

test('where Node has no ML-KEM, the hybrid is not offered and the others work', (t) => {
  t.mock.property(crypto, 'decapsulate', undefined)
  assert.deepEqual(nodeCrypto.groups, ['x25519', 'secp256r1'])
  assert.throws(
    () => nodeCrypto.generateEphemeral('X25519MLKEM768'),
    (error) => error instanceof CallerError && error.code === 'ERR_GROUP_MISSING',
  )
  const [one, other] = [
    nodeCrypto.generateEphemeral('x25519'),
    nodeCrypto.generateEphemeral('x25519'),
  ]
  const [first, second] = [one.agree(other.share), other.agree(one.share)]
  assert.deepEqual(nodeCrypto.exportSecret(first), nodeCrypto.exportSecret(second))
})
