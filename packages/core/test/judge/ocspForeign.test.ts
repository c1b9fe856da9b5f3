/**
 * Responses of foreign responders, made while the test runs: OpenSSL's, from its index of a CA, and
 * pkijs'.
 */
import assert from 'node:assert/strict'
import type { KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { ocspOid, type OcspResponse, parseOcspResponse } from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { Enumerated, OctetString, Primitive } from 'asn1js'
import {
  BasicOCSPResponse,
  CertID,
  OCSPResponse,
  Certificate as PkijsCertificate,
  ResponseBytes,
  SingleResponse,
} from 'pkijs'
import { needsOpenssl } from '../x509/support.ts'
import {
  at,
  authority,
  type House,
  house,
  issue,
  statusRefusal,
  statusVerdict,
} from './ocspWorld.ts'
import { ecResponder, ended, p256, responder, rsaSigner, valid } from './opensslResponder.ts'
import { day } from './world.ts'

const unusable = 'ERR_OCSP_UNUSABLE link 0 (CN=leaf): OCSP response'
const stale = 'ERR_OCSP_STALE link 0 (CN=leaf): OCSP response'
const refused = 'ERR_CERT_REVOKED link 0 (CN=leaf): serialNumber'

function basicOf(der: Uint8Array): Extract<OcspResponse, { status: 'successful' }>['basic'] {
  const response = parseOcspResponse(der)
  assert.equal(response.status, 'successful')
  return response.basic
}

/** The judge's clock may be a second ahead of the start of this file, when OpenSSL makes its own. */
function verdictNow(home: House, staple: Uint8Array, plus = 0): string {
  return statusVerdict(home, staple, { at: Date.now() + plus })
}

test('OpenSSL as the issuer clears its leaf', needsOpenssl(), async () => {
  const { home, ask } = await ecResponder()
  const staple = ask(['-ndays', '7'])
  assert.equal(verdictNow(home, staple), 'ok')
  const basic = basicOf(staple)
  assert.equal(basic.responder.kind, 'name')
  assert.deepEqual(basic.responder.value, home.ca.certificate.subject)
  const [single] = basic.responses
  assert.deepEqual(single?.certStatus, { kind: 'good' })
  assert.equal(single.certId.hash, 'sha1')
  assert.deepEqual(single.certId.serial, home.leaf.certificate.serial)
  assert.equal((single.nextUpdate ?? 0) - single.thisUpdate, 7 * day)
})

test(
  'OpenSSL as a delegate clears the leaf, and brings its certificate',
  needsOpenssl(),
  async () => {
    const { home, ask } = await ecResponder()
    const staple = ask(['delegate', '-ndays', '7'])
    assert.equal(verdictNow(home, staple), 'ok')
    const [certificate] = basicOf(staple).certificates
    assert.deepEqual(certificate?.der, home.delegate.certificate.der)
    assert.equal(verdictNow(home, ask(['delegate', '-ndays', '7', '-resp_no_certs'])), unusable)
  },
)

test('OpenSSL names the responder by its key', needsOpenssl(), async () => {
  const { home, ask } = await ecResponder()
  for (const who of [[], ['delegate']]) {
    const staple = ask([...who, '-ndays', '7', '-resp_key_id'])
    assert.equal(basicOf(staple).responder.kind, 'key')
    assert.equal(verdictNow(home, staple), 'ok')
  }
})

test('OpenSSL revokes, with and without a reason', needsOpenssl(), async () => {
  const { home, lines, ask } = await ecResponder()
  const { certificate } = home.leaf
  for (const [when, reason] of [
    ['260102030405Z', undefined],
    ['260102030405Z,keyCompromise', 'keyCompromise'],
    ['260102030405Z,superseded', 'superseded'],
    ['260102030405Z,holdInstruction,1.2.840.10040.2.1', 'certificateHold'],
  ] as const) {
    lines.set(home.leaf, ended(certificate, when))
    for (const who of [[], ['delegate']]) {
      const staple = ask([...who, '-ndays', '7'])
      const status = { kind: 'revoked', at: Date.UTC(2026, 0, 2, 3, 4, 5), reason }
      assert.deepEqual(basicOf(staple).responses[0]?.certStatus, status)
      assert.equal(verdictNow(home, staple), refused)
      // Long after its next update it revokes still, if its delegate was there to be believed.
      assert.equal(verdictNow(home, staple, 9 * day), refused)
    }
  }
})

test('OpenSSL does not know a leaf that is not in its index', needsOpenssl(), async () => {
  const { home, lines, ask } = await ecResponder()
  lines.clear()
  lines.set(home.ca, valid(home.ca.certificate))
  const staple = ask(['-ndays', '7'])
  assert.deepEqual(basicOf(staple).responses[0]?.certStatus, { kind: 'unknown' })
  assert.equal(verdictNow(home, staple), unusable)
})

test('OpenSSL answers about a leaf that is named by SHA-256', needsOpenssl(), async () => {
  const { home, lines, ask } = await ecResponder()
  const staple = ask(['-ndays', '7', '-sha256'])
  assert.equal(basicOf(staple).responses[0]?.certId.hash, 'sha256')
  assert.equal(verdictNow(home, staple), 'ok')
  lines.set(home.leaf, ended(home.leaf.certificate, '260102030405Z'))
  assert.equal(verdictNow(home, ask(['-ndays', '7', '-sha256'])), refused)
})

test(
  'a response of OpenSSL ends at its next update, and holds for nothing without one',
  needsOpenssl(),
  async () => {
    const { home, ask } = await ecResponder()
    const staple = ask(['-ndays', '7'])
    assert.equal(verdictNow(home, staple, 6 * day), 'ok')
    assert.equal(verdictNow(home, staple, 8 * day), stale)
    assert.equal(verdictNow(home, staple, -day), stale)
    const endless = ask([])
    assert.equal(basicOf(endless).responses[0]?.nextUpdate, undefined)
    assert.equal(verdictNow(home, endless), unusable)
  },
)

test(
  'of a response of OpenSSL about several leaves each gets its own answer',
  needsOpenssl(),
  async () => {
    const { home, lines, ask } = await ecResponder()
    const leaf = await issue(home.ca, { name: 'leaf' })
    lines.set(leaf, ended(leaf.certificate, '260102030405Z'))
    const staple = ask(['-ndays', '7'], [home.leaf, leaf])
    assert.equal(basicOf(staple).responses.length, 2)
    assert.equal(verdictNow(home, staple), 'ok')
    assert.equal(verdictNow({ ...home, leaf }, staple), refused)
    const alone = ask(['-ndays', '7'], [home.leaf])
    assert.equal(verdictNow({ ...home, leaf }, alone), unusable)
  },
)

test('a response that OpenSSL spoilt does not count', needsOpenssl(), async () => {
  const { home, ask } = await ecResponder()
  assert.equal(verdictNow(home, ask(['-ndays', '7', '-badsig'])), unusable)
})

test('OpenSSL signs with RSA: PKCS#1 and PSS count, SHA-1 does not', needsOpenssl(), async () => {
  const { home, ask } = await responder(rsaSigner)
  for (const who of [[], ['delegate']]) {
    const options = [...who, '-ndays', '7']
    assert.equal(verdictNow(home, ask([...options, '-rmd', 'sha256'])), 'ok')
    const pss = ask([...options, '-rmd', 'sha384', '-rsigopt', 'rsa_padding_mode:pss'])
    assert.equal(basicOf(pss).scheme?.kind, 'rsa-pss')
    assert.equal(verdictNow(home, pss), 'ok')
    const weak = ask([...options, '-rmd', 'sha1'])
    assert.equal(basicOf(weak).scheme?.kind, 'rsa-pkcs1')
    assert.equal(verdictNow(home, weak), unusable)
  }
})

test('a nonce that nobody asked for does no harm', needsOpenssl(), async () => {
  const { home, ask } = await ecResponder()
  const staple = ask(['-ndays', '7', '-nonce'])
  const oids = basicOf(staple).extensions.map(({ oid }) => oid)
  assert.deepEqual(oids, ['1.3.6.1.5.5.7.48.1.2'])
  assert.equal(verdictNow(home, staple), 'ok')
})

/** A response of pkijs about the leaf, by its issuer; `status` is the number of the choice. */
async function pkijsResponse(home: House, key: KeyObject, status: 0 | 2): Promise<Uint8Array> {
  const [leaf, issuer] = [home.leaf, home.ca].map(({ certificate }) =>
    PkijsCertificate.fromBER(new Uint8Array(certificate.der)),
  )
  assert.ok(leaf && issuer)
  const basic = new BasicOCSPResponse()
  basic.tbsResponseData.responderID = issuer.subject
  basic.tbsResponseData.producedAt = new Date(at)
  const certID = await CertID.create(leaf, { hashAlgorithm: 'SHA-256', issuerCertificate: issuer })
  const single = new SingleResponse({ certID })
  single.certStatus = new Primitive({ idBlock: { tagClass: 3, tagNumber: status } })
  single.thisUpdate = new Date(at)
  single.nextUpdate = new Date(at + day)
  basic.tbsResponseData.responses.push(single)
  const pkcs8 = new Uint8Array(key.export({ type: 'pkcs8', format: 'der' }))
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const usable = await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign'])
  await basic.sign(usable, 'SHA-256')
  const responseBytes = new ResponseBytes({
    responseType: ocspOid.basic,
    response: new OctetString({ valueHex: basic.toSchema().toBER() }),
  })
  const whole = new OCSPResponse({ responseStatus: new Enumerated({ value: 0 }), responseBytes })
  return new Uint8Array(whole.toSchema().toBER())
}

test('a response of pkijs clears the leaf, or says that it is not known', async () => {
  const { key, home } = await pkijsHouse()
  const good = await pkijsResponse(home, key, 0)
  assert.equal(statusVerdict(home, good), 'ok')
  const unknown = await pkijsResponse(home, key, 2)
  assert.equal(statusVerdict(home, unknown), unusable)
  assert.match(statusRefusal(home, unknown)?.message ?? '', /does not know it/)
})

test('a refusal of pkijs is read as what it is', () => {
  const tryLater = new OCSPResponse({ responseStatus: new Enumerated({ value: 3 }) })
  const der = new Uint8Array(tryLater.toSchema().toBER())
  assert.deepEqual(parseOcspResponse(der), { status: 'tryLater' })
})

async function pkijsHouse(): Promise<{ readonly key: KeyObject; readonly home: House }> {
  const usual = await house()
  const key = p256()
  const signer = softwareSigner(key)
  const ca = await authority(usual.root, { name: 'Test CA', signer })
  return { key, home: { ...usual, ca, leaf: await issue(ca, { name: 'leaf' }) } }
}
