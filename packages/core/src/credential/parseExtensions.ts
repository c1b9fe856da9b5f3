/**
 * The list of extensions (RFC 5280 §4.1.2.9, §4.2): none twice, no explicit `critical FALSE`, at
 * least one. Those that we understand are parsed at once, so that a malformed one never gets in;
 * the rest is carried as octets for the judge to look at.
 */
import type { DerReader } from '../codec/index.ts'
import { extensionOid as id } from './oids.ts'
import {
  readAltName,
  readAuthorityKeyId,
  readBasicConstraints,
  readDistributionPoints,
  readExtKeyUsage,
  readInfoAccess,
  readInhibitAnyPolicy,
  readKeyUsage,
  readNameConstraints,
  readPolicies,
  readPolicyConstraints,
  readPolicyMappings,
  readSubjectKeyId,
  readTlsFeatures,
} from './parseExtensionValues.ts'
import type { CertificateExtensions, Oid, RawExtension } from './types.ts'
import { limitError, syntaxError, x509Limits } from './x509Error.ts'

/** What an Extension gives: its place in the list and a reader inside extnValue. */
export interface OpenExtension extends RawExtension {
  readonly inside: DerReader
}

/**
 * All extensions of a list that `handle` sees one by one; `handle` must not leave octets behind
 * when it reads.
 */
export function readExtensionList(
  list: DerReader,
  handle: (extension: OpenExtension) => void,
): readonly RawExtension[] {
  if (list.done) throw syntaxError(list, 'an empty list of extensions')
  const all: RawExtension[] = []
  const seen = new Set<Oid>()
  while (!list.done) {
    if (all.length === x509Limits.extensionsMax) {
      throw limitError(list, `more than ${x509Limits.extensionsMax} extensions`)
    }
    const extension = readExtension(list)
    // RFC 5280 §4.2: "A certificate MUST NOT include more than one instance of a particular
    // extension."
    if (seen.has(extension.oid)) throw syntaxError(list, `extension ${extension.oid} stands twice`)
    seen.add(extension.oid)
    handle(extension)
    all.push({ oid: extension.oid, critical: extension.critical, value: extension.value })
  }
  return all
}

/** The next element as an Extension. */
function readExtension(list: DerReader): OpenExtension {
  const extension = list.sequence('')
  const oid = extension.oid('extnID')
  const critical = extension.booleanDefaultFalse('critical')
  const value = extension.octetString('extnValue')
  const inside = extension.inside(extensionName(oid))
  extension.end()
  return { oid, critical, value, inside }
}

/** The name that people know an extension by, or its OID. */
function extensionName(oid: Oid): string {
  return names.get(oid) ?? oid
}

const names: ReadonlyMap<Oid, string> = new Map(
  Object.entries(id).map(([name, oid]) => [oid, name]),
)

export const noExtensions: CertificateExtensions = {
  basicConstraints: undefined,
  keyUsage: undefined,
  extKeyUsage: undefined,
  subjectAltName: undefined,
  issuerAltName: undefined,
  nameConstraints: undefined,
  subjectKeyId: undefined,
  authorityKeyId: undefined,
  crlDistributionPoints: undefined,
  policyConstraints: undefined,
  policies: undefined,
  inhibitAnyPolicy: undefined,
  tlsFeatures: undefined,
  all: [],
}

type Parsed = { -readonly [Field in keyof CertificateExtensions]: CertificateExtensions[Field] }

/**
 * Extensions of a certificate or of a request for one: `list` is inside the SEQUENCE OF Extension.
 */
export function readCertificateExtensions(list: DerReader): CertificateExtensions {
  const parsed: Parsed = { ...noExtensions }
  parsed.all = readExtensionList(list, ({ oid, inside }) => {
    const read = readers.get(oid)
    if (read === undefined) return
    read(inside, parsed)
    inside.end()
  })
  return parsed
}

const readers: ReadonlyMap<Oid, (value: DerReader, into: Parsed) => unknown> = new Map<
  Oid,
  (value: DerReader, into: Parsed) => unknown
>([
  [id.basicConstraints, (value, into) => (into.basicConstraints = readBasicConstraints(value))],
  [id.keyUsage, (value, into) => (into.keyUsage = readKeyUsage(value))],
  [id.extKeyUsage, (value, into) => (into.extKeyUsage = readExtKeyUsage(value))],
  [id.subjectAltName, (value, into) => (into.subjectAltName = readAltName(value))],
  [id.issuerAltName, (value, into) => (into.issuerAltName = readAltName(value))],
  [id.nameConstraints, (value, into) => (into.nameConstraints = readNameConstraints(value))],
  [id.subjectKeyIdentifier, (value, into) => (into.subjectKeyId = readSubjectKeyId(value))],
  [id.authorityKeyIdentifier, (value, into) => (into.authorityKeyId = readAuthorityKeyId(value))],
  [
    id.cRLDistributionPoints,
    (value, into) => (into.crlDistributionPoints = readDistributionPoints(value)),
  ],
  [id.certificatePolicies, (value, into) => (into.policies = readPolicies(value))],
  [id.policyConstraints, (value, into) => (into.policyConstraints = readPolicyConstraints(value))],
  [id.inhibitAnyPolicy, (value, into) => (into.inhibitAnyPolicy = readInhibitAnyPolicy(value))],
  [id.tlsFeature, (value, into) => (into.tlsFeatures = readTlsFeatures(value))],
  // Checked and carried in `all` only.
  [id.policyMappings, readPolicyMappings],
  [id.freshestCRL, readDistributionPoints],
  [id.authorityInfoAccess, readInfoAccess],
  [id.subjectInfoAccess, readInfoAccess],
  [id.ocspNoCheck, (value) => value.null('')],
])
