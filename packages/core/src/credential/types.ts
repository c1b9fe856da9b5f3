/**
 * X.509 as typed values (RFC 5280 §4 and §5, RFC 2986). Made only by the parsers of this room;
 * inside, values are already right. Byte arrays are views of the parsed input: nobody writes to
 * them.
 */
import type { KeyAlgorithm, Milliseconds, SignatureScheme } from '../ports.ts'

/** Dotted decimal, as in `2.5.29.19`. */
export type Oid = string

export interface AttributeTypeAndValue {
  readonly type: Oid
  /** Tag of the DirectoryString or other value. */
  readonly tag: number
  /** Content octets. */
  readonly value: Uint8Array
  /** The value as text, for string types that have one. */
  readonly text: string | undefined
}

export interface Name {
  /** The whole RDNSequence TLV. Names are compared by directoryNames.ts. */
  readonly der: Uint8Array
  readonly rdns: readonly (readonly AttributeTypeAndValue[])[]
}

/**
 * GeneralName (RFC 5280 §4.2.1.6). `dns`, `email` and `uri` are IA5String text; `ip` is 4 or 16
 * octets (8 or 32 in a constraint).
 */
export type GeneralName =
  | { readonly kind: 'dns'; readonly value: string }
  | { readonly kind: 'email'; readonly value: string }
  | { readonly kind: 'uri'; readonly value: string }
  | { readonly kind: 'ip'; readonly value: Uint8Array }
  | { readonly kind: 'directory'; readonly value: Name }
  | { readonly kind: 'registeredId'; readonly value: Oid }
  /** `value` is the TLV inside the explicit [0]. */
  | { readonly kind: 'other'; readonly type: Oid; readonly value: Uint8Array }
  /** x400Address and ediPartyName: carried, never matched. */
  | { readonly kind: 'unsupported'; readonly tag: number; readonly value: Uint8Array }

export type KeyUsageBit =
  | 'digitalSignature'
  | 'contentCommitment'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly'

export interface GeneralSubtree {
  readonly base: GeneralName
}

export interface DistributionPoint {
  readonly fullName: readonly GeneralName[] | undefined
  readonly hasRelativeName: boolean
  readonly hasReasons: boolean
  readonly cRLIssuer: readonly GeneralName[] | undefined
}

export interface RawExtension {
  readonly oid: Oid
  readonly critical: boolean
  /** Content of extnValue. */
  readonly value: Uint8Array
}

/**
 * The extensions that we understand, each parsed to the letter; a malformed one is a parse error of
 * the certificate.
 */
export interface CertificateExtensions {
  readonly basicConstraints:
    | { readonly ca: boolean; readonly pathLen: number | undefined }
    | undefined
  readonly keyUsage: ReadonlySet<KeyUsageBit> | undefined
  readonly extKeyUsage: readonly Oid[] | undefined
  readonly subjectAltName: readonly GeneralName[] | undefined
  readonly issuerAltName: readonly GeneralName[] | undefined
  readonly nameConstraints:
    | {
        readonly permitted: readonly GeneralSubtree[]
        readonly excluded: readonly GeneralSubtree[]
      }
    | undefined
  readonly subjectKeyId: Uint8Array | undefined
  /** keyIdentifier; issuer and serial forms are accepted and not used for matching. */
  readonly authorityKeyId: Uint8Array | undefined
  readonly crlDistributionPoints: readonly DistributionPoint[] | undefined
  readonly policyConstraints:
    | {
        readonly requireExplicitPolicy: number | undefined
        readonly inhibitPolicyMapping: number | undefined
      }
    | undefined
  readonly policies: readonly Oid[] | undefined
  readonly inhibitAnyPolicy: number | undefined
  /** TLS extensions that the holder promises to answer (RFC 7633): 5 is status_request. */
  readonly tlsFeatures: readonly number[] | undefined
  /** Every extension in order, known or not. */
  readonly all: readonly RawExtension[]
}

export interface Spki {
  /** The whole SubjectPublicKeyInfo TLV. */
  readonly der: Uint8Array
  /**
   * undefined: an algorithm that we do not know, or a curve given by parameters. Such a key never
   * verifies anything.
   */
  readonly algorithm: KeyAlgorithm | undefined
  /** Content of the BIT STRING: the point, the raw Ed25519 key, the RSAPublicKey TLV. */
  readonly keyBytes: Uint8Array
}

export interface SignedPart {
  /** The TLV that is signed. */
  readonly tbs: Uint8Array
  /**
   * undefined: a signature algorithm that we do not know or that is below the floor of the parser
   * (MD5).
   */
  readonly scheme: SignatureScheme | undefined
  readonly signatureOid: Oid
  readonly signature: Uint8Array
}

export interface Certificate extends SignedPart {
  readonly der: Uint8Array
  readonly version: 1 | 2 | 3
  /** Content octets of the INTEGER. */
  readonly serial: Uint8Array
  readonly issuer: Name
  readonly subject: Name
  readonly notBefore: Milliseconds
  /** 253402300799000 for 99991231235959Z: no well-defined expiration (RFC 5280 §4.1.2.5). */
  readonly notAfter: Milliseconds
  readonly spki: Spki
  readonly extensions: CertificateExtensions
}

export interface CertificateRequest extends SignedPart {
  readonly der: Uint8Array
  readonly subject: Name
  readonly spki: Spki
  /** extensionRequest (RFC 2985 §5.4.2), empty when absent. */
  readonly requested: CertificateExtensions
  /**
   * The AttestationBundle (draft-ietf-lamps-csr-attestation) as it came, DER; undefined when there
   * is none. core/attestation reads it.
   */
  readonly attestation: Uint8Array | undefined
}

/** CRLReason of RFC 5280 §5.3.1, by its name. */
export type RevocationReason =
  | 'unspecified'
  | 'keyCompromise'
  | 'cACompromise'
  | 'affiliationChanged'
  | 'superseded'
  | 'cessationOfOperation'
  | 'certificateHold'
  | 'removeFromCRL'
  | 'privilegeWithdrawn'
  | 'aACompromise'

export interface RevokedEntry {
  readonly serial: Uint8Array
  readonly revokedAt: Milliseconds
  readonly reason: RevocationReason | undefined
}

export interface CertificateList extends SignedPart {
  readonly der: Uint8Array
  readonly issuer: Name
  readonly thisUpdate: Milliseconds
  readonly nextUpdate: Milliseconds | undefined
  readonly crlNumber: bigint | undefined
  readonly authorityKeyId: Uint8Array | undefined
  readonly issuingDistributionPoint:
    | {
        readonly fullName: readonly GeneralName[] | undefined
        readonly onlyUserCerts: boolean
        readonly onlyCaCerts: boolean
        readonly onlySomeReasons: boolean
        readonly indirect: boolean
        readonly onlyAttributeCerts: boolean
      }
    | undefined
  readonly isDelta: boolean
  /**
   * OIDs of critical extensions that we do not understand. Not empty: the CRL must not be used (RFC
   * 5280 §5.2).
   */
  readonly unknownCritical: readonly Oid[]
  /** Every extension of the list in order, known or not. */
  readonly extensions: readonly RawExtension[]
  /** The entry of this serial number (content octets of the INTEGER), if it is listed. */
  findRevoked(serial: Uint8Array): RevokedEntry | undefined
  readonly entryCount: number
}
