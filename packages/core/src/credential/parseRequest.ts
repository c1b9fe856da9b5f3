/**
 * Certification request (PKCS#10, RFC 2986 §4) with its extensionRequest (RFC 2985 §5.4.2) and, as
 * bytes, its attestation (draft-ietf-lamps-csr-attestation). Other attributes are checked for their
 * shape and not kept. Proof of possession is checked by whoever
 * issues.
 */
import { compareBytes, contextConstructed, DerReader, tag } from '../codec/index.ts'
import { pkcsOid } from './oids.ts'
import { readSignatureAlgorithm, readSpki } from './parseAlgorithm.ts'
import { noExtensions, readCertificateExtensions } from './parseExtensions.ts'
import { readName } from './parseName.ts'
import type { CertificateExtensions, CertificateRequest } from './types.ts'
import { limitError, syntaxError, x509Limits } from './x509Error.ts'

/**
 * One request and nothing behind it; throws PeerError (X509ErrorCode) with the path of the field.
 *
 * @example const request = parseCertificateRequest(fromBase64(body))
 */
export function parseCertificateRequest(der: Uint8Array): CertificateRequest {
  const whole = new DerReader(der, 'csr', x509Limits.requestBytesMax)
  const outer = whole.sequence('')
  whole.end()
  const info = outer.sequence('')
  const tbs = der.subarray(outer.elementStart, outer.contentEnd)
  const algorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm')
  const signature = outer.bitStringOctets('signature')
  outer.end()

  info.smallInteger('version', 0)
  const subject = readName(info, 'subject')
  const spki = readSpki(info, 'subjectPKInfo')
  // `[0] IMPLICIT Attributes` has no OPTIONAL: an empty set is written as A0 00.
  const attributes = readAttributes(info.enter(contextConstructed(0), 'attributes'))
  info.end()
  return {
    der,
    tbs,
    scheme: algorithm.scheme,
    signatureOid: algorithm.oid,
    signature,
    subject,
    spki,
    ...attributes,
  }
}

type Attributes = Pick<CertificateRequest, 'requested' | 'attestation'>

function readAttributes(set: DerReader): Attributes {
  let requested: CertificateExtensions | undefined
  let attestation: Uint8Array | undefined
  let before: Uint8Array | undefined
  let count = 0
  while (!set.done) {
    if (++count > x509Limits.requestAttributesMax) throw limitError(set, 'too many attributes')
    const attribute = set.sequence('')
    const der = set.bytes.subarray(set.elementStart, set.contentEnd)
    if (before !== undefined && compareBytes(before, der) >= 0) {
      throw syntaxError(set, 'SET OF is not sorted, or has an element twice')
    }
    before = der
    const type = attribute.oid('type')
    const values = attribute.enter(tag.set, type)
    attribute.end()
    if (values.done) throw syntaxError(attribute, 'an attribute without a value')
    if (type === pkcsOid.extensionRequest) {
      if (requested !== undefined) throw syntaxError(set, 'extensionRequest stands twice')
      requested = readCertificateExtensions(values.sequence('extensions'))
      // RFC 2985 §5.4.2: SINGLE VALUE TRUE.
      values.end()
    } else if (type === pkcsOid.attestation) {
      if (attestation !== undefined) throw syntaxError(set, 'attestation stands twice')
      attestation = values.tlv('bundle', tag.sequence)
      // COUNTS MAX 1 of the draft: one attribute, one bundle.
      values.end()
    } else while (!values.done) values.next('value')
  }
  return { requested: requested ?? noExtensions, attestation }
}
