/**
 * OCSPResponse with a BasicOCSPResponse (RFC 6960 §4.2.1): DER to typed value. Who signed it, whom
 * it is about and whether it is fresh are the judge's. Leaves out: requests, response types other
 * than the basic one, and the meaning of every extension, which §4.1.2 makes optional; a critical
 * one is remembered.
 */
import { contextConstructed, contextPrimitive, DerReader, tag } from '../codec/index.ts'
import type { HashName } from '../ports.ts'
import type {
  BasicOcspResponse,
  CertId,
  CertStatus,
  OcspResponse,
  ResponderId,
  SingleOcspResponse,
} from './ocspTypes.ts'
import { ocspOid } from './oids.ts'
import { readHashAlgorithm, readSignatureAlgorithm } from './parseAlgorithm.ts'
import { parseCertificate } from './parseCertificate.ts'
import { readExtensionList } from './parseExtensions.ts'
import { readName } from './parseName.ts'
import { readReason } from './revokedEntries.ts'
import type { Certificate, Oid, RawExtension } from './types.ts'
import { limitError, listOf, syntaxError, x509Limits } from './x509Error.ts'

/** OCSPResponseStatus by its number. 4 is not used. */
const statuses: readonly (OcspResponse['status'] | undefined)[] = [
  'successful',
  'malformedRequest',
  'internalError',
  'tryLater',
  undefined,
  'sigRequired',
  'unauthorized',
]

const hashOctets: Readonly<Record<HashName, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
}

/**
 * One response and nothing behind it; throws PeerError (X509ErrorCode) with the path of the field.
 *
 * @example const response = parseOcspResponse(staple)
 */
export function parseOcspResponse(der: Uint8Array): OcspResponse {
  const whole = new DerReader(der, 'ocsp', x509Limits.ocspBytesMax)
  const outer = whole.sequence('')
  whole.end()
  const status = readStatus(outer)
  const field = outer.explicit(0, 'responseBytes')
  outer.end()
  if (status !== 'successful') {
    // §4.2.1: "If the value of responseStatus is one of the error conditions, the responseBytes
    // field is not set."
    if (field !== undefined) throw syntaxError(outer, `${status} with an answer`, 'responseBytes')
    return { status }
  }
  if (field === undefined) throw syntaxError(outer, 'successful without an answer', 'responseBytes')
  const basic = readResponseBytes(field)
  field.end()
  return { status, basic }
}

function readStatus(outer: DerReader): OcspResponse['status'] {
  const number = outer.smallInteger('responseStatus', statuses.length - 1, tag.enumerated)
  const status = statuses[number]
  if (status === undefined) throw syntaxError(outer, `status ${number} is not used`)
  return status
}

function readResponseBytes(field: DerReader): BasicOcspResponse {
  const typed = field.sequence('')
  const type = typed.oid('responseType')
  if (type !== ocspOid.basic) throw syntaxError(typed, `a response of type ${type}`, 'responseType')
  const response = typed.enter(tag.octetString, 'response')
  typed.end()
  const basic = readBasic(response)
  response.end()
  return basic
}

function readBasic(response: DerReader): BasicOcspResponse {
  const outer = response.sequence('')
  const data = outer.sequence('')
  const tbs = outer.bytes.subarray(outer.elementStart, outer.contentEnd)
  const algorithm = readSignatureAlgorithm(outer, 'signatureAlgorithm')
  const signature = outer.bitStringOctets('signature')
  const certificates = readCertificates(outer)
  outer.end()

  // Version 1 is the default, which DER leaves out, and there is no other.
  if (data.peek() === contextConstructed(0)) {
    data.next('version')
    throw syntaxError(data, 'a version is written out', 'version')
  }
  const responder = readResponderId(data)
  const producedAt = data.generalizedTime('producedAt')
  const list = data.sequence('responses')
  const responses = listOf(list, 'responses', x509Limits.ocspResponsesMax, readSingle)
  const extensions = readExtensions(data, 'responseExtensions')
  data.end()
  return {
    tbs,
    scheme: algorithm.scheme,
    signatureOid: algorithm.oid,
    signature,
    responder,
    producedAt,
    responses,
    extensions,
    unknownCritical: criticalOf(extensions),
    certificates,
  }
}

/** An empty list "SHOULD be absent" (§4.2.1), and need not. */
function readCertificates(outer: DerReader): readonly Certificate[] {
  const field = outer.explicit(0, 'certs')
  if (field === undefined) return []
  const list = field.sequence('')
  field.end()
  const found: Certificate[] = []
  while (!list.done) {
    if (found.length === x509Limits.ocspCertificatesMax) {
      throw limitError(list, `more than ${x509Limits.ocspCertificatesMax} certificates`)
    }
    found.push(parseCertificate(list.tlv('certificate', tag.sequence)))
  }
  return found
}

function readResponderId(data: DerReader): ResponderId {
  const named = data.explicit(1, 'responderID')
  if (named !== undefined) {
    const value = readName(named, 'byName')
    named.end()
    return { kind: 'name', value }
  }
  const keyed = data.enter(contextConstructed(2), 'responderID')
  const value = keyed.octetString('byKey')
  keyed.end()
  if (value.length !== hashOctets.sha1) throw syntaxError(data, 'a KeyHash that is no SHA-1')
  return { kind: 'key', value }
}

function readSingle(list: DerReader): SingleOcspResponse {
  const single = list.sequence('')
  const certId = readCertId(single)
  const certStatus = readCertStatus(single)
  const thisUpdate = single.generalizedTime('thisUpdate')
  const next = single.explicit(0, 'nextUpdate')
  const nextUpdate = next?.generalizedTime('')
  next?.end()
  const extensions = readExtensions(single, 'singleExtensions')
  single.end()
  const unknownCritical = criticalOf(extensions)
  return { certId, certStatus, thisUpdate, nextUpdate, extensions, unknownCritical }
}

function readCertId(single: DerReader): CertId {
  const id = single.sequence('certID')
  const hash = readHashAlgorithm(id, 'hashAlgorithm')
  const issuerNameHash = id.octetString('issuerNameHash')
  const issuerKeyHash = id.octetString('issuerKeyHash')
  const serial = id.integer('serialNumber', x509Limits.serialOctetsMax)
  id.end()
  const octets = hash === undefined ? undefined : hashOctets[hash]
  for (const value of [issuerNameHash, issuerKeyHash]) {
    if (octets === undefined || value.length === octets) continue
    throw syntaxError(single, `a hash of ${value.length} octets, which is no ${hash}`)
  }
  return { hash, issuerNameHash, issuerKeyHash, serial }
}

/** CHOICE of three IMPLICIT tags; good and unknown are NULL. */
function readCertStatus(single: DerReader): CertStatus {
  const choice = single.peek()
  if (choice === contextConstructed(1)) return readRevoked(single.enter(choice, 'revoked'))
  const good = choice === contextPrimitive(0)
  const content = single.content(good ? choice : contextPrimitive(2), 'certStatus')
  if (content.length > 0) throw syntaxError(single, 'NULL with content', 'certStatus')
  return { kind: good ? 'good' : 'unknown' }
}

function readRevoked(info: DerReader): CertStatus {
  const at = info.generalizedTime('revocationTime')
  const field = info.explicit(0, 'revocationReason')
  const reason = field === undefined ? undefined : readReason(field)
  field?.end()
  info.end()
  return { kind: 'revoked', at, reason }
}

function readExtensions(from: DerReader, name: string): readonly RawExtension[] {
  const field = from.explicit(1, name)
  if (field === undefined) return []
  const list = field.sequence('')
  field.end()
  return readExtensionList(list, () => undefined)
}

function criticalOf(extensions: readonly RawExtension[]): readonly Oid[] {
  return extensions.filter(({ critical }) => critical).map(({ oid }) => oid)
}
