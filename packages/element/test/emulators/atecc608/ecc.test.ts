/** The arithmetic of P-256 under Sign and Verify, beside another implementation of it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { p256 } from '@noble/curves/nist.js'
import {
  drawScalar,
  publicPoint,
  signDigest,
  verifyDigest,
} from '../../../src/emulators/atecc608/ecc.ts'
import { inverse } from '../../../src/emulators/atecc608/inverse.ts'

/** SP 800-186 §3.2.1.3. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const prime = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn
/** SHA-256 of nothing, which the emulator has OpenSSL verify. */
const ofNothing = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855n

test('an inverse times its number is one, also beside the borders of its shortcut', () => {
  const powers = [0, 1, 8, 46, 47, 48, 49, 50, 95, 96, 97, 128, 254].map((bit) => 1n << BigInt(bit))
  const borders = powers.flatMap((power) => [power, power + 1n, prime - power])
  const others = Array.from({ length: 100 }, (_, index) => numberOf(`value ${index}`))
  for (const modulus of [order, prime]) {
    for (const value of [...borders, ...others]) {
      const product = (inverse(value, modulus) * value) % modulus
      assert.equal(product, 1n, `${value} modulo ${modulus}`)
    }
    assert.equal(inverse(-2n, modulus), (modulus - 1n) / 2n)
  }
})

test('signatures verify here and there, and neither with a bit changed', () => {
  const random = drawn('signatures')
  for (let round = 0; round < 3; round++) {
    const scalar = drawScalar(random)
    const digest = random(32)
    const signature = signDigest(scalar, digest, random)
    assert.ok(bothVerify(publicPoint(scalar), digest, signature))
    for (const at of [0, 63]) {
      const changed = signature.slice()
      changed[at] = (changed[at] ?? 0) ^ 1
      assert.equal(bothVerify(publicPoint(scalar), digest, changed), false)
    }
  }
})

test('a digest for which the key is moved onto itself, doubled, or to infinity', () => {
  const scalar = numberOf('scalar')
  const nonce = numberOf('nonce')
  const r = toNumber(publicPoint(toBytes(nonce)).subarray(0, 32)) % order
  for (const times of [0n, 1n, -1n]) {
    // (e - e0) / r is to be that many times the private key.
    const digest = (((ofNothing + times * r * scalar) % order) + order) % order
    const s = (inverse(nonce, order) * (digest + r * scalar)) % order
    const signature = Buffer.concat([toBytes(r), toBytes(s)])
    const verdict = verifyDigest(publicPoint(toBytes(scalar)), toBytes(digest), signature)
    // At infinity e0 G + 0 Q is left, which OpenSSL could not be asked about.
    assert.equal(verdict, times !== -1n, `${times}`)
  }
})

function bothVerify(point: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  const here = verifyDigest(point, digest, signature)
  const there = p256.verify(signature, digest, Uint8Array.of(4, ...point), {
    prehash: false,
    lowS: false,
  })
  assert.equal(here, there)
  return here
}

function drawn(seed: string): (length: number) => Uint8Array {
  let draws = 0
  return (length) => toBytes(numberOf(`${seed} ${draws++}`)).subarray(0, length)
}

function numberOf(text: string): bigint {
  return toNumber(createHash('sha256').update(text).digest()) % order
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function toBytes(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
}
