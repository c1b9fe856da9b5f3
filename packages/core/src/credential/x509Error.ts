/** Limits of the X.509 parsers, and the errors for what is DER and yet no X.509. */
import type { DerErrorCode, DerReader } from '../codec/index.ts'
import { PeerError } from '../errors.ts'

export type X509ErrorCode = DerErrorCode | 'ERR_X509_SYNTAX' | 'ERR_X509_LIMIT'

export interface X509Limits {
  readonly certificateBytesMax: number
  readonly requestBytesMax: number
  readonly listBytesMax: number
  readonly ocspBytesMax: number
  readonly ocspResponsesMax: number
  readonly ocspCertificatesMax: number
  readonly extensionsMax: number
  readonly namesMax: number
  readonly attributesMax: number
  readonly requestAttributesMax: number
  readonly serialOctetsMax: number
  readonly rsaBitsMax: number
}

export const x509Limits: X509Limits = {
  /** Real ones end at about 10 KiB; post-quantum signatures will add some ten. */
  certificateBytesMax: 64 * 1024,
  /** A request is smaller than its certificate, and anyone may send one. */
  requestBytesMax: 32 * 1024,
  /** About two million entries. */
  listBytesMax: 64 * 1024 * 1024,
  /** Real ones end at about 3 KiB, most of it the certificate of a delegate. */
  ocspBytesMax: 64 * 1024,
  /** One is needed; what is produced in advance may hold neighbours (RFC 5019 §2.2.1). */
  ocspResponsesMax: 64,
  /** A delegate needs one; some responders add the CAs above it. */
  ocspCertificatesMax: 8,
  extensionsMax: 64,
  /**
   * Of one SAN, one name constraint, one list of purposes: bounds the quadratic work of
   * constraints.
   */
  namesMax: 1024,
  /** Attributes of one distinguished name. */
  attributesMax: 64,
  requestAttributesMax: 32,
  /** RFC 5280 §4.1.2.2 allows 20; foreign ones are carried up to here and judged later. */
  serialOctetsMax: 64,
  /** Verifying with a larger key costs milliseconds for each signature an attacker sends. */
  rsaBitsMax: 16_384,
}

/** The element read last breaks a rule of X.509. */
export function syntaxError(at: DerReader, message: string, field?: string): X509Error {
  const hint =
    'Have it issued again by the letter of RFC 5280; `openssl asn1parse` shows what stands there.'
  return errorAt('ERR_X509_SYNTAX', at, message, hint, field)
}

/** More elements than we take. */
export function limitError(at: DerReader, message: string, field?: string): X509Error {
  const hint =
    'Issue it with fewer; the limit keeps one message from costing the work of thousands.'
  return errorAt('ERR_X509_LIMIT', at, message, hint, field)
}

type X509Error = PeerError<X509ErrorCode>

function errorAt(
  code: X509ErrorCode,
  at: DerReader,
  message: string,
  hint: string,
  field?: string,
): X509Error {
  return new PeerError(code, message, { offset: at.elementStart }, { where: at.where(field), hint })
}

/** Reads SEQUENCE SIZE (1..max) OF with `read`. */
export function listOf<T>(
  list: DerReader,
  what: string,
  max: number,
  read: (list: DerReader) => T,
): readonly T[] {
  if (list.done) throw syntaxError(list, `no ${what} in the list`)
  const items: T[] = []
  while (!list.done) {
    if (items.length === max) throw limitError(list, `more than ${max} of ${what}`)
    items.push(read(list))
  }
  return items
}
