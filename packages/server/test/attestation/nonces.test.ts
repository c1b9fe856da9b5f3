/** Nonces: whose, how often, how long, and how many at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerError } from '@countersign/core/errors'
import { Nonces, nonceLifeMs } from '../../src/attestation/nonces.ts'

function open(): { readonly nonces: Nonces; readonly clock: { time: number; now(): number } } {
  const clock = {
    time: 1_000_000,
    now(): number {
      return this.time
    },
  }
  let drawn = 0
  const random = {
    bytes: (length: number): Uint8Array => {
      const bytes = new Uint8Array(length)
      new DataView(bytes.buffer).setUint32(0, ++drawn)
      return bytes
    },
  }
  return { nonces: new Nonces({ clock, random }), clock }
}

function refused(nonces: Nonces, holder: string): boolean {
  try {
    nonces.give(holder)
    return false
  } catch (error) {
    if (error instanceof PeerError && error.code === 'ERR_ATTESTATION_RATE') return true
    throw error
  }
}

const mine = 'certificate:aa'
const other = 'certificate:bb'

test('a nonce is of 32 bytes, good once and for its holder', () => {
  const { nonces, clock } = open()
  const { nonce, expires } = nonces.give(mine)
  assert.equal(nonce.length, 32)
  assert.equal(expires, clock.time + 600_000)
  assert.equal(nonces.take(nonce, other), 'foreign')
  assert.equal(nonces.take(nonce, mine), 'good')
  assert.equal(nonces.take(nonce, mine), 'used')
  assert.equal(nonces.take(new Uint8Array(32), mine), 'unknown')
})

test('it is good until its end and not at it', () => {
  const { nonces, clock } = open()
  const [first, second] = [nonces.give(mine), nonces.give(mine)]
  clock.time += nonceLifeMs - 1
  assert.equal(nonces.take(first.nonce, mine), 'good')
  clock.time += 1
  assert.equal(nonces.take(second.nonce, mine), 'expired')
})

test('a certificate holds eight at once; what was used, and what has expired, makes room', () => {
  const { nonces, clock } = open()
  const given = Array.from({ length: 8 }, () => nonces.give(mine).nonce)
  clock.time += 60_000
  assert.ok(refused(nonces, mine))
  assert.ok(!refused(nonces, other))
  assert.equal(nonces.take(given[0] ?? new Uint8Array(), mine), 'good')
  assert.ok(!refused(nonces, mine))
  assert.ok(refused(nonces, mine))
  clock.time += nonceLifeMs
  const again = Array.from({ length: 8 }, () => refused(nonces, mine))
  assert.deepEqual(
    again,
    Array.from({ length: 8 }, () => false),
  )
})

test('using them at once does not lift the rate: eight, then one in ten seconds', () => {
  const { nonces, clock } = open()
  const spend = (): void => void nonces.take(nonces.give(mine).nonce, mine)
  for (let count = 0; count < 8; count++) spend()
  assert.ok(refused(nonces, mine))
  clock.time += 10_000
  assert.ok(!refused(nonces, mine))
  assert.ok(refused(nonces, mine))
})

test('a token, which may serve a line, holds a thousand and no more', () => {
  const { nonces, clock } = open()
  let held = 0
  for (let round = 0; round < 60; round++) {
    clock.time += 1_000
    for (let count = 0; count < 50; count++) if (!refused(nonces, 'token:1')) held++
  }
  assert.equal(held, 1_000)
})
