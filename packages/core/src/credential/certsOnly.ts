/**
 * Certs-only CMS: a SignedData that nobody signed, as EST carries certificates in (RFC 7030 §4.1.3,
 * RFC 5652 §5, degenerate case). It proves nothing; trust comes from the certificates and how they
 * are judged.
 */
import { concat, contextConstructed, DerReader, der, tag } from '../codec/index.ts'
import { pkcsOid } from './oids.ts'
import { limitError, syntaxError } from './x509Error.ts'

/** A house has a root, issuing CAs and their successors: tens, not thousands. */
export const certsOnlyBytesMax: number = 1024 * 1024
export const certsOnlyCertificatesMax: number = 64

const signedDataOid: Uint8Array = der.oid(pkcsOid.signedData)
const emptySet: Uint8Array = der.setOf()
/** version 1, no digest algorithms, no content of id-data. */
const versionAndContent: Uint8Array = concat(
  der.integer(1),
  emptySet,
  der.sequence(der.oid(pkcsOid.data)),
)

/** ContentInfo with these certificates (DER), sorted as DER wants a SET OF. */
export function encodeCertsOnly(certificates: readonly Uint8Array[]): Uint8Array {
  const set = der.setOf(...certificates)
  // certificates [0] IMPLICIT CertificateSet: the same content under another identifier.
  set[0] = contextConstructed(0)
  const signedData = der.sequence(versionAndContent, set, emptySet)
  return der.sequence(signedDataOid, der.explicit(0, signedData))
}

/**
 * The certificates (DER, unparsed) of a certs-only message. RFC 5652 asks for BER only; this takes
 * definite, minimal lengths, but certificates in any order, because stock tools keep the order they
 * were given.
 */
export function parseCertsOnly(bytes: Uint8Array): readonly Uint8Array[] {
  const whole = new DerReader(bytes, 'certsOnly', certsOnlyBytesMax)
  const contentInfo = whole.sequence('')
  whole.end()
  if (contentInfo.oid('contentType') !== pkcsOid.signedData) {
    throw syntaxError(contentInfo, 'not a SignedData')
  }
  const explicit = contentInfo.enter(contextConstructed(0), 'content')
  contentInfo.end()
  const signedData = explicit.sequence('')
  explicit.end()
  if (signedData.smallInteger('version', 5) !== 1) throw syntaxError(signedData, 'not version 1')
  signedData.set('digestAlgorithms').end()
  const content = signedData.sequence('encapContentInfo')
  if (content.oid('eContentType') !== pkcsOid.data) throw syntaxError(content, 'not id-data')
  content.end()
  const certificates = readCertificates(signedData)
  // An empty list of CRLs is what some tools write for none.
  signedData.explicit(1, 'crls')?.end()
  signedData.set('signerInfos').end()
  signedData.end()
  return certificates
}

function readCertificates(signedData: DerReader): readonly Uint8Array[] {
  const set = signedData.enter(contextConstructed(0), 'certificates')
  const certificates: Uint8Array[] = []
  while (!set.done) {
    if (certificates.length === certsOnlyCertificatesMax) {
      throw limitError(set, `more than ${certsOnlyCertificatesMax} certificates`)
    }
    certificates.push(set.tlv('certificate', tag.sequence))
  }
  if (certificates.length === 0) throw syntaxError(set, 'no certificate')
  return certificates
}
