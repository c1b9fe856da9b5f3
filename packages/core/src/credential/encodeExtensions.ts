/**
 * Extensions as DER, each a whole Extension (RFC 5280 §4.2, §5.2). Criticality is what the RFC
 * demands or advises.
 */
import { contextPrimitive, der } from '../codec/index.ts'
import { encodeGeneralName, encodeGeneralNames } from './encodeName.ts'
import { extensionOid as id } from './oids.ts'
import { keyUsageBits } from './parseExtensionValues.ts'
import type { GeneralName, KeyUsageBit, Oid } from './types.ts'

/** Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue OCTET STRING }. */
export function encodeExtension(oid: Oid, critical: boolean, value: Uint8Array): Uint8Array {
  return critical
    ? der.sequence(der.oid(oid), der.boolean(true), der.octetString(value))
    : der.sequence(der.oid(oid), der.octetString(value))
}

/** §4.2.1.9, critical. `pathLen` only for a CA. */
export function encodeBasicConstraints(ca: boolean, pathLen?: number): Uint8Array {
  const limit = pathLen === undefined ? [] : [der.integer(pathLen)]
  const value = ca ? der.sequence(der.boolean(true), ...limit) : der.sequence()
  return encodeExtension(id.basicConstraints, true, value)
}

/** §4.2.1.3, critical. */
export function encodeKeyUsage(usages: readonly KeyUsageBit[]): Uint8Array {
  const bits = usages.map((usage) => keyUsageBits.indexOf(usage))
  return encodeExtension(id.keyUsage, true, der.namedBits(bits))
}

/** §4.2.1.12 */
export function encodeExtKeyUsage(purposes: readonly Oid[], critical = false): Uint8Array {
  const value = der.sequence(...purposes.map((purpose) => der.oid(purpose)))
  return encodeExtension(id.extKeyUsage, critical, value)
}

/** §4.2.1.6: critical when the subject is empty. */
export function encodeSubjectAltName(
  names: readonly GeneralName[],
  subjectEmpty = false,
): Uint8Array {
  return encodeExtension(id.subjectAltName, subjectEmpty, encodeGeneralNames(names))
}

/** §4.2.1.2 */
export function encodeSubjectKeyId(keyId: Uint8Array): Uint8Array {
  return encodeExtension(id.subjectKeyIdentifier, false, der.octetString(keyId))
}

/** §4.2.1.1 */
export function encodeAuthorityKeyId(keyId: Uint8Array): Uint8Array {
  const value = der.sequence(der.implicitPrimitive(0, keyId))
  return encodeExtension(id.authorityKeyIdentifier, false, value)
}

/** §4.2.1.10, critical. An empty list leaves its field out. */
export function encodeNameConstraints(
  permitted: readonly GeneralName[],
  excluded: readonly GeneralName[],
): Uint8Array {
  const value = der.sequence(...subtrees(0, permitted), ...subtrees(1, excluded))
  return encodeExtension(id.nameConstraints, true, value)
}

function subtrees(number: number, bases: readonly GeneralName[]): readonly Uint8Array[] {
  if (bases.length === 0) return []
  return [der.explicit(number, ...bases.map((base) => der.sequence(encodeGeneralName(base))))]
}

/** §4.2.1.13: one point with these URIs. */
export function encodeCrlDistributionPoint(uris: readonly string[]): Uint8Array {
  const point = der.sequence(distributionPointName(uris))
  return encodeExtension(id.cRLDistributionPoints, false, der.sequence(point))
}

/** §5.2.5, critical: the scope of a CRL. */
export function encodeIssuingDistributionPoint(scope: {
  readonly uris?: readonly string[]
  readonly only?: 'user' | 'ca'
}): Uint8Array {
  const name = scope.uris === undefined ? [] : [distributionPointName(scope.uris)]
  const numbers = scope.only === undefined ? [] : [scope.only === 'user' ? 1 : 2]
  const flags = numbers.map((number) => der.implicitPrimitive(number, Uint8Array.of(0xff)))
  return encodeExtension(id.issuingDistributionPoint, true, der.sequence(...name, ...flags))
}

/** `[0] { [0] GeneralNames }`. */
function distributionPointName(uris: readonly string[]): Uint8Array {
  const names = uris.map((uri) => der.ia5String(uri, contextPrimitive(6)))
  return der.explicit(0, der.explicit(0, ...names))
}

/** §5.2.3 */
export function encodeCrlNumber(value: number | bigint): Uint8Array {
  return encodeExtension(id.cRLNumber, false, der.integer(value))
}
