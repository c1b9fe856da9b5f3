/** G_X and G_Y as points: RFC 9529, Wycheproof, and coordinates of no point. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { peerShare, shareOnWire, suitesOf } from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { printed, traceOf } from './rfc9529.ts'

const [suite0, , suite2] = suitesOf(nodeCrypto)
assert.ok(suite0 && suite2)

const refused = (error: unknown): boolean =>
  error instanceof PeerError && error.code === 'ERR_EDHOC_POINT'

test('an x coordinate is lifted to the printed point or to its negative', () => {
  const trace = traceOf('rfc9529-3')
  const prime = BigInt('0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff')
  for (const [g, role] of [
    ['G_X', 'Initiator'],
    ['G_Y', 'Responder'],
  ] as const) {
    const x = printed(trace, g, 'Raw Value')
    const y = hex(printed(trace, `${role}'s ephemeral public key, one 'y'-coordinate`))
    const other = (prime - BigInt(`0x${y}`)).toString(16).padStart(64, '0')
    const lifted = peerShare(nodeCrypto, suite2, x)
    assert.ok([y, other].map((one) => `04${hex(x)}${one}`).includes(hex(lifted)))
    assert.deepEqual(shareOnWire(suite2, lifted), x)
  }
})

interface WycheproofCase {
  readonly public: string
  readonly result: 'valid' | 'invalid' | 'acceptable'
}

test('every point of Wycheproof comes back from its x, or its negative', () => {
  const path = '../../../../vectors/wycheproof/ecdh_secp256r1_ecpoint_test.json'
  const { testGroups }: { testGroups: readonly { readonly tests: readonly WycheproofCase[] }[] } =
    JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
  let judged = 0
  for (const one of testGroups.flatMap(({ tests }) => tests)) {
    if (one.result !== 'valid' || one.public.length !== 130) continue
    const lifted = hex(peerShare(nodeCrypto, suite2, fromHex(one.public.slice(2, 66))))
    assert.equal(lifted.slice(0, 66), one.public.slice(0, 66))
    const [y, expected] = [lifted, one.public].map((point) => BigInt(`0x${point.slice(66)}`))
    const prime = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
    assert.ok(y === expected || y === prime - (expected ?? 0n), one.public)
    judged++
  }
  assert.ok(judged > 100, `${judged} points`)
})

test('an x beyond the field, of no point, or of another length is refused', () => {
  for (const x of [
    // RFC 9529 §4.2: the order of the field, and an x without a point.
    'ffffffff00000001000000000000000000000000ffffffffffffffffffffffff',
    'a04e73601df544a70ba7ea1e57030f7d4b4eb7f673924e58d54ca77a5e7d4d4a',
    // An x with a point, with the order of the field added to it.
    'ffffffff00000001000000000000000000000001000000000000000000000004',
    'd9697725d23a688b12d1c7e0108a08c9f71a85a09c20814976ab21122248fc',
    '',
  ]) {
    assert.throws(() => peerShare(nodeCrypto, suite2, fromHex(x)), refused, x)
  }
  assert.throws(() => peerShare(nodeCrypto, suite0, new Uint8Array(31)), refused)
  assert.throws(() => peerShare(nodeCrypto, suite0, new Uint8Array(33)), refused)
})

test('half of all x have a point, so about half of the changed bits make none', () => {
  const x = printed(traceOf('rfc9529-3'), 'G_Y', 'Raw Value')
  let points = 0
  for (let bit = 0; bit < 256; bit++) {
    const flipped = x.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    try {
      // What is lifted is on the curve: the provider takes it.
      nodeCrypto.generateEphemeral('secp256r1').agree(peerShare(nodeCrypto, suite2, flipped))
      points++
    } catch (error) {
      assert.ok(refused(error))
    }
  }
  assert.ok(points > 90 && points < 166, `${points} points`)
})
