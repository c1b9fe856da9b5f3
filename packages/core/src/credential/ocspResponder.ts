/**
 * Who may answer for a leaf (RFC 6960 §4.2.2.2): the key that signed it, or a delegate with a
 * certificate for just this, id-kp-OCSPSigning, from that same key. Stricter than the RFC: a
 * delegate is no CA, and nobody answers for himself. What the issuer's own path forbids (name
 * constraints, policies, purposes that nest) is not asked of a delegate, who names nobody.
 */
import { equalBytes } from '../codec/index.ts'
import { PeerError } from '../errors.ts'
import type { Crypto, Milliseconds } from '../ports.ts'
import { type ChainError, type Link, linkError, shownName } from './chainError.ts'
import { nameKey } from './directoryNames.ts'
import type { BasicOcspResponse } from './ocspTypes.ts'
import { ocspOid } from './oids.ts'
import { checkValidity } from './pathRules.ts'
import { checkProfile } from './profile.ts'
import { SignatureChecker } from './signatures.ts'
import type { Certificate, SignedPart } from './types.ts'

/**
 * Verifications for one staple. The issuer's key, a delegate's certificate and its key need three;
 * the rest is for namesakes, such as a delegate's certificate before and after its renewal.
 */
const stapleSignatureChecksMax = 6

export interface Asked {
  readonly leaf: Link
  /** Its key signed the leaf. */
  readonly issuer: Link
  readonly at: Milliseconds
}

interface Flaw {
  readonly reason: string
  readonly cause?: unknown
}

/** Throws ERR_OCSP_UNUSABLE unless one who may answer for the leaf signed this. */
export function requireAuthorized(response: BasicOcspResponse, asked: Asked, crypto: Crypto): void {
  const { leaf, issuer } = asked
  const checker = new SignatureChecker(crypto, stapleSignatureChecksMax)
  let flaw: Flaw | undefined
  if (isNamed(response, issuer.certificate, crypto)) {
    flaw = issuerFlaw(issuer) ?? signatureFlaw(response, leaf, issuer, checker)
    if (flaw === undefined) return
  }
  for (const certificate of response.certificates) {
    if (!isNamed(response, certificate, crypto)) continue
    const delegate: Link = { index: 0, certificate }
    const found =
      delegateFlaw(delegate, asked, checker) ?? signatureFlaw(response, leaf, delegate, checker)
    if (found === undefined) return
    flaw ??= found
  }
  if (flaw === undefined) {
    throw unusable(leaf, 'its OCSP response comes without the certificate of its responder')
  }
  throw unusable(leaf, `its OCSP response does not count: ${flaw.reason}`, flaw.cause)
}

/** §4.2.2.3: the identifier "MUST correspond to the certificate that was used to sign". */
function isNamed(
  { responder }: BasicOcspResponse,
  certificate: Certificate,
  crypto: Crypto,
): boolean {
  return responder.kind === 'name'
    ? nameKey(responder.value) === nameKey(certificate.subject)
    : equalBytes(responder.value, crypto.hash('sha1', certificate.spki.keyBytes))
}

/**
 * §4.2.2.2 asks an issuer for no usage. We do for one of two: who may sign its list, or may sign
 * things that are no certificates, may sign this.
 */
function issuerFlaw(issuer: Link): Flaw | undefined {
  const { keyUsage } = issuer.certificate.extensions
  if (keyUsage === undefined || keyUsage.has('cRLSign') || keyUsage.has('digitalSignature')) {
    return undefined
  }
  return { reason: `the key of ${shownName(issuer.certificate)} may sign certificates only` }
}

/** Why the issuer has not made this a responder for the leaf. What is cheap comes first. */
function delegateFlaw(delegate: Link, asked: Asked, checker: SignatureChecker): Flaw | undefined {
  const { certificate } = delegate
  const reason = standingFlaw(certificate, asked)
  if (reason !== undefined) return { reason: `${shownName(certificate)} ${reason}` }
  try {
    checkProfile(delegate)
    checkValidity(delegate, asked.at)
  } catch (cause) {
    if (!(cause instanceof PeerError)) throw cause
    return { reason: `the certificate of ${shownName(certificate)} is not valid`, cause }
  }
  // Its own revocation is not asked. With id-pkix-ocsp-nocheck the CA says so (§4.2.2.2.1); without
  // it the CA leaves it to the client, who in the middle of a handshake has nobody to ask, and to
  // whom a delegate that renews often is of more use than one that is refused.
  return signatureFlaw(certificate, delegate, asked.issuer, checker)
}

function standingFlaw(certificate: Certificate, { leaf, issuer }: Asked): string | undefined {
  const { basicConstraints, extKeyUsage, keyUsage } = certificate.extensions
  if (extKeyUsage?.includes(ocspOid.ocspSigning) !== true) {
    return 'is not certified for OCSP signing'
  }
  // Whoever gives a CA below this purpose, to let it delegate, has not made it judge of its
  // neighbours.
  if (basicConstraints?.ca === true) return 'is a CA, and not the one that issued the leaf'
  if (equalBytes(certificate.spki.der, leaf.certificate.spki.der)) return 'is the leaf itself'
  // RFC 5280 §4.2.1.12: consistent with digitalSignature, nonRepudiation or both.
  const signs = keyUsage?.has('digitalSignature') ?? true
  if (!signs && keyUsage?.has('contentCommitment') !== true) return 'has no key for signing'
  // §4.2.2.2: "issued directly by the CA" that issued the leaf.
  if (nameKey(certificate.issuer) === nameKey(issuer.certificate.subject)) return undefined
  return 'was certified by another CA than the leaf'
}

function signatureFlaw(
  signed: SignedPart,
  place: Link,
  signer: Link,
  checker: SignatureChecker,
): Flaw | undefined {
  const name = shownName(signer.certificate)
  try {
    if (checker.verify(signed, place, signer)) return undefined
    return { reason: `a signature does not verify with the key of ${name}` }
  } catch (cause) {
    if (!(cause instanceof PeerError)) throw cause
    return { reason: `a signature by ${name} is not accepted`, cause }
  }
}

export function unusable(leaf: Link, reason: string, cause?: unknown): ChainError {
  return linkError(
    'ERR_OCSP_UNUSABLE',
    leaf,
    'OCSP response',
    reason,
    'Let the server get a new response from the CA that issued its certificate.',
    cause,
  )
}
