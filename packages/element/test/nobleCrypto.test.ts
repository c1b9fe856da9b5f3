/** The portable provider does what every provider of a channel's crypto must do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nobleCrypto } from '@countersign/core/crypto/noble'
import { randomBytes } from '../src/nodeCrypto.ts'
import { channelCryptoCompliance } from './channelCryptoCompliance.ts'

const crypto = nobleCrypto(randomBytes)

channelCryptoCompliance('@noble', crypto)

test('it has every AEAD of the port, and of the groups the classic ones', () => {
  assert.deepEqual(crypto.aeads, [
    'aes-128-gcm',
    'aes-256-gcm',
    'chacha20-poly1305',
    'aes-128-ccm-8',
    'aes-ccm-16-64-128',
    'aes-ccm-16-128-128',
  ])
  assert.deepEqual(crypto.groups, ['x25519', 'secp256r1'])
})
