/**
 * OCSP responses as typed values (RFC 6960 §4.2.1). Made only by parseOcsp.ts; byte arrays are
 * views of the parsed input.
 */
import type { HashName, Milliseconds } from '../ports.ts'
import type { Certificate, Name, Oid, RawExtension, RevocationReason, SignedPart } from './types.ts'

export type OcspResponse =
  | { readonly status: 'successful'; readonly basic: BasicOcspResponse }
  | { readonly status: OcspRefusal }

/** Why a responder does not answer (§2.3). Nobody signs these. */
export type OcspRefusal =
  | 'malformedRequest'
  | 'internalError'
  | 'tryLater'
  | 'sigRequired'
  | 'unauthorized'

export interface BasicOcspResponse extends SignedPart {
  readonly responder: ResponderId
  readonly producedAt: Milliseconds
  readonly responses: readonly SingleOcspResponse[]
  readonly extensions: readonly RawExtension[]
  /** OIDs of critical extensions. Not empty: the response must not be used. */
  readonly unknownCritical: readonly Oid[]
  /** What the responder adds to help verify its signature; unsigned, and not trusted for anything. */
  readonly certificates: readonly Certificate[]
}

export type ResponderId =
  | { readonly kind: 'name'; readonly value: Name }
  /** SHA-1 of the key, without tag, length and unused bits. */
  | { readonly kind: 'key'; readonly value: Uint8Array }

export interface SingleOcspResponse {
  readonly certId: CertId
  readonly certStatus: CertStatus
  readonly thisUpdate: Milliseconds
  readonly nextUpdate: Milliseconds | undefined
  readonly extensions: readonly RawExtension[]
  /** OIDs of critical extensions. Not empty: this answer must not be used. */
  readonly unknownCritical: readonly Oid[]
}

/** Whom an answer is about: serial numbers are unique under one issuer only. */
export interface CertId {
  /** undefined: a hash that we do not know. Such an identifier fits no certificate. */
  readonly hash: HashName | undefined
  readonly issuerNameHash: Uint8Array
  readonly issuerKeyHash: Uint8Array
  /** Content octets of the INTEGER. */
  readonly serial: Uint8Array
}

export type CertStatus =
  | { readonly kind: 'good' }
  | {
      readonly kind: 'revoked'
      readonly at: Milliseconds
      readonly reason: RevocationReason | undefined
    }
  | { readonly kind: 'unknown' }
