import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, utf8 } from '@countersign/core/codec'
import { nobleCrypto } from '@countersign/core/crypto/noble'
import type { ChannelCrypto } from '@countersign/core/ports'
import { SealWitness, seeded, seededRandom } from '../../src/index.ts'

const provider = nobleCrypto(seededRandom(seeded(1)))
const nonce = new Uint8Array(13)
const none = new Uint8Array()

test('a nonce under which two different words go over the wire is found', () => {
  const { witness, seal } = watched()
  witness.see(concat(utf8('header'), seal(1, 'one'), utf8('behind')))
  witness.see(seal(1, 'two'))
  assert.equal(witness.reused.length, 1)
  assert.equal(witness.reused[0]?.nonce, '00000000000000000000000000')
  assert.equal(witness.remade.length, 1)
  assert.equal(witness.seen, 1)
})

test('a nonce is found also when the key was imported anew, as after a restart', () => {
  const { witness, seal } = watched()
  const again = watched(witness)
  witness.see(seal(1, 'one'))
  witness.see(again.seal(1, 'two'))
  assert.equal(witness.reused.length, 1)
})

test('words that never went out are told apart', () => {
  const { witness, seal } = watched()
  seal(1, 'one')
  witness.see(seal(1, 'two'))
  assert.deepEqual(witness.reused, [])
  assert.equal(witness.remade.length, 1)
})

test('the same words sent again, another key and another nonce are no reuse', () => {
  const { witness, seal } = watched()
  for (const datagram of [seal(1, 'one'), seal(1, 'one'), seal(2, 'one'), seal(1, 'x', 7)]) {
    witness.see(datagram)
    witness.see(datagram)
  }
  assert.deepEqual([witness.reused, witness.remade, witness.seen], [[], [], 3])
})

test('whoever is watched does everything else as before', () => {
  const { crypto } = watched()
  assert.deepEqual(crypto.hash('sha256', none), provider.hash('sha256', none))
  assert.deepEqual(crypto.groups, provider.groups)
  const key = crypto.importSecret(new Uint8Array(16))
  const sealed = crypto.seal('aes-ccm-16-64-128', key, nonce, none, utf8('word'))
  assert.deepEqual(crypto.open('aes-ccm-16-64-128', key, nonce, none, sealed), utf8('word'))
})

function watched(witness: SealWitness = new SealWitness()): {
  witness: SealWitness
  crypto: ChannelCrypto
  seal: (key: number, words: string, last?: number) => Uint8Array
} {
  const crypto = witness.watch(provider)
  const seal = (key: number, words: string, last = 0): Uint8Array => {
    const secret = crypto.importSecret(new Uint8Array(16).fill(key))
    return crypto.seal('aes-ccm-16-64-128', secret, nonce.with(12, last), none, utf8(words))
  }
  return { witness, crypto, seal }
}
