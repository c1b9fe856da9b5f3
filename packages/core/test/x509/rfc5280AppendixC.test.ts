/**
 * The certificates and the CRL of RFC 5280 Appendix C, field by field as the appendix describes
 * them.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import { formatName, parseCertificate, parseCertificateList } from '@countersign/core/credential'
import { appendixC } from './support.ts'

function derOf(id: string): Uint8Array {
  const found = appendixC().find((one) => one.id === id)
  assert.ok(found)
  assert.equal(found.der.length, found.bytes)
  return found.der
}

test('C.1: a self-signed RSA certificate', () => {
  const certificate = parseCertificate(derOf('C.1'))
  assert.equal(certificate.version, 3)
  assert.equal(hex(certificate.serial), '11')
  assert.deepEqual(certificate.scheme, { kind: 'rsa-pkcs1', hash: 'sha1' })
  assert.equal(formatName(certificate.issuer), 'DC=com, DC=example, CN=Example CA')
  assert.deepEqual(certificate.subject.der, certificate.issuer.der)
  assert.equal(certificate.notBefore, Date.parse('2004-04-30T14:25:34Z'))
  assert.equal(certificate.notAfter, Date.parse('2005-04-30T14:25:34Z'))
  assert.deepEqual(certificate.spki.algorithm, { kind: 'rsa', modulusBits: 1024 })
  const { extensions } = certificate
  assert.equal(
    hex(extensions.subjectKeyId ?? new Uint8Array()),
    '0868af8533c8394a7af882938e706a4a20842c32',
  )
  assert.deepEqual(extensions.basicConstraints, { ca: true, pathLen: undefined })
  assert.deepEqual([...(extensions.keyUsage ?? [])], ['keyCertSign', 'cRLSign'])
  assert.deepEqual(
    extensions.all.map(({ oid, critical }) => [oid, critical]),
    [
      ['2.5.29.14', false],
      ['2.5.29.15', true],
      ['2.5.29.19', true],
    ],
  )
})

test('C.2: an end entity certificate with an address', () => {
  const certificate = parseCertificate(derOf('C.2'))
  assert.equal(hex(certificate.serial), '12')
  assert.equal(formatName(certificate.subject), 'DC=com, DC=example, CN=End Entity')
  assert.equal(certificate.extensions.basicConstraints, undefined)
  assert.deepEqual(certificate.extensions.subjectAltName, [
    { kind: 'email', value: 'end.entity@example.com' },
  ])
  assert.deepEqual(
    certificate.extensions.authorityKeyId,
    parseCertificate(derOf('C.1')).extensions.subjectKeyId,
  )
  assert.deepEqual(
    [...(certificate.extensions.keyUsage ?? [])],
    ['digitalSignature', 'contentCommitment'],
  )
})

test('C.3: a DSA certificate is carried, and its algorithms stay unknown', () => {
  const certificate = parseCertificate(derOf('C.3'))
  assert.equal(hex(certificate.serial), '0100')
  assert.equal(certificate.scheme, undefined)
  assert.equal(certificate.signatureOid, '1.2.840.10040.4.3')
  assert.equal(certificate.spki.algorithm, undefined)
  assert.deepEqual(certificate.extensions.subjectAltName, [
    { kind: 'uri', value: 'http://www.example.com/users/DSAendentity.html' },
  ])
  assert.deepEqual(certificate.extensions.issuerAltName, [
    { kind: 'uri', value: 'http://www.example.com' },
  ])
  assert.deepEqual(certificate.extensions.policies, ['2.16.840.1.101.3.2.1.48.9'])
  assert.deepEqual([...(certificate.extensions.keyUsage ?? [])], ['digitalSignature'])
})

test('C.4: a CRL that revokes C.2 for key compromise', () => {
  const list = parseCertificateList(derOf('C.4'))
  assert.equal(formatName(list.issuer), 'DC=com, DC=example, CN=Example CA')
  assert.equal(list.thisUpdate, Date.parse('2005-02-05T12:00:00Z'))
  assert.equal(list.nextUpdate, Date.parse('2005-02-06T12:00:00Z'))
  assert.equal(list.crlNumber, 12n)
  assert.equal(list.entryCount, 1)
  assert.equal(list.isDelta, false)
  assert.deepEqual(list.unknownCritical, [])
  assert.deepEqual(list.findRevoked(parseCertificate(derOf('C.2')).serial), {
    serial: Uint8Array.of(0x12),
    revokedAt: Date.parse('2004-11-19T15:57:03Z'),
    reason: 'keyCompromise',
  })
  assert.equal(list.findRevoked(Uint8Array.of(0x11)), undefined)
  assert.equal(list.findRevoked(Uint8Array.of(0, 0x12)), undefined)
})

test('the signed part is the one that the signature is over', () => {
  const issuer = new X509Certificate(derOf('C.1'))
  for (const id of ['C.1', 'C.2']) {
    assert.ok(new X509Certificate(derOf(id)).verify(issuer.publicKey))
    const { tbs, signature, der } = parseCertificate(derOf(id))
    assert.equal(der.length, 4 + tbs.length + 15 + 4 + signature.length)
  }
})
