/**
 * Tickets in our ClientHello, and the second hello after a HelloRetryRequest: binders computed again
 * with node:crypto alone (RFC 8446 §4.2.11, §4.1.2).
 */
import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { PeerError } from '@countersign/core/errors'
import type { PolicyOptions, ResumableSession, SuiteName } from '@countersign/core/tls'
import { SecondOffer, Start } from '../../src/tls/clientStart.ts'
import type { HandshakeOptions } from '../../src/tls/negotiation.ts'
import {
  cookieOf,
  type ParsedHello,
  parseHello,
  psksOf,
  sharesOf,
  typesOf,
  versionsOf,
} from './helloParser.ts'
import { firstHello, type KnownSession, knownSession, offering } from './offering.ts'

type Hash = 'sha256' | 'sha384'

const hashOf = (suite: SuiteName): Hash =>
  suite === 'TLS_AES_256_GCM_SHA384' ? 'sha384' : 'sha256'
const digest = (hash: Hash, ...parts: readonly Uint8Array[]): Buffer =>
  createHash(hash).update(Buffer.concat(parts)).digest()
const hmac = (hash: Hash, key: Uint8Array, data: Uint8Array): Buffer =>
  createHmac(hash, key).update(data).digest()

/** HKDF-Expand-Label (RFC 8446 §7.1) as long as the hash. */
function expand(hash: Hash, secret: Uint8Array, label: string, context: Uint8Array): Buffer {
  const length = digest(hash).length
  const name = Buffer.from(`tls13 ${label}`)
  const info = [0, length, name.length, ...name, context.length, ...context, 1]
  return hmac(hash, secret, Buffer.from(info))
}

/** RFC 8446 §4.2.11.2, §7.1: of the messages before, and this one up to its binders. */
function binderOf(
  { session, psk }: KnownSession,
  before: readonly Uint8Array[],
  message: Uint8Array,
  bindersLength: number,
): string {
  const hash = hashOf(session.suite)
  const early = hmac(hash, Buffer.alloc(digest(hash).length), psk)
  const key = expand(hash, expand(hash, early, 'res binder', digest(hash)), 'finished', Buffer.of())
  const truncated = message.subarray(0, message.length - bindersLength)
  return hmac(hash, key, digest(hash, ...before, truncated)).toString('hex')
}

function requireBound(
  known: KnownSession,
  before: readonly Uint8Array[],
  message: Uint8Array,
): void {
  const hello = parseHello(message)
  const psks = psksOf(hello)
  assert.ok(psks)
  assert.deepEqual(
    psks.identities.map(({ identity }) => identity.toString('hex')),
    [Buffer.from(known.session.ticket).toString('hex')],
  )
  assert.deepEqual(
    psks.binders.map((binder) => binder.toString('hex')),
    [binderOf(known, before, message, psks.bindersLength)],
  )
  assert.equal(typesOf(hello).at(-1), 41)
}

for (const suite of [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
] as const) {
  test(`a ticket of ${suite} is bound with the hash of its suite`, () => {
    const known = knownSession(suite)
    const { options } = offering({}, { session: known.session })
    requireBound(known, [], new Start(options).offer().message)
  })
}

function ageOf(now: number, others: Partial<ResumableSession>): number | undefined {
  const { session } = knownSession('TLS_AES_128_GCM_SHA256', others)
  const hello = firstHello({}, { session, clock: { now: () => now } })
  return psksOf(hello)?.identities[0]?.obfuscatedAge
}

test('the age of a ticket is hidden by a sum that goes over the end', () => {
  assert.equal(ageOf(5000, { receivedAt: 2000, ageAdd: 0 }), 3000)
  assert.equal(ageOf(5000, { receivedAt: 2000, ageAdd: 0xffff_ffff }), 2999)
  assert.equal(ageOf(5000, { receivedAt: 5000, ageAdd: 0xffff_ffff }), 0xffff_ffff)
  assert.equal(ageOf(5000.75, { receivedAt: 2000.5, ageAdd: 7 }), 3007)
})

const failing = (error: Error) => (): never => {
  throw error
}

test('a ticket that is too old, from the future, of no use or distrusted is not offered', () => {
  const { session } = knownSession('TLS_AES_128_GCM_SHA256', { receivedAt: 1000, lifetimeMs: 100 })
  const isOffered = (
    now: number,
    policy: PolicyOptions = {},
    others: Partial<HandshakeOptions> = {},
  ): boolean => {
    const hello = firstHello(policy, { session, clock: { now: () => now }, ...others })
    return typesOf(hello).includes(41)
  }
  assert.equal(isOffered(1000), true)
  assert.equal(isOffered(1099), true)
  assert.equal(isOffered(1100), false)
  assert.equal(isOffered(999), false)
  assert.equal(isOffered(1000, { resumption: false }), false)
  assert.equal(isOffered(1000, { suites: ['TLS_AES_256_GCM_SHA384'] }), false)
  // Nobody asked that server for the staple that its certificate may promise.
  const server = { ...session.server, isStapleAsked: false }
  const unasked = { session: { ...session, server } }
  assert.equal(isOffered(1000, {}, unasked), false)
  assert.equal(isOffered(1000, { staple: false }, unasked), true)
  assert.equal(isOffered(1000, { staple: false }), true)
  const revoked = new PeerError('ERR_CERT_REVOKED', 'revoked since')
  assert.equal(isOffered(1000, {}, { trust: failing(revoked) }), false)
})

test('a trust that fails for a reason of this side is not taken for a verdict', () => {
  const { session } = knownSession()
  const trust = failing(new TypeError('a mistake'))
  assert.throws(() => firstHello({}, { session, trust }), TypeError)
})

/** RFC 8446 §4.1.3: SHA-256 of "HelloRetryRequest". */
const retryRandom = digest('sha256', Buffer.from('HelloRetryRequest'))

/** A HelloRetryRequest as the text has it; extensions as they travel. */
function retryRequest(sessionId: Uint8Array, suite: number, ...extensions: string[]): Buffer {
  const list = Buffer.from(['002b00020304', ...extensions].join(''), 'hex')
  const body = Buffer.concat([
    Buffer.from('0303', 'hex'),
    retryRandom,
    Buffer.from([sessionId.length, ...sessionId]),
    Buffer.from([suite >> 8, suite & 255, 0]),
    Buffer.from([list.length >> 8, list.length & 255]),
    list,
  ])
  return Buffer.concat([Buffer.from([2, 0, body.length >> 8, body.length & 255]), body])
}

const shareOfP256 = '003300020017'
const cookie = randomBytes(300)
const cookieExtension = `002c${(302).toString(16).padStart(4, '0')}012c${cookie.toString('hex')}`

interface Retried {
  readonly first: Uint8Array
  readonly request: Buffer
  readonly second: Uint8Array
  readonly hellos: readonly [ParsedHello, ParsedHello]
  readonly made: readonly { readonly share: Uint8Array }[]
}

function retry(
  suite: number,
  extensions: readonly string[],
  others: Partial<HandshakeOptions> = {},
): Retried {
  const policy: PolicyOptions = { groups: ['x25519', 'secp256r1'], shares: ['x25519'], alpn: ['a'] }
  const { options, made } = offering(policy, { serverName: 'gate.example', ...others })
  const { message: first, next } = new Start(options).offer()
  const before = parseHello(first)
  const request = retryRequest(before.sessionId, suite, ...extensions)
  const answer = next.receive({ type: 2, body: request.subarray(4), whole: request })
  assert.ok(answer instanceof SecondOffer)
  const second = answer.offer().message
  return { first, request, second, hellos: [before, parseHello(second)], made }
}

/** Everything that RFC 8446 §4.1.2 does not let a client change. */
const unchanged = ({ extensions, ...fixed }: ParsedHello): unknown => ({
  ...fixed,
  extensions: extensions.filter(({ type }) => ![51, 44, 41].includes(type)),
})

function requireSame([first, second]: Retried['hellos']): void {
  assert.deepEqual(unchanged(second), unchanged(first))
  assert.deepEqual(versionsOf(second), [0x0304])
}

test('after a request for a group, the second hello has its share alone, and nothing else new', () => {
  const { hellos, made } = retry(0x1301, [shareOfP256])
  requireSame(hellos)
  const [, second] = hellos
  assert.deepEqual(
    sharesOf(second)?.map(({ group, share }) => [group, share.toString('hex')]),
    [[0x0017, Buffer.from(made[1]?.share ?? []).toString('hex')]],
  )
  assert.equal(cookieOf(second), undefined)
})

test('a cookie is said back, with the shares as they were when no group is asked for', () => {
  const { hellos } = retry(0x1301, [cookieExtension])
  requireSame(hellos)
  assert.deepEqual(cookieOf(hellos[1]), cookie)
  assert.deepEqual(sharesOf(hellos[1]), sharesOf(hellos[0]))
  const both = retry(0x1301, [shareOfP256, cookieExtension]).hellos
  requireSame(both)
  assert.deepEqual(cookieOf(both[1]), cookie)
  assert.equal(sharesOf(both[1])?.[0]?.group, 0x0017)
})

for (const [suite, number] of [
  ['TLS_AES_128_GCM_SHA256', 0x1301],
  ['TLS_CHACHA20_POLY1305_SHA256', 0x1301],
  ['TLS_AES_256_GCM_SHA384', 0x1302],
] as const) {
  test(`after a request, the ticket of ${suite} is bound to both hellos and the request`, () => {
    const known = knownSession(suite, { serverName: 'gate.example' })
    let now = 0
    const clock = { now: () => (now += 1000) }
    const extensions = [shareOfP256, cookieExtension]
    const retried = retry(number, extensions, { session: known.session, clock })
    requireSame(retried.hellos)
    // RFC 8446 §4.4.1: message_hash in the place of the first hello.
    const hash = digest(hashOf(suite), retried.first)
    const synthetic = Buffer.concat([Buffer.from([254, 0, 0, hash.length]), hash])
    requireBound(known, [], retried.first)
    requireBound(known, [synthetic, retried.request], retried.second)
    const [first, second] = retried.hellos.map(
      (hello) => psksOf(hello)?.identities[0]?.obfuscatedAge ?? 0,
    )
    assert.ok(first && second && second > first, 'the age is told anew')
  })
}

test('a ticket of another hash than the requested suite is left out of the second hello', () => {
  const { session } = knownSession('TLS_AES_256_GCM_SHA384', { serverName: 'gate.example' })
  const { hellos } = retry(0x1301, [shareOfP256], { session })
  assert.ok(psksOf(hellos[0]))
  assert.equal(psksOf(hellos[1]), undefined)
})
