/**
 * Values of the certificate extensions (RFC 5280 §4.2.1), one function each. Every function gets a
 * reader inside extnValue and leaves nothing behind. Rules that relate an extension to its
 * criticality or to the rest of the certificate are the judge's.
 */
import { contextConstructed, contextPrimitive, type DerReader, tag } from '../codec/index.ts'
import { anyPolicy } from './oids.ts'
import { readGeneralName, readGeneralNames } from './parseGeneralName.ts'
import type {
  CertificateExtensions,
  DistributionPoint,
  GeneralName,
  GeneralSubtree,
  KeyUsageBit,
  Oid,
} from './types.ts'
import { listOf, syntaxError, x509Limits } from './x509Error.ts'

type Value<Field extends keyof CertificateExtensions> = NonNullable<CertificateExtensions[Field]>

/** Position in the list is the number of the bit. */
export const keyUsageBits: readonly KeyUsageBit[] = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
]

/**
 * Larger than any path that is ever walked; INTEGER (0..MAX) beyond it is an attack on arithmetic.
 */
const certificatesMax = 0x7fff_ffff

/** §4.2.1.9 */
export function readBasicConstraints(value: DerReader): Value<'basicConstraints'> {
  const constraints = value.sequence('')
  const ca = constraints.booleanDefaultFalse('cA')
  const pathLen = constraints.done
    ? undefined
    : constraints.smallInteger('pathLenConstraint', certificatesMax)
  constraints.end()
  return { ca, pathLen }
}

/** §4.2.1.3: "at least one of the bits MUST be set to 1". */
export function readKeyUsage(value: DerReader): Value<'keyUsage'> {
  const bits = value.namedBits('keyUsage', keyUsageBits.length)
  if (bits === 0) throw syntaxError(value, 'keyUsage without a usage')
  return new Set(keyUsageBits.filter((_, bit) => (bits & (1 << bit)) !== 0))
}

/** §4.2.1.12 */
export function readExtKeyUsage(value: DerReader): readonly Oid[] {
  const list = value.sequence('')
  return listOf(list, 'purposes', x509Limits.namesMax, (from) => from.oid('keyPurposeId'))
}

/** §4.2.1.6, §4.2.1.7 */
export function readAltName(value: DerReader): readonly GeneralName[] {
  return readGeneralNames(value.sequence(''))
}

/** §4.2.1.10 */
export function readNameConstraints(value: DerReader): Value<'nameConstraints'> {
  const constraints = value.sequence('')
  const permitted = constraints.explicit(0, 'permittedSubtrees')
  const excluded = constraints.explicit(1, 'excludedSubtrees')
  constraints.end()
  if (permitted === undefined && excluded === undefined) {
    throw syntaxError(value, 'nameConstraints without a constraint')
  }
  return {
    permitted: permitted === undefined ? [] : readSubtrees(permitted),
    excluded: excluded === undefined ? [] : readSubtrees(excluded),
  }
}

function readSubtrees(list: DerReader): readonly GeneralSubtree[] {
  return listOf(list, 'subtrees', x509Limits.namesMax, (from) => {
    const subtree = from.sequence('subtree')
    const base = readGeneralName(subtree, 'constraint')
    // §4.2.1.10: minimum is 0, which DER leaves out as the default, and maximum is absent.
    if (!subtree.done) throw syntaxError(subtree, 'a subtree with minimum or maximum')
    return { base }
  })
}

/** §4.2.1.2 */
export function readSubjectKeyId(value: DerReader): Uint8Array {
  return value.octetString('subjectKeyIdentifier')
}

/** §4.2.1.1: the key identifier, checked together with the two fields that only come as a pair. */
export function readAuthorityKeyId(value: DerReader): Uint8Array | undefined {
  const aki = value.sequence('')
  const keyId =
    aki.peek() === contextPrimitive(0)
      ? aki.octetString('keyIdentifier', contextPrimitive(0))
      : undefined
  const issuer = aki.explicit(1, 'authorityCertIssuer')
  if (issuer !== undefined) readGeneralNames(issuer)
  const serial = aki.peek() === contextPrimitive(2)
  if (serial) {
    aki.integer('authorityCertSerialNumber', x509Limits.serialOctetsMax, contextPrimitive(2))
  }
  aki.end()
  if (serial !== (issuer !== undefined)) {
    throw syntaxError(value, 'authorityCertIssuer and authorityCertSerialNumber come together')
  }
  return keyId
}

/** §4.2.1.13, also for freshestCRL (§4.2.1.15). */
export function readDistributionPoints(value: DerReader): readonly DistributionPoint[] {
  const list = value.sequence('')
  return listOf(list, 'distribution points', x509Limits.namesMax, readDistributionPoint)
}

function readDistributionPoint(list: DerReader): DistributionPoint {
  const point = list.sequence('distributionPoint')
  const name = readDistributionPointName(point)
  const hasReasons = point.peek() === contextPrimitive(1)
  if (hasReasons) point.namedBits('reasons', 9, contextPrimitive(1))
  const issuer = point.explicit(2, 'cRLIssuer')
  const cRLIssuer = issuer === undefined ? undefined : readGeneralNames(issuer)
  point.end()
  if (name === undefined && cRLIssuer === undefined) {
    throw syntaxError(list, 'a distribution point with neither a name nor an issuer')
  }
  const fullName = name?.fullName
  return { fullName, hasRelativeName: name?.relative === true, hasReasons, cRLIssuer }
}

export interface DistributionPointName {
  readonly fullName: readonly GeneralName[] | undefined
  readonly relative: boolean
}

/** `[0] DistributionPointName OPTIONAL`: the tag is explicit, because a CHOICE is inside. */
export function readDistributionPointName(from: DerReader): DistributionPointName | undefined {
  const inside = from.explicit(0, 'distributionPoint')
  if (inside === undefined) return undefined
  const full = inside.explicit(0, 'fullName')
  if (full !== undefined) {
    inside.end()
    return { fullName: readGeneralNames(full), relative: false }
  }
  const relative = inside.enter(contextConstructed(1), 'nameRelativeToCRLIssuer')
  inside.end()
  listOf(relative, 'attributes', x509Limits.attributesMax, (list) => {
    const attribute = list.sequence('attribute')
    attribute.oid('type')
    attribute.next('value')
    attribute.end()
  })
  return { fullName: undefined, relative: true }
}

/** §4.2.1.4: no policy twice; qualifiers are checked for their shape and not kept. */
export function readPolicies(value: DerReader): readonly Oid[] {
  const list = value.sequence('')
  const seen = new Set<Oid>()
  return listOf(list, 'policies', x509Limits.namesMax, (from) => {
    const information = from.sequence('policyInformation')
    const policy = information.oid('policyIdentifier')
    if (!information.done) readQualifiers(information.sequence('policyQualifiers'))
    information.end()
    if (seen.has(policy)) throw syntaxError(from, 'a policy stands twice')
    seen.add(policy)
    return policy
  })
}

function readQualifiers(list: DerReader): void {
  listOf(list, 'qualifiers', x509Limits.namesMax, (from) => {
    const qualifier = from.sequence('policyQualifier')
    qualifier.oid('policyQualifierId')
    qualifier.next('qualifier')
    qualifier.end()
  })
}

/** §4.2.1.5: anyPolicy is on neither side. */
export function readPolicyMappings(value: DerReader): void {
  listOf(value.sequence(''), 'mappings', x509Limits.namesMax, (from) => {
    const mapping = from.sequence('mapping')
    const issuer = mapping.oid('issuerDomainPolicy')
    const subject = mapping.oid('subjectDomainPolicy')
    mapping.end()
    if (issuer === anyPolicy || subject === anyPolicy) {
      throw syntaxError(from, 'anyPolicy is mapped')
    }
  })
}

/**
 * §4.2.1.11: "Conforming CAs MUST NOT issue certificates where policy constraints is an empty
 * sequence".
 */
export function readPolicyConstraints(value: DerReader): Value<'policyConstraints'> {
  const constraints = value.sequence('')
  if (constraints.done) throw syntaxError(value, 'policyConstraints without a constraint')
  const skip = (number: number, field: string): number | undefined =>
    constraints.peek() === contextPrimitive(number)
      ? constraints.smallInteger(field, certificatesMax, contextPrimitive(number))
      : undefined
  const requireExplicitPolicy = skip(0, 'requireExplicitPolicy')
  const inhibitPolicyMapping = skip(1, 'inhibitPolicyMapping')
  constraints.end()
  return { requireExplicitPolicy, inhibitPolicyMapping }
}

/** §4.2.1.14 */
export function readInhibitAnyPolicy(value: DerReader): number {
  return value.smallInteger('inhibitAnyPolicy', certificatesMax, tag.integer)
}

/** §4.2.2.1, §4.2.2.2: shape only; nothing here ever fetches from an address in a certificate. */
export function readInfoAccess(value: DerReader): void {
  listOf(value.sequence(''), 'descriptions', x509Limits.namesMax, (from) => {
    const description = from.sequence('accessDescription')
    description.oid('accessMethod')
    readGeneralName(description, 'name')
    description.end()
  })
}

/** RFC 7633: numbers of TLS extensions, which have 16 bits. The list may be empty. */
export function readTlsFeatures(value: DerReader): readonly number[] {
  const list = value.sequence('')
  if (list.done) return []
  return listOf(list, 'features', x509Limits.namesMax, (from) =>
    from.smallInteger('feature', 0xffff),
  )
}
