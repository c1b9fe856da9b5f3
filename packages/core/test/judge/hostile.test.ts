/**
 * A sound chain, broken in every way that bytes allow: nothing but the chain itself is ever
 * accepted.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { der } from '@countersign/core/codec'
import {
  type Anchor,
  encodeSignatureAlgorithm,
  Judge,
  purposes,
} from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { day, type Entity, now, root } from './world.ts'

let anchor: Anchor
let issuing: Entity
let leaf: Entity

before(async () => {
  const above = await root({ notAfter: now + 20 * day })
  issuing = await above.issue({ name: 'Issuing CA', ca: true, pathLen: 0 })
  leaf = await issuing.issue({ name: 'device', extKeyUsage: [purposes.clientAuth] })
  anchor = { role: 'owner', certificate: above.certificate, origin: 'foreign', scope: {} }
})

/** True when accepted; every refusal must be a PeerError with a place and a hint. */
function accepts(leafDer: Uint8Array, caDer: Uint8Array): boolean {
  // A new one each time: nothing is remembered.
  const judge = new Judge({ crypto: nodeCrypto, clock: { now: () => now }, anchors: [anchor] })
  try {
    judge.judge(leafDer, [caDer], { role: 'owner', purpose: 'clientAuth' })
    return true
  } catch (error) {
    assert.ok(error instanceof PeerError, String(error))
    assert.ok(error.where !== undefined && error.hint !== undefined, error.message)
    return false
  }
}

function forEachBit(
  sound: Uint8Array,
  visit: (changed: Uint8Array, context: string) => void,
): void {
  const changed = Uint8Array.from(sound)
  for (const [byte, value] of sound.entries()) {
    for (let bit = 0; bit < 8; bit++) {
      changed[byte] = value ^ (1 << bit)
      visit(changed, `byte ${byte}, bit ${bit}`)
    }
    changed[byte] = value
  }
}

test('a leaf with any bit flipped is refused', () => {
  const ca = issuing.certificate.der
  forEachBit(leaf.certificate.der, (changed, context) => {
    assert.equal(accepts(changed, ca), false, context)
  })
})

test('an intermediate with any bit flipped is refused', () => {
  const end = leaf.certificate.der
  forEachBit(issuing.certificate.der, (changed, context) => {
    assert.equal(accepts(end, changed), false, context)
  })
  assert.ok(accepts(end, issuing.certificate.der))
})

test('a certificate cut at any length is refused', () => {
  const ca = issuing.certificate.der
  const end = leaf.certificate.der
  for (let length = 0; length < end.length; length++) {
    assert.equal(accepts(end.subarray(0, length), ca), false, `length ${length}`)
  }
  for (let length = 0; length < ca.length; length++) {
    assert.equal(accepts(end, ca.subarray(0, length)), false, `length ${length}`)
  }
})

test('parts of two sound certificates do not make a third', async () => {
  const other = await issuing.issue({ name: 'other', extKeyUsage: [purposes.clientAuth] })
  const algorithm = encodeSignatureAlgorithm({ kind: 'ecdsa', hash: 'sha256', encoding: 'der' })
  const joined = (tbs: Uint8Array, signature: Uint8Array): Uint8Array =>
    der.sequence(tbs, algorithm, der.bitString(signature))
  const ca = issuing.certificate.der
  const { tbs, signature } = leaf.certificate
  assert.equal(accepts(joined(tbs, other.certificate.signature), ca), false)
  assert.equal(accepts(joined(other.certificate.tbs, signature), ca), false)
  assert.equal(accepts(joined(tbs, signature), ca), true)
})
