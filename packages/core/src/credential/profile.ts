/**
 * What one certificate must be, taken alone, to stand in a path: RFC 5280 §4 where it says MUST,
 * and the floor of algorithms. Dates, names of issuers and everything that needs the neighbours is
 * in pathRules.ts.
 */
import { equalBytes } from '../codec/index.ts'
import { type ChainError, type Link, linkError } from './chainError.ts'
import { extensionOid as id } from './oids.ts'
import type { Certificate, Oid, RawExtension, Spki } from './types.ts'

/** RFC 5280 §4.1.2.2: conforming CAs use no more than 20 octets. */
const serialOctetsMax = 20
/** NIST SP 800-57 part 1: 112 bits of strength. The upper end bounds the work of a verification. */
const rsaBitsMin = 2048
const rsaBitsMax = 8192

/** Extensions that we process, and therefore understand when they are critical (RFC 5280 §4.2). */
const processed: ReadonlySet<Oid> = new Set<Oid>([
  id.keyUsage,
  id.subjectAltName,
  // Parsed, and no rule hangs on it.
  id.issuerAltName,
  id.basicConstraints,
  id.nameConstraints,
  id.cRLDistributionPoints,
  id.certificatePolicies,
  id.policyMappings,
  id.policyConstraints,
  id.extKeyUsage,
  id.inhibitAnyPolicy,
])

/**
 * "Conforming CAs MUST mark this extension as critical" (RFC 5280 §4.2.1.10, .11, .14), with the
 * name of the field.
 */
const alwaysCritical: ReadonlyMap<Oid, string> = new Map<Oid, string>([
  [id.nameConstraints, 'nameConstraints'],
  [id.policyConstraints, 'policyConstraints'],
  [id.inhibitAnyPolicy, 'inhibitAnyPolicy'],
])

/**
 * Well-known, and never to be critical (RFC 5280 §4.2.1.1, .2, .15, §4.2.2): named in the error,
 * refused like unknown ones.
 */
const neverCritical: ReadonlyMap<Oid, string> = new Map<Oid, string>([
  [id.subjectKeyIdentifier, 'subjectKeyIdentifier'],
  [id.authorityKeyIdentifier, 'authorityKeyIdentifier'],
  [id.freshestCRL, 'freshestCRL'],
  [id.authorityInfoAccess, 'authorityInfoAccess'],
  [id.subjectInfoAccess, 'subjectInfoAccess'],
])

const reissue = 'Have the certificate issued again by a CA that follows RFC 5280.'

export function isSelfIssued(certificate: Certificate): boolean {
  return equalBytes(certificate.issuer.der, certificate.subject.der)
}

/** Throws the reason why this certificate cannot stand where it stands. */
export function checkProfile(link: Link): void {
  checkVersion(link)
  checkSerial(link)
  checkKey(link)
  for (const extension of link.certificate.extensions.all) checkCriticality(link, extension)
  checkConstraintsMatchKind(link)
  checkKeyIds(link)
  if (link.index === 0) checkLeaf(link)
}

/**
 * RFC 5280 §4.1.2.1: version 3 whenever there are extensions, and every certificate here has some.
 */
function checkVersion(link: Link): void {
  if (link.certificate.version === 3) return
  throw malformed(link, 'version', `it is of version ${link.certificate.version}`)
}

function checkSerial(link: Link): void {
  const { serial } = link.certificate
  const zero = serial.every((octet) => octet === 0)
  if (zero || (serial[0] ?? 0x80) >= 0x80 || serial.length > serialOctetsMax) {
    throw malformed(link, 'serialNumber', 'its serial number is not positive or over 20 octets')
  }
}

function checkKey(link: Link): void {
  const { spki, extensions } = link.certificate
  const flaw = keyFlaw(spki)
  if (flaw !== undefined) throw badKey(link, flaw)
  // RFC 8410 §5: the key usages of X25519 are those of key agreement.
  if (spki.algorithm?.kind === 'x25519' && extensions.keyUsage?.has('digitalSignature') === true) {
    throw badKey(link, 'its key of X25519 cannot sign, and its keyUsage says that it does')
  }
}

export function badKey(link: Link, flaw: string, cause?: unknown): ChainError {
  return linkError(
    'ERR_CHAIN_ALGORITHM',
    link,
    'subjectPublicKeyInfo',
    flaw,
    'Use a key of P-256, P-384, P-521, Ed25519, or RSA of 2048 bits and more.',
    cause,
  )
}

/** Why no key like this is used, by itself; undefined when nothing speaks against it. */
export function keyFlaw(spki: Spki): string | undefined {
  const { algorithm } = spki
  if (algorithm === undefined) return 'its key is of an algorithm or curve that is not accepted'
  if (algorithm.kind !== 'rsa') return undefined
  if (algorithm.modulusBits < rsaBitsMin) {
    return `its RSA key of ${algorithm.modulusBits} bits is below ${rsaBitsMin}`
  }
  return algorithm.modulusBits > rsaBitsMax ? `its RSA key is over ${rsaBitsMax} bits` : undefined
}

function checkCriticality(link: Link, extension: RawExtension): void {
  const { oid, critical } = extension
  const mustBe = alwaysCritical.get(oid)
  if (mustBe !== undefined && !critical) {
    throw malformed(link, mustBe, `its ${mustBe} is not critical, as it must be`)
  }
  if (!critical || processed.has(oid)) return
  const known = neverCritical.get(oid)
  const field = known ?? `extension ${oid}`
  const reason =
    known === undefined
      ? `its critical extension ${oid} is not understood`
      : `its ${known} is critical, as it must not be`
  throw linkError('ERR_CHAIN_CRITICAL_EXTENSION', link, field, reason, reissue)
}

/** RFC 5280 §4.2.1.1 and §4.2.1.2. A self-signed certificate may leave the authority's out. */
function checkKeyIds(link: Link): void {
  const { certificate } = link
  const { authorityKeyId, subjectKeyId, basicConstraints } = certificate.extensions
  if (authorityKeyId === undefined && !isSelfIssued(certificate)) {
    throw malformed(
      link,
      'authorityKeyIdentifier',
      'it has no authorityKeyIdentifier with a key identifier',
    )
  }
  if (basicConstraints?.ca === true && subjectKeyId === undefined) {
    throw malformed(link, 'subjectKeyIdentifier', 'it is a CA without a subjectKeyIdentifier')
  }
}

/** RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.10: what only a CA may say, and what a CA must. */
function checkConstraintsMatchKind(link: Link): void {
  const { extensions, subject } = link.certificate
  const { basicConstraints, keyUsage } = extensions
  const ca = basicConstraints?.ca === true
  if (!ca && keyUsage?.has('keyCertSign') === true) {
    throw malformed(link, 'keyUsage', 'it may sign certificates and is no CA')
  }
  // The reverse contradicts itself as well: cA says that the key verifies certificates, keyUsage
  // that it does not.
  if (ca && keyUsage !== undefined && !keyUsage.has('keyCertSign')) {
    throw linkError(
      'ERR_CHAIN_KEY_USAGE',
      link,
      'keyUsage',
      'it is a CA whose keyUsage lacks keyCertSign',
      reissue,
    )
  }
  if (!ca && basicConstraints?.pathLen !== undefined) {
    throw malformed(link, 'basicConstraints', 'it has a path length and is no CA')
  }
  if (!ca && extensions.nameConstraints !== undefined) {
    throw malformed(link, 'nameConstraints', 'it has name constraints and is no CA')
  }
  if (ca && subject.rdns.length === 0) throw malformed(link, 'subject', 'it is a CA without a name')
  if (ca && !isCritical(link.certificate, id.basicConstraints)) {
    throw malformed(link, 'basicConstraints', 'it is a CA whose basicConstraints is not critical')
  }
}

/** RFC 5280 §4.1.2.6: a leaf without a subject is named by a critical subjectAltName. */
function checkLeaf(link: Link): void {
  const { subject, extensions } = link.certificate
  if (subject.rdns.length > 0) return
  if (extensions.subjectAltName === undefined || !isCritical(link.certificate, id.subjectAltName)) {
    throw malformed(
      link,
      'subjectAltName',
      'it has neither a subject nor a critical subjectAltName',
    )
  }
}

export function isCritical(certificate: Certificate, oid: Oid): boolean {
  return certificate.extensions.all.some((one) => one.oid === oid && one.critical)
}

function malformed(link: Link, field: string, reason: string): ChainError {
  return linkError('ERR_CERT_MALFORMED', link, field, reason, reissue)
}
