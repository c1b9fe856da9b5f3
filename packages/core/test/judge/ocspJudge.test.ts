/**
 * Staples at the judge of peers: judged with each handshake, whatever is remembered of the leaf,
 * and missed where the certificate promises one (RFC 7633).
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { der } from '@countersign/core/codec'
import {
  encodeExtension,
  type Expectation,
  extensionOid,
  Judge,
  parseCertificate,
  type VerifiedPeer,
} from '@countersign/core/credential'
import { unknown, revoked } from '../../../../fuzz/ocspResponses.ts'
import { needsOpenssl, openssl, refuses, temporaryFolder } from '../x509/support.ts'
import { at, authority, type House, house, issue, signing, stapleOf } from './ocspWorld.ts'
import { countingCrypto, day, type Entity } from './world.ts'

const asServer: Expectation = { role: 'server', purpose: 'serverAuth' }
const asked: Expectation = { ...asServer, stapleExpected: true }
const place = 'link 0 (CN=leaf): OCSP response'

let home: House

before(async () => {
  home = await house()
})

interface Bench {
  readonly crypto: ReturnType<typeof countingCrypto>
  readonly clock: { time: number }
  readonly ask: (staple?: Uint8Array, expectation?: Expectation, leaf?: Entity) => VerifiedPeer
}

function bench(): Bench {
  const crypto = countingCrypto()
  const clock = { time: at }
  const { certificate } = home.ca
  const judge = new Judge({
    crypto,
    clock: { now: () => clock.time },
    anchors: [{ role: 'server', certificate, origin: 'house', scope: {} }],
  })
  const ask: Bench['ask'] = (staple, expectation = asServer, leaf = home.leaf) =>
    judge.judge(leaf.certificate.der, [], expectation, staple)
  return { crypto, clock, ask }
}

/** TLS features of RFC 7633 as an extension. */
function features(...numbers: readonly number[]): Uint8Array {
  const value = der.sequence(...numbers.map((number) => der.integer(number)))
  return encodeExtension(extensionOid.tlsFeature, false, value)
}

test('a peer with a staple that clears it is verified', async () => {
  const peer = bench().ask(await stapleOf(home))
  assert.deepEqual(peer.leaf.der, home.leaf.certificate.der)
})

test('a revoked staple refuses, also when the leaf is known', async () => {
  const staple = await stapleOf(home, { status: revoked(at - day) })
  const { ask } = bench()
  refuses(() => ask(staple), 'ERR_CERT_REVOKED', 'link 0 (CN=leaf): serialNumber')
  ask()
  refuses(() => ask(staple), 'ERR_CERT_REVOKED')
  ask(await stapleOf(home))
  refuses(() => ask(staple), 'ERR_CERT_REVOKED')
})

test('a staple that cleared once is judged anew by the clock', async () => {
  const staple = await stapleOf(home, { nextUpdate: at + day })
  const { ask, clock } = bench()
  ask(staple)
  clock.time = at + day + 999
  ask(staple)
  clock.time = at + day + 1000
  refuses(() => ask(staple), 'ERR_OCSP_STALE', place)
  clock.time = at
  ask(staple)
})

test('a staple that is not sound refuses a leaf with a sound chain', async () => {
  const { ask } = bench()
  refuses(() => ask(new Uint8Array()), 'ERR_OCSP_UNUSABLE', place)
  const odd = await stapleOf(home, { status: unknown })
  refuses(() => ask(odd), 'ERR_OCSP_UNUSABLE', place)
  const other = await issue(home.ca, { name: 'leaf' })
  const foreign = await stapleOf(home, { of: other })
  refuses(() => ask(foreign), 'ERR_OCSP_UNUSABLE', place)
})

test('a good staple saves no bad chain', async () => {
  const ca = await authority(home.root, { name: 'Test CA' })
  const leaf = await issue(ca, { name: 'leaf' })
  const staple = await stapleOf({ ...home, ca, leaf })
  refuses(() => bench().ask(staple, asServer, leaf), 'ERR_CHAIN_SIGNATURE')
})

test('a staple of a delegate is judged by the CA that issued the leaf, not by the anchor', async () => {
  const sub = await authority(home.ca, { name: 'Sub CA' })
  const leaf = await issue(sub, { name: 'leaf' })
  const below: House = { ...home, ca: sub, leaf }
  const { certificate } = home.ca
  const judge = new Judge({
    crypto: countingCrypto(),
    clock: { now: () => at },
    anchors: [{ role: 'server', certificate, origin: 'house', scope: {} }],
  })
  const judged = (staple: Uint8Array): VerifiedPeer =>
    judge.judge(leaf.certificate.der, [sub.certificate.der], asServer, staple)
  const delegate = await sub.issue(signing)
  assert.equal(judged(await stapleOf(below, { by: delegate })).path.length, 3)
  const above = await stapleOf(below, { by: home.delegate })
  refuses(() => judged(above), 'ERR_OCSP_UNUSABLE', place)
})

test('without a staple nothing is paid', () => {
  const { ask, crypto } = bench()
  ask()
  ask()
  ask(undefined, asked)
  assert.deepEqual(crypto.count, { verify: 1, import: 1 })
})

test('a staple costs a check each time, and imports the key of the anchor once', async () => {
  const staple = await stapleOf(home)
  const { ask, crypto } = bench()
  ask(staple)
  ask(staple)
  assert.deepEqual(crypto.count, { verify: 3, import: 1 })
})

test('a certificate that promises a staple is refused without one, where one was asked for', async () => {
  const leaf = await issue(home.ca, { name: 'leaf', extra: [features(5)] })
  const { ask } = bench()
  const missing = 'link 0 (CN=leaf): tlsFeature'
  refuses(() => ask(undefined, asked, leaf), 'ERR_OCSP_MISSING', missing)
  assert.deepEqual(ask(undefined, asServer, leaf).leaf.extensions.tlsFeatures, [5])
  refuses(() => ask(undefined, asked, leaf), 'ERR_OCSP_MISSING', missing)
  const staple = await stapleOf(home, { of: leaf })
  ask(staple, asked, leaf)
  const revoking = await stapleOf(home, { of: leaf, status: revoked(at) })
  refuses(() => ask(revoking, asked, leaf), 'ERR_CERT_REVOKED')
})

test('a certificate that promises something else, or nothing, needs no staple', async () => {
  const { ask } = bench()
  for (const extra of [[features(17)], [features()], []]) {
    const leaf = await issue(home.ca, { name: 'leaf', extra })
    ask(undefined, asked, leaf)
  }
})

test('a promise among others counts, and a critical one is not understood', async () => {
  const { ask } = bench()
  const several = await issue(home.ca, { name: 'leaf', extra: [features(17, 5)] })
  refuses(() => ask(undefined, asked, several), 'ERR_OCSP_MISSING')
  const value = der.sequence(der.integer(5))
  const extra = [encodeExtension(extensionOid.tlsFeature, true, value)]
  const critical = await issue(home.ca, { name: 'leaf', extra })
  refuses(() => ask(undefined, asked, critical), 'ERR_CHAIN_CRITICAL_EXTENSION')
})

test('a malformed promise is no certificate', async () => {
  for (const value of [
    der.integer(5),
    der.sequence(der.integer(0x10000)),
    der.sequence(der.nullValue()),
  ]) {
    const extra = [encodeExtension(extensionOid.tlsFeature, false, value)]
    await assert.rejects(issue(home.ca, { name: 'leaf', extra }), { code: /^ERR_DER_/ })
  }
})

test('the promise that OpenSSL writes is read', needsOpenssl(), () => {
  const folder = temporaryFolder()
  const given = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  given.push('-keyout', `${folder}/key.pem`, '-subj', '/CN=leaf', '-outform', 'DER')
  given.push('-addext', 'tlsfeature=status_request,status_request_v2')
  const certificate = parseCertificate(new Uint8Array(openssl(given)))
  assert.deepEqual(certificate.extensions.tlsFeatures, [5, 17])
})
