/** The provider of Node does what every provider of a channel's crypto must do. */
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { test } from 'node:test'
import { nodeCrypto } from '../src/nodeCrypto.ts'
import { channelCryptoCompliance } from './channelCryptoCompliance.ts'

channelCryptoCompliance('node:crypto', nodeCrypto)

test('every AEAD and group of the port is there', () => {
  assert.deepEqual(nodeCrypto.aeads, [
    'aes-128-gcm',
    'aes-256-gcm',
    'chacha20-poly1305',
    'aes-128-ccm-8',
    'aes-ccm-16-64-128',
    'aes-ccm-16-128-128',
  ])
  const hybrid = 'encapsulate' in crypto ? ['X25519MLKEM768'] : []
  assert.deepEqual(nodeCrypto.groups, [...hybrid, 'x25519', 'secp256r1'])
})
