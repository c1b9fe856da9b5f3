/** Certificate (RFC 5280 §4.1): DER to typed value. Signatures, dates and trust are the judge's. */
import { contextConstructed, contextPrimitive, DerReader } from '../codec/index.ts'
import { expectSameAlgorithm, readSignatureAlgorithm, readSpki } from './parseAlgorithm.ts'
import { noExtensions, readCertificateExtensions } from './parseExtensions.ts'
import { readName } from './parseName.ts'
import type { Certificate, CertificateExtensions } from './types.ts'
import { syntaxError, x509Limits } from './x509Error.ts'

/**
 * One certificate and nothing behind it; throws PeerError (X509ErrorCode) with the path of the
 * field.
 *
 * @example const leaf = parseCertificate(parsePemOne(text, 'CERTIFICATE'))
 */
export function parseCertificate(der: Uint8Array): Certificate {
  const whole = new DerReader(der, 'certificate', x509Limits.certificateBytesMax)
  const outer = whole.sequence('')
  whole.end()
  const tbs = outer.sequence('')
  const tbsDer = der.subarray(outer.elementStart, outer.contentEnd)
  const algorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm')
  const signature = outer.bitStringOctets('signatureValue')
  outer.end()

  const version = readVersion(tbs)
  const serial = tbs.integer('serialNumber', x509Limits.serialOctetsMax)
  expectSameAlgorithm(tbs, algorithm)
  const issuer = readName(tbs, 'issuer')
  const validity = tbs.sequence('validity')
  const notBefore = validity.time('notBefore')
  const notAfter = validity.time('notAfter')
  validity.end()
  const subject = readName(tbs, 'subject')
  const spki = readSpki(tbs, 'subjectPublicKeyInfo')
  readUniqueIds(tbs, version)
  const extensions = readOptionalExtensions(tbs, version)
  tbs.end()
  return {
    der,
    tbs: tbsDer,
    scheme: algorithm.scheme,
    signatureOid: algorithm.oid,
    signature,
    version,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    extensions,
  }
}

/** §4.1.2.1: v1 is the default, which DER leaves out. */
function readVersion(tbs: DerReader): 1 | 2 | 3 {
  const field = tbs.enterOptional(contextConstructed(0), 'version')
  if (field === undefined) return 1
  const version = field.smallInteger('value', 2)
  field.end()
  if (version === 0) throw syntaxError(tbs, 'version 1 is written out')
  return version === 1 ? 2 : 3
}

/** §4.1.2.8: only in versions 2 and 3. Carried by nobody, read for their shape. */
function readUniqueIds(tbs: DerReader, version: number): void {
  for (const number of [1, 2]) {
    if (tbs.peek() !== contextPrimitive(number)) continue
    tbs.bitString('uniqueIdentifier', contextPrimitive(number))
    if (version === 1) throw syntaxError(tbs, 'unique identifier in version 1')
  }
}

/** §4.1.2.9: only in version 3. */
function readOptionalExtensions(tbs: DerReader, version: number): CertificateExtensions {
  const field = tbs.enterOptional(contextConstructed(3), 'extensions')
  if (field === undefined) return noExtensions
  if (version !== 3) throw syntaxError(tbs, `extensions in version ${version}`)
  const extensions = readCertificateExtensions(field.sequence(''))
  field.end()
  return extensions
}
