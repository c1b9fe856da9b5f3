/**
 * AttestationBundle (draft-ietf-lamps-csr-attestation §3) and the attribute of a request that carries
 * it: against bytes written out by hand, and hostile ones.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { encodeAttestationBundle, parseAttestationBundle } from '@countersign/core/attestation'
import { der, fromHex, hex } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificateRequest,
  parseCertificateRequest,
} from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import { softwareSigner } from '@countersign/element/softwareSigner'

const refused = (code: string) => (error: unknown) =>
  error instanceof PeerError && error.code === code
const malformed = refused('ERR_ATTESTATION_MALFORMED')

/** SEQUENCE { SEQUENCE { SEQUENCE { 1.2.3, OCTET STRING AB } }, SEQUENCE { SEQUENCE {} } } */
const bytes = '300f3009300706022a030401ab30023000'
const bundle = { statements: [{ type: '1.2.3', statement: fromHex('0401ab') }] }

test('a bundle is written and read as the draft has it', () => {
  const whole = { ...bundle, certificates: [fromHex('3000')] }
  assert.equal(hex(encodeAttestationBundle(whole)), bytes)
  assert.deepEqual(parseAttestationBundle(fromHex(bytes)), whole)
  const bare = { ...bundle, certificates: [] }
  assert.equal(hex(encodeAttestationBundle(bare)), '300b3009300706022a030401ab')
  assert.deepEqual(parseAttestationBundle(encodeAttestationBundle(bare)), bare)
})

test('a bundle cut anywhere is malformed', () => {
  for (let length = 0; length < bytes.length / 2; length++) {
    assert.throws(() => parseAttestationBundle(fromHex(bytes).subarray(0, length)), malformed)
  }
})

test('a bundle without statements, with an empty list of certificates, or with others is malformed', () => {
  const statement = '300706022a030401ab'
  const cases = {
    'no statement': '30023000',
    'an empty list of certificates': `300d3009${statement}3000`,
    'another certificate format': `300f3009${statement}3002a300`,
    'three statements': `301d301b${statement.repeat(3)}`,
    'five certificates': `30173009${statement}300a${'3000'.repeat(5)}`,
    'a statement without a value': '30083006300406022a03',
    'a byte behind it': `${bytes}00`,
  }
  for (const [what, text] of Object.entries(cases)) {
    assert.throws(() => parseAttestationBundle(fromHex(text)), malformed, what)
  }
})

const signer = softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
const subject = [{ type: attributeOid.serialNumber, value: 'A7' }]

test('a request carries its bundle, beside the names it asks for', async () => {
  const attestation = encodeAttestationBundle({ ...bundle, certificates: [] })
  const altNames = [{ kind: 'uri', value: 'urn:dev:mac:0011223344556677' }] as const
  const request = await createCertificateRequest({ subject, altNames, attestation, signer })
  // [0] { SEQUENCE { id-aa 59, SET { bundle } }, … }: OID 1.2.840.113549.1.9.16.2.59.
  assert.ok(hex(request).includes(`060b2a864886f70d010910023b310d${hex(attestation)}`))
  const parsed = parseCertificateRequest(request)
  assert.deepEqual(parsed.attestation, attestation)
  assert.equal(parsed.requested.subjectAltName?.length, 1)
  const plain = await createCertificateRequest({ subject, signer })
  assert.equal(parseCertificateRequest(plain).attestation, undefined)
})

test('two attestations, or one of two bundles, are no request', async () => {
  const one = encodeAttestationBundle({ ...bundle, certificates: [] })
  const two = encodeAttestationBundle({ ...bundle, certificates: [fromHex('3000')] })
  const oid = der.oid('1.2.840.113549.1.9.16.2.59')
  const twice = [der.sequence(oid, der.setOf(one)), der.sequence(oid, der.setOf(two))]
  for (const attributes of [twice, [der.sequence(oid, der.setOf(one, two))]]) {
    const [name] = [fromHex('3000')]
    const info = der.sequence(der.integer(0), name, signer.spki, der.explicit(0, ...attributes))
    const algorithm = fromHex('300a06082a8648ce3d040302')
    const request = der.sequence(info, algorithm, der.bitString(await signer.sign(info)))
    assert.throws(() => parseCertificateRequest(request), PeerError)
  }
})
