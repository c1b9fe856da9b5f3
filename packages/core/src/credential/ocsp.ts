/**
 * Status of a leaf by the OCSP response that its holder sends along, the staple (RFC 6960 §3.2,
 * §4.2.2; RFC 8446 §4.4.2.1). It must be signed by the key that signed the leaf, or by a responder
 * that this key certified for it, and be about this very leaf. All that it says about the leaf must
 * clear it: an answer that revokes refuses, however old it is. Leaves out: asking a responder,
 * responders that are trusted by configuration (§4.2.2.2, the first criterion), the status of the
 * CAs above the leaf.
 */
import { equalBytes } from '../codec/index.ts'
import { PeerError } from '../errors.ts'
import type { Crypto, HashName, Milliseconds } from '../ports.ts'
import { type ChainError, type Link, linkError } from './chainError.ts'
import { type Asked, requireAuthorized, unusable } from './ocspResponder.ts'
import type { BasicOcspResponse, SingleOcspResponse } from './ocspTypes.ts'
import { parseOcspResponse } from './parseOcsp.ts'
import { lastMoment } from './pathRules.ts'
import { revoked } from './revocation.ts'
import type { Certificate } from './types.ts'

/**
 * How far our clock may be behind the responder's: a response is often made for the handshake, and
 * nobody gains by one that begins in five minutes.
 */
const clockBehindMsMax = 5 * 60_000

/** Number of status_request, as TLS extension and as TLS feature (RFC 7633). */
const statusRequest = 5

export interface StapleQuestion {
  readonly leaf: Certificate
  /** Next in the validated path: its key signed the leaf. */
  readonly issuer: Certificate
  /** DER of an OCSPResponse. */
  readonly staple: Uint8Array
  readonly at: Milliseconds
}

/**
 * Throws ERR_CERT_REVOKED, ERR_OCSP_UNUSABLE or ERR_OCSP_STALE unless the staple clears the leaf.
 *
 * @example checkStaple({ leaf, issuer: path[1], staple, at: clock.now() }, nodeCrypto)
 */
export function checkStaple(question: StapleQuestion, crypto: Crypto): void {
  const leaf: Link = { index: 0, certificate: question.leaf }
  const issuer: Link = { index: 1, certificate: question.issuer }
  const asked: Asked = { leaf, issuer, at: question.at }
  const response = readStaple(question.staple, leaf)
  const answers = answersAbout(response, asked, crypto)
  if (answers.length === 0) throw unusable(leaf, 'its OCSP response is about other certificates')
  requireAuthorized(response, asked, crypto)
  const flaws = answers.flatMap((answer) => flawOf(answer, asked) ?? [])
  const [first] = flaws
  if (first !== undefined) throw flaws.find(isRevoked) ?? first
}

/** RFC 7633: throws ERR_OCSP_MISSING when a certificate that promises a staple came without one. */
export function requireNoStaplePromise(certificate: Certificate): void {
  if (certificate.extensions.tlsFeatures?.includes(statusRequest) !== true) return
  throw linkError(
    'ERR_OCSP_MISSING',
    { index: 0, certificate },
    'tlsFeature',
    'it promises an OCSP response with every handshake, and none came',
    'Let the server staple the OCSP response for its certificate.',
  )
}

function readStaple(staple: Uint8Array, leaf: Link): BasicOcspResponse {
  const response = parsed(staple, leaf)
  if (response.status !== 'successful') {
    throw unusable(leaf, `its OCSP responder did not answer (${response.status})`)
  }
  const { basic } = response
  const [unknown] = basic.unknownCritical
  if (unknown === undefined) return basic
  throw unusable(leaf, notUnderstood(unknown))
}

function parsed(staple: Uint8Array, leaf: Link): ReturnType<typeof parseOcspResponse> {
  try {
    return parseOcspResponse(staple)
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    throw unusable(leaf, `its OCSP response cannot be read: ${error.message}`, error)
  }
}

/**
 * §4.1.1: whom an answer is about. SHA-1 does here: a collision is of use to the issuer alone, who
 * could as well sign a lie.
 */
function answersAbout(
  { responses }: BasicOcspResponse,
  { leaf, issuer }: Asked,
  crypto: Crypto,
): readonly SingleOcspResponse[] {
  const name = leaf.certificate.issuer.der
  const key = issuer.certificate.spki.keyBytes
  const hashes = new Map<HashName, readonly [Uint8Array, Uint8Array]>()
  const hashesBy = (hash: HashName): readonly [Uint8Array, Uint8Array] => {
    const made = hashes.get(hash) ?? [crypto.hash(hash, name), crypto.hash(hash, key)]
    hashes.set(hash, made)
    return made
  }
  return responses.filter(({ certId }) => {
    const { hash, serial, issuerNameHash, issuerKeyHash } = certId
    if (hash === undefined || !equalBytes(serial, leaf.certificate.serial)) return false
    const [nameHash, keyHash] = hashesBy(hash)
    return equalBytes(issuerNameHash, nameHash) && equalBytes(issuerKeyHash, keyHash)
  })
}

/** Why this answer of an authorized responder does not clear the leaf; undefined when it does. */
function flawOf(answer: SingleOcspResponse, { leaf, at }: Asked): ChainError | undefined {
  const { certStatus, thisUpdate, nextUpdate } = answer
  const [unknown] = answer.unknownCritical
  if (unknown !== undefined) return unusable(leaf, notUnderstood(unknown))
  if (certStatus.kind === 'revoked') return revoked(leaf, certStatus.at, certStatus.reason)
  if (certStatus.kind === 'unknown') return unusable(leaf, 'its OCSP responder does not know it')
  // §4.2.2.1 lets a responder leave it out, who then has newer answers at all times. What is stapled
  // would hold for ever.
  if (nextUpdate === undefined) {
    return unusable(leaf, 'its OCSP response does not say until when it holds')
  }
  if (at < thisUpdate - clockBehindMsMax) return stale(leaf, 'its OCSP response is from the future')
  if (at > lastMoment(nextUpdate)) return stale(leaf, 'its OCSP response is past its next update')
  return undefined
}

function notUnderstood(oid: string): string {
  return `its OCSP response has a critical extension that is not understood (${oid})`
}

function isRevoked({ code }: ChainError): boolean {
  return code === 'ERR_CERT_REVOKED'
}

function stale(leaf: Link, reason: string): ChainError {
  return linkError(
    'ERR_OCSP_STALE',
    leaf,
    'OCSP response',
    reason,
    'Let the server get a current response, and check the clock.',
  )
}
