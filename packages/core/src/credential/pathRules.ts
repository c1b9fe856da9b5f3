/**
 * The rules along one path whose signatures hold (RFC 5280 §6.1): walked from the anchor down to
 * the leaf, as the standard does. Anchors are held to the rules of a CA certificate too: whoever
 * configured one meant its dates, constraints and usages.
 */
import { type Link, linkError } from './chainError.ts'
import { type Constraints, nameOutside, type SpendComparisons } from './nameConstraints.ts'
import { matchName } from './names.ts'
import { extensionOid } from './oids.ts'
import { PolicyState } from './policies.ts'
import { checkProfile, isCritical, isSelfIssued } from './profile.ts'
import { purposes } from './roles.ts'
import type { Certificate, Oid } from './types.ts'
import type { PathQuestion } from './verified.ts'

/** anyExtendedKeyUsage (RFC 5280 §4.2.1.12): opens a CA, never a leaf. */
const anyPurpose: Oid = '2.5.29.37.0'

/** Throws the first reason against the path; leaf first, anchor last. */
export function checkPath(
  path: readonly Certificate[],
  request: PathQuestion,
  spend: SpendComparisons,
): void {
  const links = path.map((certificate, index): Link => ({ certificate, index })).toReversed()
  const constraints: Constraints[] = []
  const policies = new PolicyState()
  let pathLeft = Number.POSITIVE_INFINITY
  for (const [depth, link] of links.entries()) {
    const leaf = link.index === 0
    const anchor = depth === 0
    const { extensions } = link.certificate
    checkProfile(link)
    checkValidity(link, request.at)
    if (!leaf) checkIsCa(link)
    checkNames(link, constraints, spend)
    if (anchor) policies.begin(link.certificate)
    else checkPolicies(link, policies)
    if (leaf) continue
    if (request.extKeyUsage !== undefined) checkCaPurpose(link, request.extKeyUsage.oid)
    // RFC 5280 §6.1.4 (l) and (m): self-issued certificates are not counted; the anchor's own place
    // is free.
    if (!anchor && !isSelfIssued(link.certificate)) {
      if (pathLeft === 0) throw tooLong(link)
      pathLeft--
    }
    pathLeft = Math.min(pathLeft, extensions.basicConstraints?.pathLen ?? pathLeft)
    if (extensions.nameConstraints !== undefined) constraints.push(extensions.nameConstraints)
  }
  const leaf = links.at(-1)
  if (leaf !== undefined) checkLeaf(leaf, request)
}

/** RFC 5280 §4.1.2.5: both ends belong to the period, and the period knows whole seconds. */
export function checkValidity(link: Link, at: number): void {
  const { notBefore, notAfter } = link.certificate
  if (at < notBefore) {
    throw linkError(
      'ERR_CERT_NOT_YET_VALID',
      link,
      'validity.notBefore',
      `it is valid from ${timeText(notBefore)}, and the time is ${timeText(at)}`,
      'Check the clock on both sides, or wait.',
    )
  }
  if (at <= lastMoment(notAfter)) return
  const reason = `it was valid until ${timeText(notAfter)}, and the time is ${timeText(at)}`
  const leaf = link.index === 0
  throw linkError(
    leaf ? 'ERR_CERT_EXPIRED' : 'ERR_CHAIN_EXPIRED',
    link,
    'validity.notAfter',
    reason,
    leaf ? 'Renew the certificate, or check the clock.' : 'Get the renewed CA certificate.',
  )
}

/** The last millisecond of the second that notAfter names. */
export function lastMoment(notAfter: number): number {
  return notAfter + 999
}

/**
 * What lets a certificate sign others (RFC 5280 §4.2.1.9, §6.1.4 (k) and (n)). Cheap: asked before
 * its key is used.
 */
export function checkIsCa(link: Link): void {
  const { version, extensions } = link.certificate
  if (version !== 3 || extensions.basicConstraints?.ca !== true) {
    throw linkError(
      'ERR_CHAIN_NOT_A_CA',
      link,
      'basicConstraints',
      version === 3 ? 'it is no CA, and signed a certificate' : 'version 1 and 2 are never a CA',
      'Only a version 3 certificate with basicConstraints cA TRUE may sign certificates.',
    )
  }
  if (extensions.keyUsage !== undefined && !extensions.keyUsage.has('keyCertSign')) {
    throw linkError(
      'ERR_CHAIN_KEY_USAGE',
      link,
      'keyUsage',
      'it signed a certificate without keyCertSign',
      'A CA certificate needs keyCertSign in its keyUsage.',
    )
  }
}

function tooLong(link: Link): Error {
  return linkError(
    'ERR_CHAIN_PATH_LENGTH',
    link,
    'basicConstraints.pathLenConstraint',
    'a CA above it allows no further CA',
    'Issue from the CA above, or have its path length raised.',
  )
}

/** RFC 5280 §6.1.3 (b), (c): a self-issued certificate is exempt unless it is the last one. */
function checkNames(
  link: Link,
  constraints: readonly Constraints[],
  spend: SpendComparisons,
): void {
  if (link.index > 0 && isSelfIssued(link.certificate)) return
  for (const one of constraints) {
    const flaw = nameOutside(link.certificate, one, spend)
    if (flaw === undefined) continue
    throw linkError(
      'ERR_CHAIN_NAME_CONSTRAINTS',
      link,
      'nameConstraints of a CA above',
      flaw,
      'Use a name that the CA may certify, or a CA that may certify the name.',
    )
  }
}

function checkPolicies(link: Link, policies: PolicyState): void {
  if (policies.step(link.certificate, link.index === 0)) return
  throw linkError(
    'ERR_CHAIN_POLICY',
    link,
    'certificatePolicies',
    'a CA above demands a policy, and none holds along the path',
    'Issue it under a policy that every CA of the path names.',
  )
}

/** Purposes nest: a CA that is limited to some cannot certify others. */
function checkCaPurpose(link: Link, oid: Oid): void {
  const { extKeyUsage } = link.certificate.extensions
  if (extKeyUsage === undefined) return
  if (extKeyUsage.includes(oid) || extKeyUsage.includes(anyPurpose)) return
  throw wrongPurpose(link, `it is a CA for other purposes than ${purposeName(oid)}`)
}

function checkLeaf(link: Link, request: PathQuestion): void {
  if (request.asCa === true) checkSignsCertificates(link)
  if (request.extKeyUsage !== undefined) checkLeafPurpose(link, request.extKeyUsage)
  if (request.name === undefined) return
  const verdict = matchName(link.certificate, request.name)
  if (!verdict.ok) {
    throw linkError('ERR_CHAIN_NAME', link, 'subjectAltName', verdict.reason, verdict.hint)
  }
}

function checkLeafPurpose(
  link: Link,
  { oid, explicit }: NonNullable<PathQuestion['extKeyUsage']>,
): void {
  const { extensions, subject } = link.certificate
  const stated = extensions.extKeyUsage
  if (stated === undefined && explicit) {
    throw wrongPurpose(link, `it states no purpose, and ${purposeName(oid)} must be explicit`)
  }
  if (stated !== undefined && !stated.includes(oid)) {
    throw wrongPurpose(link, `${purposeName(oid)} is not among its purposes`)
  }
  // RFC 5280 §4.2.1.6 asks for it, and servers are where names are trusted.
  if (
    oid === purposes.serverAuth &&
    subject.rdns.length > 0 &&
    isCritical(link.certificate, extensionOid.subjectAltName)
  ) {
    throw linkError(
      'ERR_CERT_MALFORMED',
      link,
      'subjectAltName',
      'its subjectAltName is critical beside a subject',
      'Have it issued again with a subjectAltName that is not critical.',
    )
  }
}

function checkSignsCertificates(link: Link): void {
  checkIsCa(link)
  if (link.certificate.extensions.keyUsage?.has('keyCertSign') === true) return
  throw linkError(
    'ERR_CHAIN_KEY_USAGE',
    link,
    'keyUsage',
    'it has no keyUsage with keyCertSign',
    'A CA certificate needs keyCertSign in its keyUsage.',
  )
}

function wrongPurpose(link: Link, reason: string): Error {
  return linkError(
    'ERR_CHAIN_PURPOSE',
    link,
    'extKeyUsage',
    reason,
    'Present a certificate that was issued for this purpose.',
  )
}

function purposeName(oid: Oid): string {
  return Object.entries(purposes).find(([, known]) => known === oid)?.[0] ?? oid
}

function timeText(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z')
}
