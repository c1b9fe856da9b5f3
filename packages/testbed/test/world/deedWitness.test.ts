import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SecretKey } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { DeedWitness } from '../../src/index.ts'

const [first, second] = [new Uint8Array(13), new Uint8Array(13).fill(1)]
const none = new Uint8Array()

test('each message may lead to one deed, whatever else is under way', async () => {
  const { deeds, receive } = scene()
  await Promise.all([receive(first, 3), receive(second, 1)])
  assert.deepEqual(deeds.twice, [])
  assert.equal(deeds.count, 2)
})

test('a message that was taken twice is found by its second deed', async () => {
  const { deeds, receive } = scene()
  await Promise.all([receive(first, 2), receive(second, 1)])
  await receive(first, 1)
  assert.deepEqual(
    deeds.twice.map(({ deeds: done }) => done),
    [['stored', 'stored']],
  )
})

test('what does not open is no message: its deed would be of the one before', async () => {
  const { deeds, crypto, key } = scene()
  assert.throws(() => crypto.open('aes-ccm-16-64-128', key, first, none, new Uint8Array(20)), {
    code: 'ERR_AEAD_OPEN',
  })
  deeds.done('stored')
  deeds.done('stored')
  assert.deepEqual(deeds.twice, [{ message: 'no message', deeds: ['stored', 'stored'] }])
})

interface Scene {
  readonly deeds: DeedWitness
  readonly crypto: typeof nodeCrypto
  readonly key: SecretKey
  /** Opens a message, and does what it asks for after so many turns. */
  readonly receive: (nonce: Uint8Array, turns: number) => Promise<void>
}

function scene(): Scene {
  const deeds = new DeedWitness()
  const crypto = deeds.watch(nodeCrypto)
  const key = crypto.importSecret(new Uint8Array(16))
  const receive = async (nonce: Uint8Array, turns: number): Promise<void> => {
    const ciphertext = crypto.seal('aes-ccm-16-64-128', key, nonce, none, Uint8Array.of(1))
    crypto.open('aes-ccm-16-64-128', key, nonce, none, ciphertext)
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    deeds.done('stored')
  }
  return { deeds, crypto, key, receive }
}
