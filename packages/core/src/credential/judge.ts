/**
 * The one judge of chains: whatever the road, a peer's certificate becomes a `VerifiedPeer` here or is refused with its reason.
 * It adds to RFC 5280 what this product means by trust: an anchor belongs to one role, a purpose is explicit, a foreign maker's anchor
 * vouches for its scope only, a leaf is no CA. Registry state and assurance are judged behind it, by those who keep them.
 */
import { equalBytes, hex } from '../codec/index.ts'
import { CallerError, InvariantError, PeerError } from '../errors.ts'
import type { Clock, Crypto, Milliseconds, PublicKey } from '../ports.ts'
import { chainError, type Link, linkError } from './chainError.ts'
import { parseCertificate } from './parseCertificate.ts'
import { formatName, serialNumberOf } from './parseName.ts'
import { type ValidPath, validatePath } from './path.ts'
import { lastMoment } from './pathRules.ts'
import { matchesPattern } from './pattern.ts'
import { isSelfIssued } from './profile.ts'
import { purposes } from './roles.ts'
import type { Certificate } from './types.ts'
import type { Anchor, ChainErrorCode, Expectation, PathRequest, VerifiedPeer } from './verified.ts'

/** Certificates beside the leaf that a peer may send. Ours send one at most. */
export const peerIntermediatesMax = 8
/** Verified leaves that are remembered: at 2 KiB each this is what a front end spends for its busiest devices. */
export const cachedLeavesMax = 50_000

export interface JudgeOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly anchors: readonly Anchor[]
  readonly cachedLeavesMax?: number
}

interface Remembered {
  readonly peer: VerifiedPeer
  /** Latest notBefore of the path. */
  readonly notBefore: Milliseconds
}

/**
 * @example
 * const judge = new Judge({ crypto: nodeCrypto, clock, anchors })
 * const peer = judge.judge(leafDer, [], { role: 'owner', purpose: 'clientAuth' })
 */
export class Judge {
  readonly #crypto: Crypto
  readonly #clock: Clock
  readonly #cachedMax: number
  readonly #cache = new Map<string, Remembered>()
  #anchors: readonly Anchor[] = []

  constructor(options: JudgeOptions) {
    this.#crypto = rememberingKeys(options.crypto)
    this.#clock = options.clock
    this.#cachedMax = options.cachedLeavesMax ?? cachedLeavesMax
    this.setAnchors(options.anchors)
  }

  /** Replaces the anchors. Everything verified under the old ones is forgotten. */
  setAnchors(anchors: readonly Anchor[]): void {
    for (const anchor of anchors) requireAnchor(anchor)
    this.#anchors = [...anchors]
    this.#cache.clear()
  }

  /** A known leaf costs one hash: no parsing, no signature. Time and limits are the judge's own, never the peer's. */
  judge(
    leafDer: Uint8Array,
    intermediatesDer: readonly Uint8Array[],
    expectation: Expectation,
  ): VerifiedPeer {
    const fingerprint = hex(this.#crypto.hash('sha256', leafDer))
    const key = cacheKey(fingerprint, expectation)
    const at = this.#clock.now()
    const known = this.#recall(key, at)
    if (known !== undefined) return known
    if (intermediatesDer.length > peerIntermediatesMax) throw tooManySent(intermediatesDer.length)
    const leaf = parseLink(leafDer, 0)
    const intermediates = intermediatesDer.map((der, index) => parseLink(der, index + 1))
    const peer = this.#verify(leaf, intermediates, expectation, fingerprint, at)
    this.#remember(key, peer)
    return peer
  }

  #verify(
    leaf: Certificate,
    intermediates: readonly Certificate[],
    expectation: Expectation,
    fingerprint: string,
    at: Milliseconds,
  ): VerifiedPeer {
    const request = requestFor(leaf, intermediates, expectation, at)
    const valid = this.#validate(request, expectation)
    const link: Link = { index: 0, certificate: leaf }
    requireEndEntity(link, expectation)
    const anchor = this.#anchorOf(valid, link, expectation, at)
    const { role, purpose } = expectation
    const notAfter = Math.min(valid.notAfter, anchor.scope.notAfter ?? valid.notAfter)
    const peer = { role, purpose, leaf, fingerprint, anchor, path: valid.path, notAfter }
    // The only place that makes one: the path above was built and validated.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the proof is a type, without a value
    return Object.freeze(peer) as VerifiedPeer
  }

  #validate(request: Omit<PathRequest, 'anchors'>, expectation: Expectation): ValidPath {
    const own = this.#anchors.filter((anchor) => anchor.role === expectation.role)
    try {
      return validatePath({ ...request, anchors: certificatesOf(own) }, this.#crypto)
    } catch (error) {
      const unknown: ChainErrorCode = 'ERR_CHAIN_UNKNOWN_ISSUER'
      if (error instanceof PeerError && error.code === unknown) {
        this.#refuseOtherRole(request, expectation, error)
      }
      throw error
    }
  }

  /** An anchor of another role is never accepted, and the operator learns which role it was. */
  #refuseOtherRole(
    request: Omit<PathRequest, 'anchors'>,
    expectation: Expectation,
    cause: PeerError,
  ): void {
    const others = this.#anchors.filter((anchor) => anchor.role !== expectation.role)
    const { leaf, intermediates, crls, at } = request
    const bare = { leaf, intermediates, crls, at, anchors: certificatesOf(others) }
    let found: ValidPath
    try {
      found = validatePath(bare, this.#crypto)
    } catch (error) {
      if (error instanceof PeerError) return
      throw error
    }
    const last = found.path.at(-1)
    const role = others.find((anchor) => same(anchor.certificate, last))?.role
    throw chainError(
      'ERR_CHAIN_ROLE',
      `the certificate belongs to role ${role}, and ${expectation.role} is expected here`,
      `link ${found.path.length - 1} (${last === undefined ? '' : formatName(last.subject)}): role`,
      `Present a certificate that the ${expectation.role} CA issued.`,
      cause,
    )
  }

  /** One CA may be an anchor several times, with another scope for each product: the first that holds the leaf counts. */
  #anchorOf(valid: ValidPath, link: Link, { role }: Expectation, at: Milliseconds): Anchor {
    const last = valid.path.at(-1)
    let flaw: Error | undefined
    for (const anchor of this.#anchors) {
      if (anchor.role !== role || !same(anchor.certificate, last)) continue
      const found = scopeFlaw(link, anchor, at)
      if (found === undefined) return anchor
      flaw ??= found
    }
    throw flaw ?? new InvariantError('ERR_CHAIN_ANCHOR', 'a valid path ends in no anchor')
  }

  #recall(key: string, at: Milliseconds): VerifiedPeer | undefined {
    const known = this.#cache.get(key)
    if (known === undefined) return undefined
    this.#cache.delete(key)
    // Outside its dates it is judged anew, which names the link that decided.
    if (at < known.notBefore || at > lastMoment(known.peer.notAfter)) return undefined
    this.#cache.set(key, known)
    return known.peer
  }

  /** Only what was verified gets in, so that strangers cannot push out the known. The least recently used leaves first. */
  #remember(key: string, peer: VerifiedPeer): void {
    this.#cache.set(key, { peer, notBefore: Math.max(...peer.path.map((one) => one.notBefore)) })
    if (this.#cache.size <= this.#cachedMax) return
    const oldest = this.#cache.keys().next()
    if (oldest.done !== true) this.#cache.delete(oldest.value)
  }
}

function cacheKey(fingerprint: string, { role, purpose, name }: Expectation): string {
  const named = name === undefined ? '' : `${name.kind} ${name.value}`
  return `${fingerprint} ${role} ${purpose} ${named}`
}

function requestFor(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  { role, purpose, name }: Expectation,
  at: Milliseconds,
): Omit<PathRequest, 'anchors'> {
  // IEEE 802.1AR §8.10: an IDevID need not state a purpose. Everyone else's purpose is explicit.
  const explicit = !(purpose === 'clientAuth' && role === 'maker')
  const extKeyUsage = { oid: purposes[purpose], explicit }
  const request = { leaf, intermediates, crls: [], at, extKeyUsage }
  return name === undefined ? request : { ...request, name }
}

function requireAnchor(anchor: Anchor): void {
  const { certificate, origin, scope } = anchor
  const name = formatName(certificate.subject)
  if (certificate.extensions.basicConstraints?.ca !== true) {
    throw badAnchor(name, 'is no CA', 'Give the certificate of the issuing CA.')
  }
  if (origin === 'house' && isSelfIssued(certificate)) {
    throw badAnchor(name, 'is a root', 'A role is anchored by its issuing CA, never by the root.')
  }
  if (origin === 'house' && Object.values(scope).some((limit) => limit !== undefined)) {
    throw badAnchor(name, 'is our own and has a scope', 'Only foreign anchors are scoped.')
  }
}

function badAnchor(name: string, reason: string, hint: string): CallerError<'ERR_ANCHOR'> {
  return new CallerError('ERR_ANCHOR', `the anchor ${name} ${reason}`, {}, { hint })
}

/** A CA certificate identifies no peer, and a key does what its usage says (RFC 5280 §4.2.1.3). */
function requireEndEntity(link: Link, { purpose }: Expectation): void {
  const { basicConstraints, keyUsage } = link.certificate.extensions
  if (basicConstraints?.ca === true) {
    throw linkError(
      'ERR_CHAIN_PURPOSE',
      link,
      'basicConstraints',
      'it is a CA certificate, which identifies no peer',
      'Present an end-entity certificate.',
    )
  }
  const needed = purpose === 'serverEdhocDh' ? 'keyAgreement' : 'digitalSignature'
  if (keyUsage === undefined || keyUsage.has(needed)) return
  throw linkError(
    'ERR_CHAIN_KEY_USAGE',
    link,
    'keyUsage',
    `its keyUsage lacks ${needed}`,
    `Have it issued with ${needed}.`,
  )
}

function scopeFlaw(link: Link, anchor: Anchor, at: Milliseconds): Error | undefined {
  const { serialPattern, notAfter } = anchor.scope
  if (notAfter !== undefined && at > notAfter) {
    return outOfScope(link, 'validity', 'the time is outside the scope')
  }
  if (serialPattern === undefined) return undefined
  const serial = serialNumberOf(link.certificate.subject)
  if (serial !== undefined && matchesPattern(serialPattern, serial)) return undefined
  return outOfScope(link, 'subject.serialNumber', 'its serial number is outside the scope')
}

function outOfScope(link: Link, field: string, reason: string): Error {
  return linkError(
    'ERR_CHAIN_SCOPE',
    link,
    field,
    `${reason} of the foreign anchor that vouches for it`,
    'Add the anchor again with the scope that was agreed with the maker.',
  )
}

function parseLink(der: Uint8Array, index: number): Certificate {
  try {
    return parseCertificate(der)
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    throw chainError(
      'ERR_CERT_MALFORMED',
      `certificate ${index} cannot be read: ${error.message}`,
      `link ${index}: ${error.where ?? 'DER'}`,
      'Send X.509 version 3 certificates in DER.',
      error,
    )
  }
}

function tooManySent(count: number): Error {
  return chainError(
    'ERR_CHAIN_LIMIT',
    `the peer sent ${count} certificates beside its own, and ${peerIntermediatesMax} are read`,
    'chain',
    'Send the leaf and the CA certificates between it and the anchor.',
  )
}

function same(certificate: Certificate, other: Certificate | undefined): boolean {
  return other !== undefined && equalBytes(certificate.der, other.der)
}

function certificatesOf(anchors: readonly Anchor[]): readonly Certificate[] {
  return anchors.map((anchor) => anchor.certificate)
}

/** Anchors live as long as the judge, so that their keys are imported once: found again by the very bytes they were parsed from. */
function rememberingKeys(crypto: Crypto): Crypto {
  const keys = new WeakMap<Uint8Array, PublicKey>()
  return {
    hash: (name, data) => crypto.hash(name, data),
    verify: (key, scheme, data, signature) => crypto.verify(key, scheme, data, signature),
    importPublicKey(spki, algorithm) {
      const known = keys.get(spki)
      if (known !== undefined) return known
      const key = crypto.importPublicKey(spki, algorithm)
      keys.set(spki, key)
      return key
    },
  }
}
