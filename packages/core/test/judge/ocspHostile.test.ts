/**
 * A stapled response with one bit flipped or its end cut off: it is refused, or what its responder
 * signed is untouched and means the same.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { compareBytes } from '@countersign/core/codec'
import { type BasicOcspResponse, parseOcspResponse } from '@countersign/core/credential'
import { byKey, revoked, unknown } from '../../../../fuzz/ocspResponses.ts'
import { at, type House, house, stapleOf, statusVerdict } from './ocspWorld.ts'
import { day } from './world.ts'

let home: House

before(async () => {
  home = await house()
})

function* bent(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const copy = bytes.slice()
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7))
    yield copy
  }
}

function basicOf(der: Uint8Array): BasicOcspResponse {
  const response = parseOcspResponse(der)
  assert.equal(response.status, 'successful')
  return response.basic
}

/** Of all that one flipped bit makes of the staple: the ones that still clear the leaf. */
function stillClearing(staple: Uint8Array): readonly BasicOcspResponse[] {
  return [...bent(staple)]
    .filter((one) => statusVerdict(home, one) === 'ok')
    .map((one) => basicOf(one))
}

test('no flipped bit of a response by the issuer clears', async () => {
  const staple = await stapleOf(home)
  assert.equal(statusVerdict(home, staple), 'ok')
  assert.equal(stillClearing(staple).length, 0)
  const byItsKey = await stapleOf(home, { responder: byKey(home.ca.certificate) })
  assert.equal(stillClearing(byItsKey).length, 0)
})

test('no flipped bit of a response by a delegate clears, its certificate included', async () => {
  const staple = await stapleOf(home, { by: home.delegate, hash: 'sha256' })
  assert.equal(statusVerdict(home, staple), 'ok')
  assert.equal(stillClearing(staple).length, 0)
})

test('a flipped bit clears only in a certificate that nobody needs', async () => {
  const staple = await stapleOf(home, { certificates: [home.leaf] })
  const whole = basicOf(staple)
  const clearing = stillClearing(staple)
  assert.ok(clearing.length > 0)
  for (const one of clearing) {
    assert.equal(compareBytes(one.tbs, whole.tbs), 0)
    assert.equal(compareBytes(one.signature, whole.signature), 0)
    assert.deepEqual(one.responses, whole.responses)
  }
})

test('no flipped bit turns a refusal into a clearance', async () => {
  const by = home.delegate
  for (const shape of [
    { status: revoked(at - day, 1) },
    { status: unknown },
    { nextUpdate: at - day },
    { nextUpdate: 'none' },
    { by, status: revoked(at - day) },
  ] as const) {
    assert.equal(stillClearing(await stapleOf(home, shape)).length, 0)
  }
})

test('no beginning of a response clears', async () => {
  for (const shape of [{}, { by: home.delegate }]) {
    const staple = await stapleOf(home, shape)
    for (let length = 0; length < staple.length; length++) {
      assert.match(statusVerdict(home, staple.subarray(0, length)), /^ERR_OCSP_UNUSABLE /)
    }
  }
})
