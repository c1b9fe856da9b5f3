/** Nonces under a flood: whoever asks for many costs nobody else his. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { nonceLifeMs, Nonces } from '../../src/attestation/nonces.ts'

interface Desk {
  readonly nonces: Nonces
  readonly pass: (ms: number) => void
}

/** Nonces that count, and a clock that is moved by hand. */
function desk(): Desk {
  let time = 0
  let count = 0
  const bytes = (length: number): Uint8Array => {
    const nonce = new Uint8Array(length)
    new DataView(nonce.buffer).setUint32(0, ++count)
    return nonce
  }
  const nonces = new Nonces({ clock: { now: () => time }, random: { bytes } })
  return { nonces, pass: (ms) => void (time += ms) }
}

/** As many as this holder is given, and what he does with each; how many. */
function flood(nonces: Nonces, holder: string, then: (nonce: Uint8Array) => void): number {
  for (let given = 0; ; given++) {
    try {
      then(nonces.give(holder).nonce)
    } catch {
      return given
    }
  }
}

suite('a flood', () => {
  test('of holders of tokens who use what they get leaves nonces for the others', () => {
    const { nonces, pass } = desk()
    let given = 0
    // One minute less than a nonce lives: nothing has expired.
    for (let second = 0; second < 540; second++) {
      for (let token = 0; token < 8; token++) {
        const holder = `token:${token}`
        given += flood(nonces, holder, (nonce) => assert.equal(nonces.take(nonce, holder), 'good'))
      }
      pass(1000)
    }
    assert.ok(given > 200_000)
    assert.equal(nonces.give('certificate:other').nonce.length, 32)
  })

  test('of many holders who use nothing leaves each other a few', () => {
    const { nonces, pass } = desk()
    for (let second = 0; second < 20; second++) {
      for (let token = 0; token < 150; token++) flood(nonces, `token:${token}`, () => undefined)
      pass(1000)
    }
    // Each may have 1,000; all of them together are too many.
    assert.throws(() => nonces.give('token:0'), { code: 'ERR_ATTESTATION_RATE' })
    for (const holder of ['token:other', 'certificate:other']) {
      assert.equal(nonces.take(nonces.give(holder).nonce, holder), 'good')
    }
    pass(nonceLifeMs)
    assert.equal(nonces.give('token:0').nonce.length, 32)
  })

  test('does not make a used nonce good again', () => {
    const { nonces, pass } = desk()
    const { nonce } = nonces.give('token:mine')
    assert.equal(nonces.take(nonce, 'token:mine'), 'good')
    assert.equal(nonces.take(nonce, 'token:mine'), 'used')
    assert.equal(nonces.take(nonce, 'token:other'), 'foreign')
    for (let second = 0; second < 300; second++) {
      for (let token = 0; token < 2; token++) {
        const holder = `token:${token}`
        flood(nonces, holder, (one) => assert.equal(nonces.take(one, holder), 'good'))
      }
      pass(1000)
    }
    assert.equal(nonces.take(nonce, 'token:mine'), 'unknown')
  })
})
