/**
 * Revocation by CRL (RFC 5280 §5, §6.3) for the certificates of one path. A list is asked when its
 * issuer's name is the certificate's issuer and its scope holds the certificate; lists of other
 * issuers are ignored. If there are lists for a certificate, one must be sound and fresh, or the
 * path is refused. A sound list that names the certificate refuses it, however old the list is.
 * Leaves out: indirect lists, and lists signed by another key than the one that signed the
 * certificate.
 */
import { PeerError } from '../errors.ts'
import { type ChainError, describe, type Link, linkError } from './chainError.ts'
import { nameKey } from './directoryNames.ts'
import { extensionOid as id } from './oids.ts'
import { lastMoment } from './pathRules.ts'
import type { SignatureChecker } from './signatures.ts'
import type { Certificate, CertificateList, GeneralName, Oid } from './types.ts'
import type { PathRequest } from './verified.ts'

/** "MUST be critical", "MUST be non-critical" (RFC 5280 §5.2.1, .3-.7). */
const criticality: ReadonlyMap<Oid, boolean> = new Map<Oid, boolean>([
  [id.authorityKeyIdentifier, false],
  [id.cRLNumber, false],
  [id.deltaCRLIndicator, true],
  [id.issuingDistributionPoint, true],
  [id.freshestCRL, false],
  [id.authorityInfoAccess, false],
])

export function checkRevocation(
  path: readonly Certificate[],
  request: PathRequest,
  checker: SignatureChecker,
): void {
  if (request.crls.length === 0) return
  // The anchor is trusted by decision, not by a list.
  for (const [index, certificate] of path.slice(0, -1).entries()) {
    const issuer = path[index + 1]
    if (issuer === undefined) return
    const link: Link = { index, certificate }
    judge(link, { index: index + 1, certificate: issuer }, request, checker)
  }
}

function judge(link: Link, issuer: Link, request: PathRequest, checker: SignatureChecker): void {
  let cleared = false
  let flaw: ChainError | undefined
  const name = nameKey(link.certificate.issuer)
  for (const crl of request.crls) {
    if (nameKey(crl.issuer) !== name) continue
    if (!kindInScope(crl, link.certificate)) continue
    const unsound = soundness(crl, link, issuer, checker)
    if (unsound !== undefined) {
      flaw ??= unsound
      continue
    }
    const entry = crl.findRevoked(link.certificate.serial)
    if (entry !== undefined && entry.reason !== 'removeFromCRL') {
      throw revoked(link, entry.revokedAt, entry.reason)
    }
    const incomplete = clearance(crl, link, request.at)
    if (incomplete === undefined) cleared = true
    else flaw ??= incomplete
  }
  if (flaw !== undefined && !cleared) throw flaw
}

/** RFC 5280 §6.3.3 (b) (2): lists for the other kind of certificate say nothing about this one. */
function kindInScope(crl: CertificateList, certificate: Certificate): boolean {
  const scope = crl.issuingDistributionPoint
  if (scope === undefined) return true
  const ca = certificate.extensions.basicConstraints?.ca === true
  return !scope.onlyAttributeCerts && !(scope.onlyUserCerts && ca) && !(scope.onlyCaCerts && !ca)
}

/** Is the list what it says, and from whom it says? The reason why not, or undefined. */
function soundness(
  crl: CertificateList,
  link: Link,
  issuer: Link,
  checker: SignatureChecker,
): ChainError | undefined {
  const { keyUsage } = issuer.certificate.extensions
  const [unknown] = crl.unknownCritical
  if (unknown !== undefined) {
    return unusable(link, `its CRL has a critical extension that is not understood (${unknown})`)
  }
  if (crl.crlNumber === undefined) return unusable(link, 'its CRL has no number')
  const misplaced = crl.extensions.find((one) => criticality.get(one.oid) === !one.critical)
  if (misplaced !== undefined) {
    return unusable(link, `its CRL has extension ${misplaced.oid} with the wrong criticality`)
  }
  // RFC 5280 §6.3.3 (f)
  if (keyUsage !== undefined && !keyUsage.has('cRLSign')) {
    return unusable(link, `the CRL's issuer, ${describe(issuer)}, may not sign CRLs`)
  }
  try {
    if (checker.verify(crl, link, issuer)) return undefined
    return unusable(link, "its CRL's signature does not verify with the issuer's key")
  } catch (error) {
    if (!(error instanceof PeerError) || error.code === 'ERR_CHAIN_LIMIT') throw error
    return unusable(link, "its CRL's signature algorithm is not accepted", error)
  }
}

/** A sound list without the certificate: may it clear it? The reason why not, or undefined. */
function clearance(crl: CertificateList, link: Link, at: number): ChainError | undefined {
  const scope = crl.issuingDistributionPoint
  // RFC 5280 §5.2.4: a delta is a difference to a complete list, never the list.
  if (crl.isDelta) return unusable(link, 'a delta CRL alone does not clear it')
  if (scope?.indirect === true) return unusable(link, 'an indirect CRL does not clear it')
  if (scope?.onlySomeReasons === true) {
    return unusable(link, 'a CRL for some reasons only does not clear it')
  }
  if (scope?.fullName !== undefined && !pointsTo(link.certificate, scope.fullName)) {
    return unusable(link, 'its CRL is of another distribution point')
  }
  if (crl.nextUpdate === undefined)
    return unusable(link, 'its CRL does not say until when it holds')
  if (at < crl.thisUpdate) return stale(link, 'its CRL is from the future')
  if (at > lastMoment(crl.nextUpdate)) return stale(link, 'its CRL is past its next update')
  return undefined
}

/**
 * RFC 5280 §6.3.3 (b) (2) (i): a name of the list's scope is among the certificate's distribution
 * points.
 */
function pointsTo(certificate: Certificate, scope: readonly GeneralName[]): boolean {
  const points = certificate.extensions.crlDistributionPoints ?? []
  return points.some((point) =>
    [...(point.fullName ?? []), ...(point.cRLIssuer ?? [])].some((name) =>
      scope.some((one) => sameName(one, name)),
    ),
  )
}

function sameName(a: GeneralName, b: GeneralName): boolean {
  if (a.kind === 'directory' && b.kind === 'directory') return nameKey(a.value) === nameKey(b.value)
  if (a.kind === 'uri' && b.kind === 'uri') return a.value === b.value
  if (a.kind === 'dns' && b.kind === 'dns') return a.value === b.value
  return false
}

export function revoked(link: Link, at: number, reason: string | undefined): ChainError {
  const why = reason === undefined ? '' : ` (${reason})`
  return linkError(
    'ERR_CERT_REVOKED',
    link,
    'serialNumber',
    `its issuer revoked it at ${new Date(at).toISOString()}${why}`,
    'Enrol again with a new key, or ask the CA why it was revoked.',
  )
}

function unusable(link: Link, reason: string, cause?: unknown): ChainError {
  return linkError(
    'ERR_CRL_UNUSABLE',
    link,
    'CRL',
    reason,
    'Get a complete, current CRL from the CA that issued the certificate.',
    cause,
  )
}

function stale(link: Link, reason: string): ChainError {
  return linkError(
    'ERR_CRL_STALE',
    link,
    'CRL',
    reason,
    'Get the current CRL, and check the clock.',
  )
}
