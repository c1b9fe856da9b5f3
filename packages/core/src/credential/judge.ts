/**
 * The one judge of chains: whatever the road, a peer's certificate becomes a `VerifiedPeer` here or
 * is refused with its reason. It adds to RFC 5280 what this product means by trust: an anchor
 * belongs to one role, a purpose is explicit, a foreign maker's anchor vouches for its scope only,
 * a leaf is no CA. An OCSP response that came with the leaf is judged when the path is. Registry
 * state and assurance are judged behind it, by those who keep them.
 */
import { equalBytes, hex } from '../codec/index.ts'
import { InvariantError, PeerError } from '../errors.ts'
import type { Clock, Crypto, Milliseconds, PublicKey } from '../ports.ts'
import { chainError, type Link, shownName } from './chainError.ts'
import { checkStaple, requireNoStaplePromise } from './ocsp.ts'
import { parseCertificate } from './parseCertificate.ts'
import { findPath, type ValidPath } from './path.ts'
import { lastMoment } from './pathRules.ts'
import { inScope, requireAnchor, requireEndEntity, scopeFlaw, usageOf } from './peerRules.ts'
import { ProvenPeer } from './provenPeer.ts'
import { purposes, type Role } from './roles.ts'
import type { Certificate } from './types.ts'
import type { Anchor, ChainErrorCode, Expectation, PathQuestion, VerifiedPeer } from './verified.ts'

/** Certificates beside the leaf that a peer may send. Ours send one at most. */
const peerIntermediatesMax = 8
/**
 * A path through all of them and some decoys. A check may cost milliseconds when a stranger chooses
 * the key: P-521, RSA of 8192 bits.
 */
const peerSignatureChecksMax = 16
/**
 * Verified leaves that are remembered. Each holds its bytes and some 300 more: about 15 MiB when
 * full.
 */
const cachedLeavesMax = 16_384

export interface JudgeOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly anchors: readonly Anchor[]
  readonly cachedLeavesMax?: number
}

interface Remembered {
  readonly peer: VerifiedPeer
  /** Latest notBefore of the path. */
  readonly from: Milliseconds
  /** Its last valid moment. */
  readonly until: Milliseconds
}

type Question = Omit<PathQuestion, 'anchors'>

interface Stranger {
  readonly role: Role
  readonly anchor: Certificate
  /** Its place in the path. */
  readonly index: number
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
  /**
   * Leaves with a sound chain to another role, under the chain they came with: refused without
   * doing the work again.
   */
  readonly #strangers = new Map<string, Stranger>()
  #anchors: readonly Anchor[] = []
  /** Keys of anchors, each with the first role it stands for. */
  #roles: ReadonlyMap<string, Role> = new Map()

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
    this.#roles = new Map(
      anchors.toReversed().map((one) => [hex(one.certificate.spki.der), one.role]),
    )
    this.#cache.clear()
    this.#strangers.clear()
  }

  /**
   * A known leaf costs one hash: no parsing, no signature. Time and limits are the judge's own,
   * never the peer's. `staple` is the OCSP response that came with the leaf: it is judged each
   * time, also when the leaf is known.
   */
  judge(
    leafDer: Uint8Array,
    intermediatesDer: readonly Uint8Array[],
    expectation: Expectation,
    staple?: Uint8Array,
  ): VerifiedPeer {
    const peer = this.#judgeChain(leafDer, intermediatesDer, expectation)
    if (staple !== undefined) this.#checkStaple(peer, staple)
    else if (expectation.stapleExpected === true) requireNoStaplePromise(peer.leaf)
    return peer
  }

  #checkStaple({ leaf, above }: VerifiedPeer, staple: Uint8Array): void {
    const [issuer] = above
    // No leaf is its own anchor: an anchor is a CA, and a CA is no peer.
    if (issuer === undefined) {
      throw new InvariantError('ERR_CHAIN_ANCHOR', 'nobody stands above a verified leaf')
    }
    checkStaple({ leaf, issuer, staple, at: this.#clock.now() }, this.#crypto)
  }

  #judgeChain(
    leafDer: Uint8Array,
    intermediatesDer: readonly Uint8Array[],
    expectation: Expectation,
  ): VerifiedPeer {
    const fingerprint = this.#fingerprint(leafDer)
    const key = cacheKey(fingerprint, expectation)
    const at = this.#clock.now()
    const known = this.#recall(key, at)
    if (known !== undefined) return known
    if (intermediatesDer.length > peerIntermediatesMax) throw tooManySent(intermediatesDer.length)
    // With its chain: whoever shows the leaf of another with a chain of his own must not shut the
    // other out.
    const shown = [key, ...intermediatesDer.map((der) => this.#fingerprint(der))].join(' ')
    const stranger = this.#strangers.get(shown)
    if (stranger !== undefined) throw otherRole(stranger, expectation)
    const leaf = parseLink(leafDer, 0)
    const intermediates = intermediatesDer.map((der, index) => parseLink(der, index + 1))
    const request = requestFor(leaf, intermediates, expectation, at)
    const valid = this.#validate(request, expectation, shown)
    const peer = this.#prove(valid, leaf, expectation, fingerprint, at)
    this.#remember(key, peer, valid)
    return peer
  }

  #fingerprint(der: Uint8Array): string {
    return hex(this.#crypto.hash('sha256', der))
  }

  #validate(request: Question, expectation: Expectation, shown: string): ValidPath {
    const own = this.#anchors.filter((anchor) => anchor.role === expectation.role)
    // A CA may have been renewed: the path must end where the scope holds the leaf, if there is
    // such an end.
    const vouching = own.filter((anchor) => inScope(request.leaf, anchor, request.at))
    // Else it ends where the scope does not: told when the end is looked at.
    const ends = vouching.length < own.length ? [vouching, own] : [own]
    let unknown: unknown
    for (const anchors of ends) {
      try {
        return this.#validateUnder(anchors, request)
      } catch (error) {
        if (!isUnknownIssuer(error)) throw error
        unknown = error
      }
    }
    const stranger = this.#belongsElsewhere(request, expectation)
    if (stranger === undefined) throw unknown
    bounded(this.#strangers.set(shown, stranger), this.#cachedMax)
    throw otherRole(stranger, expectation, unknown)
  }

  #validateUnder(anchors: readonly Anchor[], request: Question): ValidPath {
    return findPath({ ...request, anchors: certificatesOf(anchors) }, this.#crypto)
  }

  /** An anchor of another role is never accepted, and the operator learns which role it was. */
  #belongsElsewhere(
    { leaf, intermediates, at, signatureChecksMax = peerSignatureChecksMax }: Question,
    { role }: Expectation,
  ): Stranger | undefined {
    const others = this.#anchors.filter((anchor) => anchor.role !== role)
    const bare = { leaf, intermediates, at, signatureChecksMax }
    try {
      const { path } = this.#validateUnder(others, bare)
      const last = path.at(-1)
      const anchor = others.find(({ certificate }) => same(certificate, last))
      return anchor && { role: anchor.role, anchor: anchor.certificate, index: path.length - 1 }
    } catch (error) {
      if (error instanceof PeerError) return undefined
      throw error
    }
  }

  #prove(
    valid: ValidPath,
    leaf: Certificate,
    expectation: Expectation,
    fingerprint: string,
    at: Milliseconds,
  ): VerifiedPeer {
    const link: Link = { index: 0, certificate: leaf }
    requireEndEntity(link, expectation)
    this.#requireOneRole(valid, expectation)
    const anchor = this.#anchorOf(valid, link, expectation, at)
    const { role, purpose } = expectation
    const notAfter = Math.min(valid.notAfter, anchor.scope.notAfter ?? valid.notAfter)
    const above = valid.path.slice(1)
    const proven = { role, purpose, fingerprint, anchor, above, notAfter }
    // The only place that makes one: the path above was built and validated.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the proof is a type, without a value
    return new ProvenPeer(proven, leaf.der) as unknown as VerifiedPeer
  }

  /** What an anchor certified is of its role, also when another anchor stands above it. */
  #requireOneRole({ path }: ValidPath, expectation: Expectation): void {
    for (const [index, anchor] of path.entries()) {
      if (index === 0 || index === path.length - 1) continue
      const role = this.#roles.get(hex(anchor.spki.der))
      if (role === undefined || role === expectation.role) continue
      throw otherRole({ role, anchor, index }, expectation)
    }
  }

  /**
   * One CA may be an anchor several times, with another scope for each product: the first that
   * holds the leaf counts.
   */
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
    if (at < known.from || at > known.until) return undefined
    this.#cache.set(key, known)
    return known.peer
  }

  /**
   * Only what was verified gets in, so that strangers cannot push out the known. The least recently
   * used leaves first.
   */
  #remember(key: string, peer: VerifiedPeer, { path }: ValidPath): void {
    const from = Math.max(...path.map((one) => one.notBefore))
    const end = lastMoment(Math.min(...path.map((one) => one.notAfter)))
    const until = Math.min(end, peer.anchor.scope.notAfter ?? end)
    bounded(this.#cache.set(key, { peer, from, until }), this.#cachedMax)
  }
}

function isUnknownIssuer(error: unknown): boolean {
  const unknown: ChainErrorCode = 'ERR_CHAIN_UNKNOWN_ISSUER'
  return error instanceof PeerError && error.code === unknown
}

/** Drops the oldest entry of a map that has grown over its bound. */
function bounded<Value>(map: Map<string, Value>, max: number): void {
  if (map.size <= max) return
  const oldest = map.keys().next()
  if (oldest.done !== true) map.delete(oldest.value)
}

function otherRole(stranger: Stranger, expectation: Expectation, cause?: unknown): Error {
  const { role, anchor, index } = stranger
  return chainError(
    'ERR_CHAIN_ROLE',
    `the certificate belongs to role ${role}, and ${expectation.role} is expected here`,
    `link ${index} (${shownName(anchor)}): role`,
    `Present a certificate that the ${expectation.role} CA issued.`,
    cause,
  )
}

function cacheKey(fingerprint: string, expectation: Expectation): string {
  const { role, purpose, name } = expectation
  const named = name === undefined ? '' : `${name.kind} ${name.value}`
  return `${fingerprint} ${role} ${purpose} ${usageOf(expectation)} ${named}`
}

function requestFor(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  { role, purpose, name }: Expectation,
  at: Milliseconds,
): Question {
  // IEEE 802.1AR §8.10: an IDevID need not state a purpose. Everyone else's purpose is explicit.
  const explicit = !(purpose === 'clientAuth' && role === 'maker')
  const extKeyUsage = { oid: purposes[purpose], explicit }
  const signatureChecksMax = peerSignatureChecksMax
  const request = { leaf, intermediates, at, extKeyUsage, signatureChecksMax }
  return name === undefined ? request : { ...request, name }
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

/**
 * Anchors live as long as the judge, so that their keys are imported once: found again by the very
 * bytes they were parsed from.
 */
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
