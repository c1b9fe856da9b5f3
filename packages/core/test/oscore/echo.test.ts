/** The Echo option as RFC 9175 §2 has it, and its values under attack. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { coapCode, type CoapOption, encodeMessage, parseMessage } from '../../src/coap/index.ts'
import { fromHex, hex, utf8 } from '../../src/codec/index.ts'
import {
  challengeIn,
  EchoIssuer,
  echoLimits,
  echoOf,
  echoOption,
  repeatedWithEcho,
} from '../../src/oscore/index.ts'
import { flips } from '../cose/examples.ts'
import { node, providers } from '../providers.ts'

const keyBytes = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const start = Date.parse('2026-11-26T07:00:00Z')
const here = utf8('192.0.2.1:5683')

/** An issuer whose clock the test moves. */
function issuerAt(time = { now: start }, { lifetimeMs, key = keyBytes }: Options = {}) {
  const clock = { now: () => time.now }
  return new EchoIssuer({
    crypto: node.crypto,
    clock,
    key: node.crypto.importSecret(fromHex(key)),
    ...(lifetimeMs !== undefined && { lifetimeMs }),
  })
}

interface Options {
  readonly lifetimeMs?: number
  readonly key?: string
}

test('a value is a time of four bytes and eight bytes of HMAC, as RFC 9175 Appendix A has it', () => {
  // ["Echo", 1795676400, '192.0.2.1:5683'] in CBOR.
  const bound = `83644563686f1a6b07d8f04e${hex(here)}`
  const mac = createHmac('sha256', Buffer.from(keyBytes, 'hex')).update(bound, 'hex').digest('hex')
  for (const { crypto } of providers) {
    const key = crypto.importSecret(fromHex(keyBytes))
    const issuer = new EchoIssuer({ crypto, clock: { now: () => 0x6b07d8f0 * 1000 + 999 }, key })
    assert.equal(hex(issuer.issue(here)), `6b07d8f0${mac.slice(0, 16)}`)
  }
})

test('a value is good within its life, as often as it is shown', () => {
  const time = { now: start }
  const issuer = issuerAt(time)
  const value = issuer.issue(here)
  for (const after of [0, 1, 30_000, 30_000, echoLimits.lifetimeMs]) {
    time.now = start + after
    assert.ok(issuer.verify(value, here), String(after))
  }
  for (const after of [echoLimits.lifetimeMs + 1000, 86_400_000, -1000]) {
    time.now = start + after
    assert.ok(!issuer.verify(value, here), String(after))
  }
})

test('a value is for what it was bound to, and of the key of this life', () => {
  const issuer = issuerAt()
  const value = issuer.issue(here)
  for (const other of ['192.0.2.1:5684', '192.0.2.10:5683', '', 'x']) {
    assert.ok(!issuer.verify(value, utf8(other)), other)
  }
  const otherKey = issuerAt({ now: start }, { key: keyBytes.replace('00', '01') })
  assert.ok(!otherKey.verify(value, here))
})

test('no bit of a value can be changed, and none can be left out or added', () => {
  const issuer = issuerAt()
  const value = issuer.issue(here)
  for (const flipped of flips(value)) assert.ok(!issuer.verify(flipped, here))
  for (let length = 0; length < value.length; length++) {
    assert.ok(!issuer.verify(value.subarray(0, length), here))
  }
  assert.ok(!issuer.verify(Uint8Array.of(...value, 0), here))
})

test('the clock of a value goes on where 32 bits of seconds end', () => {
  const end = 2 ** 32 * 1000
  const time = { now: end - 1000 }
  const issuer = issuerAt(time)
  const before = issuer.issue(here)
  assert.equal(hex(before).slice(0, 8), 'ffffffff')
  assert.ok(issuer.verify(before, here))
  time.now = end
  assert.equal(hex(issuer.issue(here)).slice(0, 8), '00000000')
  // Shown across the end it costs one exchange more, and is never taken too late.
  assert.ok(!issuer.verify(before, here))
})

test('a key that can be guessed is refused', () => {
  assert.throws(() => issuerAt({ now: start }, { key: '00010203' }), {
    code: 'ERR_OSCORE_PARAMETER',
  })
})

const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))
const unauthorized = { code: coapCode.unauthorized, options: [echoOption(fromHex('0102'))] }

test('a request is sent again with the value of its challenge', () => {
  const again = repeatedWithEcho(request, unauthorized)
  assert.ok(again)
  // Echo is option 252: 237 behind 11, in two bytes with 0xe0 - 13.
  assert.equal(hex(encodeMessage(again)), '44015d1f00003974396c6f63616c686f737483747631d2e40102')
  assert.deepEqual(echoOf(again), fromHex('0102'))
})

test('a new value replaces an older one, the same one is not shown again', () => {
  const once = repeatedWithEcho(request, unauthorized)
  assert.ok(once)
  assert.equal(repeatedWithEcho(once, unauthorized), undefined)
  const newer = { ...unauthorized, options: [echoOption(fromHex('03'))] }
  const twice = repeatedWithEcho(once, newer)
  assert.deepEqual(twice && echoOf(twice), fromHex('03'))
})

test('what is no challenge asks for nothing', () => {
  const option = echoOption(fromHex('0102'))
  const long = echoOption(new Uint8Array(41))
  const cases: readonly (readonly [what: string, code: number, options: readonly CoapOption[]])[] =
    [
      ['2.05 with an Echo', coapCode.content, [option]],
      ['4.03 with an Echo', coapCode.forbidden, [option]],
      ['4.01 without', coapCode.unauthorized, []],
      ['4.01 with two', coapCode.unauthorized, [option, option]],
      ['4.01 with an empty one', coapCode.unauthorized, [echoOption(new Uint8Array())]],
      ['4.01 with one that is too long', coapCode.unauthorized, [long]],
    ]
  for (const [what, code, options] of cases) {
    assert.equal(challengeIn({ code, options }), undefined, what)
    assert.equal(repeatedWithEcho(request, { code, options }), undefined, what)
  }
})
