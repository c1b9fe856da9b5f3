/**
 * What the judge of chains takes and gives. The proof symbol is not exported: outside this room
 * nobody can make a VerifiedPeer, so whoever holds one knows that a path was built and validated
 * (RFC 5280 §6).
 */
import type { Milliseconds } from '../ports.ts'
import type { Purpose, Role } from './roles.ts'
import type { Certificate, CertificateList, Oid } from './types.ts'

/** What a foreign maker's anchor may vouch for. Everything absent is unlimited. */
export interface AnchorScope {
  /** Carried for the registry, which gives the device this product; not compared here. */
  readonly product?: string
  /** `*` for any run, `?` for one character, against the subject's serialNumber. */
  readonly serialPattern?: string
  readonly notAfter?: Milliseconds
  readonly assuranceCap?: 0 | 1 | 2 | 3 | 4
}

/** A trust anchor of exactly one role: an issuing CA. A root is never an anchor here. */
export interface Anchor {
  readonly role: Role
  readonly certificate: Certificate
  readonly origin: 'house' | 'foreign'
  readonly scope: AnchorScope
}

/** RFC 9525 reference identifier. IP as text, IPv4 or IPv6. */
export interface ReferenceName {
  readonly kind: 'DNS' | 'IP' | 'email'
  readonly value: string
}

export interface Expectation {
  readonly role: Role
  /**
   * The EKU the leaf must carry. `clientAuth` also takes a maker's leaf without EKU (802.1AR); the
   * others must be explicit.
   */
  readonly purpose: Purpose
  readonly name?: ReferenceName
  /**
   * What the leaf's key does here. Where nothing is said it signs, and of `serverEdhocDh` it agrees.
   * A device with a static key in EDHOC (methods 2 and 3) agrees too.
   */
  readonly keyUsage?: 'digitalSignature' | 'keyAgreement'
  /**
   * The peer was asked for the OCSP status of its certificate: one that promises it (RFC 7633)
   * must come with it.
   */
  readonly stapleExpected?: boolean
}

declare const proof: unique symbol

export interface VerifiedPeer {
  readonly role: Role
  readonly purpose: Purpose
  /** Parsed when it is asked for: keep it rather than ask twice. */
  readonly leaf: Certificate
  /** SHA-256 of the leaf, lower-case hex; its first 16 digits are the x5t (SHA-256/64). */
  readonly fingerprint: string
  readonly anchor: Anchor
  /** Who vouches for the leaf: its issuer first, the anchor last. */
  readonly above: readonly Certificate[]
  /** Leaf first, anchor last; the leaf as above. */
  readonly path: readonly Certificate[]
  /** Earliest notAfter of the path: no session outlives it. */
  readonly notAfter: Milliseconds
  readonly [proof]: 'chain'
}

export type ChainErrorCode =
  | 'ERR_CERT_MALFORMED'
  | 'ERR_CERT_EXPIRED'
  | 'ERR_CERT_NOT_YET_VALID'
  | 'ERR_CERT_REVOKED'
  | 'ERR_CHAIN_EXPIRED'
  | 'ERR_CHAIN_UNKNOWN_ISSUER'
  | 'ERR_CHAIN_SIGNATURE'
  | 'ERR_CHAIN_ALGORITHM'
  | 'ERR_CHAIN_NOT_A_CA'
  | 'ERR_CHAIN_PATH_LENGTH'
  | 'ERR_CHAIN_KEY_USAGE'
  | 'ERR_CHAIN_PURPOSE'
  | 'ERR_CHAIN_ROLE'
  | 'ERR_CHAIN_SCOPE'
  | 'ERR_CHAIN_NAME'
  | 'ERR_CHAIN_NAME_CONSTRAINTS'
  | 'ERR_CHAIN_CRITICAL_EXTENSION'
  | 'ERR_CHAIN_POLICY'
  | 'ERR_CHAIN_LIMIT'
  | 'ERR_CRL_UNUSABLE'
  | 'ERR_CRL_STALE'
  | 'ERR_OCSP_UNUSABLE'
  | 'ERR_OCSP_STALE'
  | 'ERR_OCSP_MISSING'

/** A question to path validation by RFC 5280 §6 alone: no roles, no scopes. */
export interface PathRequest extends PathQuestion {
  readonly crls: readonly CertificateList[]
}

/** The same without revocation. */
export interface PathQuestion {
  readonly leaf: Certificate
  readonly intermediates: readonly Certificate[]
  readonly anchors: readonly Certificate[]
  readonly at: Milliseconds
  /** undefined: any use. */
  readonly extKeyUsage?: { readonly oid: Oid; readonly explicit: boolean }
  readonly asCa?: boolean
  readonly name?: ReferenceName
  /**
   * Most intermediates between leaf and anchor, self-issued ones not counted (RFC 5280 §6.1.4 (l)).
   */
  readonly depthMax?: number
  /**
   * Most signature checks of the search. Whoever asks about a stranger's bag gives less than for
   * his own.
   */
  readonly signatureChecksMax?: number
}
