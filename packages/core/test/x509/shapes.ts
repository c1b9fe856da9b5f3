/**
 * Certificates, requests and CRLs with one part bent at a time. The signature is noise: these are
 * for parsers, which do not check it.
 */
import { der } from '@countersign/core/codec'
import { encodeExtension, encodeName, extensionOid, pkcsOid } from '@countersign/core/credential'
import { p256Signer } from './support.ts'

const ecdsaSha256 = der.sequence(der.oid('1.2.840.10045.4.3.2'))
export const name: Uint8Array = encodeName([{ type: '2.5.4.3', value: 'x' }])
export const spki: Uint8Array = p256Signer().spki
const day = 86_400_000

export interface CertificateShape {
  version?: readonly Uint8Array[]
  serial?: Uint8Array
  inner?: Uint8Array
  issuer?: Uint8Array
  validity?: Uint8Array
  subject?: Uint8Array
  spki?: Uint8Array
  /** What follows the key: unique identifiers and `[3]`. */
  rest?: readonly Uint8Array[]
  outer?: Uint8Array
  signature?: Uint8Array
}

export function certificateOf(shape: CertificateShape): Uint8Array {
  const tbs = der.sequence(
    ...(shape.version ?? [der.explicit(0, der.integer(2))]),
    shape.serial ?? der.integer(1),
    shape.inner ?? shape.outer ?? ecdsaSha256,
    shape.issuer ?? name,
    shape.validity ?? der.sequence(der.time(0), der.time(day)),
    shape.subject ?? name,
    shape.spki ?? spki,
    ...(shape.rest ?? []),
  )
  return der.sequence(
    tbs,
    shape.outer ?? ecdsaSha256,
    shape.signature ?? der.bitString(Uint8Array.of(1)),
  )
}

/** A certificate with these whole extensions. */
export function withExtensions(...extensions: readonly Uint8Array[]): Uint8Array {
  return certificateOf({ rest: [der.explicit(3, der.sequence(...extensions))] })
}

/** A certificate with one extension of this value. */
export function withExtension(id: keyof typeof extensionOid, value: Uint8Array): Uint8Array {
  return withExtensions(encodeExtension(extensionOid[id], false, value))
}

/** A certificate whose subjectAltName has this one element. */
export function withName(element: Uint8Array): Uint8Array {
  return withExtension('subjectAltName', der.sequence(element))
}

export interface RequestShape {
  version?: Uint8Array
  /** Elements of `[0] attributes`, in the order given. */
  attributes?: readonly Uint8Array[]
  /** Replaces `[0] attributes` as a whole. */
  attributeField?: readonly Uint8Array[]
}

export function requestOf(shape: RequestShape): Uint8Array {
  const info = der.sequence(
    shape.version ?? der.integer(0),
    name,
    spki,
    ...(shape.attributeField ?? [der.explicit(0, ...(shape.attributes ?? []))]),
  )
  return der.sequence(info, ecdsaSha256, der.bitString(Uint8Array.of(1)))
}

export function attribute(oid: string, ...values: readonly Uint8Array[]): Uint8Array {
  return der.sequence(der.oid(oid), der.setOf(...values))
}

export function extensionRequest(...values: readonly Uint8Array[]): Uint8Array {
  return attribute(pkcsOid.extensionRequest, ...values)
}

export interface ListShape {
  version?: readonly Uint8Array[]
  dates?: readonly Uint8Array[]
  /** `revokedCertificates`, whole; absent when undefined. */
  revoked?: Uint8Array
  extensions?: readonly Uint8Array[]
}

export function listOf(shape: ListShape): Uint8Array {
  const { extensions } = shape
  const tbs = der.sequence(
    ...(shape.version ?? [der.integer(1)]),
    ecdsaSha256,
    name,
    ...(shape.dates ?? [der.time(0), der.time(day)]),
    ...(shape.revoked === undefined ? [] : [shape.revoked]),
    ...(extensions === undefined ? [] : [der.explicit(0, der.sequence(...extensions))]),
  )
  return der.sequence(tbs, ecdsaSha256, der.bitString(Uint8Array.of(1)))
}

/** One entry of `revokedCertificates`. */
export function revokedEntry(serial: number, extensions?: readonly Uint8Array[]): Uint8Array {
  const rest = extensions === undefined ? [] : [der.sequence(...extensions)]
  return der.sequence(der.integer(serial), der.time(day), ...rest)
}
