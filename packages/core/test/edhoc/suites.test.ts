/** The table of suites against the registry, and what two ends settle on (RFC 9528 §5.2, §6.3). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  acceptSelected,
  macLength,
  offer,
  proofLength,
  suites,
  suitesInError,
  suitesOf,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'

/** COSE numbers of what the table names (RFC 9053, RFC 9054). */
const cose: Readonly<Record<string, number>> = {
  'aes-ccm-16-64-128': 10,
  'aes-ccm-16-128-128': 30,
  'chacha20-poly1305': 24,
  'aes-128-gcm': 1,
  'aes-256-gcm': 3,
  sha256: -16,
  sha384: -43,
  shake256: -45,
  X25519: 4,
  'P-256': 1,
  'P-384': 2,
  X448: 5,
  EdDSA: -8,
  ES256: -7,
  ES384: -35,
}

/** RFC 9528 §10.2: the arrays of the registry. */
const registry: Readonly<Record<number, readonly number[]>> = {
  0: [10, -16, 8, 4, -8, 10, -16],
  1: [30, -16, 16, 4, -8, 10, -16],
  2: [10, -16, 8, 1, -7, 10, -16],
  3: [30, -16, 16, 1, -7, 10, -16],
  4: [24, -16, 16, 4, -8, 24, -16],
  5: [24, -16, 16, 1, -7, 24, -16],
  6: [1, -16, 16, 4, -7, 1, -16],
  24: [3, -43, 16, 2, -35, 3, -43],
  25: [24, -45, 16, 5, -8, 24, -45],
}

test('the suites are those of the registry', () => {
  const found = [...suites.values()].map((one) => [
    one.number,
    [
      cose[one.aead.name],
      cose[one.hash.name],
      one.macLength,
      cose[one.curve.name],
      cose[one.signature],
      cose[one.application.aead.name],
      cose[one.application.hash.name],
    ],
  ])
  assert.deepEqual(Object.fromEntries(found), registry)
})

test('a side that signs has a MAC as long as the hash, one with a static key that of its suite', () => {
  const suite2 = suites.get(2)
  assert.ok(suite2)
  assert.deepEqual([macLength(suite2, 'signature'), macLength(suite2, 'static key')], [32, 8])
  assert.deepEqual([proofLength(suite2, 'signature'), proofLength(suite2, 'static key')], [64, 8])
})

const numbers = (from: readonly UsableSuite[]): readonly number[] => from.map((one) => one.number)
const some = (...wanted: readonly number[]): readonly UsableSuite[] =>
  wanted.flatMap((number) => suitesOf(nodeCrypto).filter((one) => one.number === number))

test('a provider has the suites of which it has every part', () => {
  assert.deepEqual(numbers(suitesOf(nodeCrypto)), [0, 1, 2, 3, 4, 5, 6])
  const { aeads, groups } = nodeCrypto
  assert.deepEqual(numbers(suitesOf({ aeads, groups: ['secp256r1'] })), [2, 3, 5])
  // The tag of suite 3 is long; OSCORE under it needs the short one too.
  assert.deepEqual(numbers(suitesOf({ aeads: ['aes-ccm-16-128-128'], groups })), [])
})

test('the selected suite is taken when it is the first that is supported', () => {
  assert.equal(acceptSelected([2], some(2, 3)).number, 2)
  assert.equal(acceptSelected([6, 2], some(2, 3)).number, 2)
  // RFC 9528 §6.3.2, with numbers of suites that exist.
  assert.equal(acceptSelected([25, 24, -21, 3], some(2, 3)).number, 3)
})

test('a selection with a better supported suite before it is a downgrade, and refused', () => {
  for (const suitesI of [[3, 2], [3, 6, 2], [2, 3, 6], [3, 24], [6], [24], []]) {
    assert.throws(
      () => acceptSelected(suitesI, some(2, 3)),
      (error) => error instanceof PeerError && error.code === 'ERR_EDHOC_SUITE',
      suitesI.join(', '),
    )
  }
  assert.deepEqual(suitesInError([2, 3], some(2, 3)), [2])
  assert.deepEqual(suitesInError([6, 3, 24], some(2, 3)), [3])
  assert.deepEqual(suitesInError([6], some(2, 3)), [2, 3])
})

/** SUITES_I, whose last is the suite that goes with it. */
function offered(...given: Parameters<typeof offer>): readonly number[] {
  const { suitesI, suite } = offer(...given)
  assert.equal(suitesI.at(-1), suite.number)
  return suitesI
}

test('an initiator offers its best first, and keeps its order whatever an error says', () => {
  assert.deepEqual(offered(some(2, 3, 0)), [2])
  assert.deepEqual(offered(some(2, 3, 0), [3]), [2, 3])
  assert.deepEqual(offered(some(2, 3, 0), [0, 3]), [2, 3])
  assert.deepEqual(offered(some(6, 2), [2]), [6, 2])
  assert.throws(() => offer(some(2, 3), [0, 24]), PeerError)
  assert.throws(() => offer([], [2]), PeerError)
})
