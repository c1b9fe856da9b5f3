/**
 * Certificates, certification requests and CRLs as DER (RFC 5280 §4.1, §5.1; RFC 2986 §4), signed
 * through a Signer. Plain assembly of parts that the caller has encoded; the authority's profiles,
 * which issue by the thousand, fill templates of their own instead.
 */
import { compareBytes, der, tag } from '../codec/index.ts'
import type { Milliseconds, Signer } from '../ports.ts'
import { encodeSignatureAlgorithm, encodeSignatureValue } from './encodeAlgorithm.ts'
import { encodeExtension, encodeSubjectAltName } from './encodeExtensions.ts'
import { encodeName, type NameAttribute } from './encodeName.ts'
import { extensionOid, pkcsOid } from './oids.ts'
import type { GeneralName } from './types.ts'

/** SEQUENCE { signed part, algorithm, signature }: the outside of all three. */
async function signStructure(tbs: Uint8Array, signer: Signer): Promise<Uint8Array> {
  const signature = encodeSignatureValue(signer.scheme, await signer.sign(tbs))
  return der.sequence(tbs, encodeSignatureAlgorithm(signer.scheme), der.bitString(signature))
}

export interface CertificateParts {
  /** Content octets of the INTEGER, positive and minimal. */
  readonly serial: Uint8Array
  /** Name, DER. */
  readonly issuer: Uint8Array
  /** Name, DER. */
  readonly subject: Uint8Array
  readonly notBefore: Milliseconds
  readonly notAfter: Milliseconds
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** Whole extensions, DER; none makes a certificate of version 1. */
  readonly extensions: readonly Uint8Array[]
}

/** A certificate signed by `signer`. */
export function createCertificate(parts: CertificateParts, signer: Signer): Promise<Uint8Array> {
  const v3 = parts.extensions.length > 0
  const tbs = der.sequence(
    ...(v3 ? [der.explicit(0, der.integer(2))] : []),
    der.unsignedInteger(parts.serial),
    encodeSignatureAlgorithm(signer.scheme),
    parts.issuer,
    der.sequence(der.time(parts.notBefore), der.time(parts.notAfter)),
    parts.subject,
    parts.spki,
    ...(v3 ? [der.explicit(3, der.sequence(...parts.extensions))] : []),
  )
  return signStructure(tbs, signer)
}

export interface RequestParts {
  readonly subject: readonly NameAttribute[]
  readonly altNames?: readonly GeneralName[]
  /** An AttestationBundle, DER: what the key's element says of it. */
  readonly attestation?: Uint8Array
  /** Holds the key that is to be certified; signing proves its possession. */
  readonly signer: Signer
}

/**
 * A certification request (PKCS#10) for the signer's key.
 *
 * @example await createCertificateRequest({ subject: [{ type: attributeOid.serialNumber, value: 'A7' }], signer })
 */
export function createCertificateRequest(parts: RequestParts): Promise<Uint8Array> {
  const names = parts.altNames ?? []
  const extensions =
    names.length === 0 ? [] : [encodeSubjectAltName(names, parts.subject.length === 0)]
  const attributes = [
    ...(extensions.length === 0 ? [] : [extensionRequest(extensions)]),
    ...(parts.attestation === undefined ? [] : [attestationAttribute(parts.attestation)]),
  ].toSorted(compareBytes) // SET OF
  const info = der.sequence(
    der.integer(0),
    encodeName(parts.subject),
    parts.signer.spki,
    der.explicit(0, ...attributes),
  )
  return signStructure(info, parts.signer)
}

/** RFC 2985 §5.4.2 */
function extensionRequest(extensions: readonly Uint8Array[]): Uint8Array {
  return der.sequence(der.oid(pkcsOid.extensionRequest), der.setOf(der.sequence(...extensions)))
}

function attestationAttribute(bundle: Uint8Array): Uint8Array {
  return der.sequence(der.oid(pkcsOid.attestation), der.setOf(bundle))
}

export interface ListParts {
  /** Name, DER. */
  readonly issuer: Uint8Array
  readonly thisUpdate: Milliseconds
  readonly nextUpdate: Milliseconds
  readonly entries: readonly {
    /** Content octets of the INTEGER, positive. */
    readonly serial: Uint8Array
    readonly revokedAt: Milliseconds
    /** Number of the CRLReason; 0 (unspecified) is left out (RFC 5280 §5.3.1). */
    readonly reason: number
  }[]
  /** Whole extensions, DER. */
  readonly extensions: readonly Uint8Array[]
}

/** A CRL of version 2 signed by `signer`. */
export function createCertificateList(parts: ListParts, signer: Signer): Promise<Uint8Array> {
  const entries = parts.entries.map(({ serial, revokedAt, reason }) =>
    der.sequence(
      der.unsignedInteger(serial),
      der.time(revokedAt),
      ...(reason === 0 ? [] : [der.sequence(reasonCode(reason))]),
    ),
  )
  const tbs = der.sequence(
    der.integer(1),
    encodeSignatureAlgorithm(signer.scheme),
    parts.issuer,
    der.time(parts.thisUpdate),
    der.time(parts.nextUpdate),
    ...(entries.length === 0 ? [] : [der.elementOf(tag.sequence, entries)]),
    der.explicit(0, der.sequence(...parts.extensions)),
  )
  return signStructure(tbs, signer)
}

function reasonCode(reason: number): Uint8Array {
  return encodeExtension(extensionOid.reasonCode, false, Uint8Array.of(0x0a, 1, reason))
}
