/**
 * Path building (RFC 4158, RFC 5280 §6): from the leaf up through a bag of intermediates that may
 * hold cycles, decoys and copies, to one of the anchors. Work is bounded whatever is in the bag:
 * certificates that no anchor leads to by name are set aside before any signature is checked, and
 * depth, steps, encounters, complete paths and signature checks have named limits. Names are
 * compared by RFC 5280 §7.1; trust follows signatures alone. Order of the bag never changes the
 * verdict inside these limits.
 */
import { equalBytes } from '../codec/index.ts'
import { PeerError } from '../errors.ts'
import type { Crypto, Milliseconds } from '../ports.ts'
import {
  type ChainError,
  chainError,
  type Link,
  limitError,
  linkError,
  shownName,
} from './chainError.ts'
import { nameKey } from './directoryNames.ts'
import { comparisonBudget } from './nameConstraints.ts'
import { checkIsCa, checkPath, checkValidity } from './pathRules.ts'
import { isSelfIssued } from './profile.ts'
import { SignatureChecker } from './signatures.ts'
import type { Certificate } from './types.ts'
import type { ChainErrorCode, PathQuestion } from './verified.ts'

/**
 * Intermediates between leaf and anchor unless the caller says otherwise. Real hierarchies have one
 * to three.
 */
const depthMaxDefault = 8
/** Certificates of a path, self-issued ones too, whatever depth the caller allows. */
const pathCertificatesMax = 32
/**
 * Candidates looked at in one search. With the limit of signature checks it bounds what a bag of
 * decoys can cost.
 */
const searchStepsMax = 2_000
/**
 * Certificates of a fitting name met in one search, those passed over as well. Four times the
 * largest bag.
 */
const encountersMax = 65_536
/**
 * Complete paths judged in one search: the rules of a path with large extensions cost milliseconds
 * for each certificate.
 */
const judgedPathsMax = 32
/** Certificates in the bag. A whole directory of intermediates fits; more is not a chain. */
const intermediatesMax = 16_384

export interface ValidPath {
  /** Leaf first, anchor last. */
  readonly path: readonly Certificate[]
  /** Earliest notAfter of the path. */
  readonly notAfter: Milliseconds
}

/** What else a path must stand, one whose signatures and rules hold: throws the reason against it. */
export type PathCheck = (path: readonly Certificate[], checker: SignatureChecker) => void

/**
 * A path from the leaf to an anchor that satisfies RFC 5280 §6 and the request, but for revocation,
 * which is the caller's `check`; or the PeerError of the attempt that came furthest.
 */
export function findPath(
  request: PathQuestion,
  crypto: Crypto,
  check: PathCheck = () => undefined,
): ValidPath {
  const checker = new SignatureChecker(crypto, request.signatureChecksMax)
  const path = new PathSearch(request, checker, check).run()
  return { path, notAfter: Math.min(...path.map((one) => one.notAfter)) }
}

/** How far an attempt came: the furthest one's reason is reported. */
type Progress = 0 | 1 | 2 | 3

class PathSearch {
  readonly #request: PathQuestion
  readonly #checker: SignatureChecker
  readonly #check: PathCheck
  readonly #anchors: ReadonlyMap<string, readonly Certificate[]>
  readonly #intermediates: ReadonlyMap<string, readonly Certificate[]>
  readonly #spendComparisons = comparisonBudget()
  #steps = 0
  #encounters = 0
  #judged = 0
  #failure: { readonly error: ChainError; readonly progress: Progress } | undefined

  constructor(request: PathQuestion, checker: SignatureChecker, check: PathCheck) {
    if (request.intermediates.length > intermediatesMax) {
      throw limitError(`more than ${intermediatesMax} intermediates`)
    }
    this.#request = request
    this.#checker = checker
    this.#check = check
    this.#anchors = bySubject(request.anchors, checker)
    this.#intermediates = bySubject(reachable(request), checker)
  }

  run(): readonly Certificate[] {
    const { leaf, anchors } = this.#request
    try {
      const found = anchors.some((anchor) => equalBytes(anchor.der, leaf.der))
        ? this.#finish([leaf])
        : this.#extend([leaf])
      if (found !== undefined) return found
    } catch (error) {
      this.#note(error, 2)
    }
    throw this.#failure?.error ?? unknownIssuer(this.#request)
  }

  /** Depth first; the path grows from the leaf. */
  #extend(path: readonly Certificate[]): readonly Certificate[] | undefined {
    const child = path.at(-1)
    if (child === undefined) return undefined
    const name = nameKey(child.issuer)
    const anchors = ordered(child, this.#anchors.get(name) ?? [])
    for (const anchor of anchors) {
      if (!this.#signs(anchor, path)) continue
      const found = this.#finish([...path, anchor])
      if (found !== undefined) return found
    }
    const issuers = this.#intermediates.get(name) ?? []
    this.#meet(issuers.length)
    for (const issuer of ordered(child, issuers)) {
      if (path.some((one) => sameEntity(one, issuer)) || !this.#fits(issuer, path)) continue
      if (!this.#signs(issuer, path)) continue
      const found = this.#extend([...path, issuer])
      if (found !== undefined) return found
    }
    return undefined
  }

  /**
   * Before they are put in order: that, too, is work, and copies of what is in the path cost no
   * step.
   */
  #meet(candidates: number): void {
    this.#encounters += candidates
    if (this.#encounters <= encountersMax) return
    throw limitError(`more than ${encountersMax} encounters with certificates of a fitting name`)
  }

  /** Is one more CA within the depth? */
  #fits(issuer: Certificate, path: readonly Certificate[]): boolean {
    const depthMax = this.#request.depthMax ?? depthMaxDefault
    const counted = [...path.slice(1), issuer].filter((one) => !isSelfIssued(one)).length
    // One place is the anchor's.
    if (counted <= depthMax && path.length + 2 <= pathCertificatesMax) return true
    const link = { index: path.length, certificate: issuer }
    this.#note(tooDeep(link, depthMax), 1)
    return false
  }

  /** Did `issuer` sign the end of the path? Everything cheap is asked before its key is used. */
  #signs(issuer: Certificate, path: readonly Certificate[]): boolean {
    this.#steps++
    if (this.#steps > searchStepsMax) throw limitError(`more than ${searchStepsMax} steps`)
    const certificate = path.at(-1)
    if (certificate === undefined) return false
    const child: Link = { index: path.length - 1, certificate }
    const parent: Link = { index: path.length, certificate: issuer }
    try {
      checkIsCa(parent)
      checkValidity(parent, this.#request.at)
      if (this.#checker.verify(certificate, child, parent)) return true
      this.#note(badSignature(child, issuer), 1)
    } catch (error) {
      if (isLimit(error)) throw error
      this.#note(error, 2)
    }
    return false
  }

  /** The path is complete and its signatures hold: the rules decide. */
  #finish(path: readonly Certificate[]): readonly Certificate[] | undefined {
    this.#judged++
    if (this.#judged > judgedPathsMax)
      throw limitError(`more than ${judgedPathsMax} complete paths`)
    try {
      checkPath(path, this.#request, this.#spendComparisons)
      this.#check(path, this.#checker)
      return path
    } catch (error) {
      if (isLimit(error)) throw error
      this.#note(error, 3)
      return undefined
    }
  }

  #note(error: unknown, progress: Progress): void {
    if (!(error instanceof PeerError)) throw error
    if (this.#failure !== undefined && this.#failure.progress >= progress) return
    this.#failure = { error, progress }
  }
}

function isLimit(error: unknown): boolean {
  const limit: ChainErrorCode = 'ERR_CHAIN_LIMIT'
  return error instanceof PeerError && error.code === limit
}

/** Certificates by subject, each one once. */
function bySubject(
  certificates: readonly Certificate[],
  checker: SignatureChecker,
): ReadonlyMap<string, readonly Certificate[]> {
  const map = new Map<string, Certificate[]>()
  const seen = new Set<string>()
  for (const certificate of certificates) {
    const fingerprint = checker.fingerprint(certificate)
    if (seen.has(fingerprint)) continue
    seen.add(fingerprint)
    const name = nameKey(certificate.subject)
    const known = map.get(name)
    if (known === undefined) map.set(name, [certificate])
    else known.push(certificate)
  }
  return map
}

/**
 * The intermediates that some anchor leads to by names: no path runs through the others, whatever
 * they signed.
 */
function reachable(request: PathQuestion): readonly Certificate[] {
  const byIssuer = new Map<string, Certificate[]>()
  for (const certificate of request.intermediates) {
    const name = nameKey(certificate.issuer)
    const known = byIssuer.get(name)
    if (known === undefined) byIssuer.set(name, [certificate])
    else known.push(certificate)
  }
  const found: Certificate[] = []
  const names = [...new Set(request.anchors.map((anchor) => nameKey(anchor.subject)))]
  const seen = new Set(names)
  for (let name = names.pop(); name !== undefined; name = names.pop()) {
    for (const certificate of byIssuer.get(name) ?? []) {
      found.push(certificate)
      const next = nameKey(certificate.subject)
      if (seen.has(next)) continue
      seen.add(next)
      names.push(next)
    }
  }
  return found
}

/**
 * RFC 4158 §3.5.12: the issuer whose key identifier fits first, the ones that contradict it last.
 */
function ordered(child: Certificate, candidates: readonly Certificate[]): readonly Certificate[] {
  if (candidates.length < 2) return candidates
  const wanted = child.extensions.authorityKeyId
  const rank = (candidate: Certificate): number => {
    const offered = candidate.extensions.subjectKeyId
    if (wanted === undefined || offered === undefined) return 1
    return equalBytes(wanted, offered) ? 0 : 2
  }
  return candidates.toSorted((a, b) => rank(a) - rank(b))
}

/** The same name with the same key: going through it twice leads nowhere new. */
function sameEntity(a: Certificate, b: Certificate): boolean {
  return equalBytes(a.subject.der, b.subject.der) && equalBytes(a.spki.der, b.spki.der)
}

function badSignature(child: Link, issuer: Certificate): ChainError {
  return linkError(
    'ERR_CHAIN_SIGNATURE',
    child,
    'signatureValue',
    `its signature does not verify with the key of ${shownName(issuer)}`,
    'It was changed, or signed by another key of the same name: get the chain again from its CA.',
  )
}

function tooDeep(link: Link, depthMax: number): ChainError {
  return linkError(
    'ERR_CHAIN_PATH_LENGTH',
    link,
    'depth',
    `a path through it has more than ${depthMax} intermediates`,
    'Use a shorter chain, or allow a greater depth.',
  )
}

/** Walks up by name to say which issuer is missing. */
function unknownIssuer(request: PathQuestion): ChainError {
  const bag = new Map(request.intermediates.map((one) => [nameKey(one.subject), one]))
  const seen = new Set<Certificate>()
  let link: Link = { index: 0, certificate: request.leaf }
  while (link.index < pathCertificatesMax) {
    seen.add(link.certificate)
    const next = bag.get(nameKey(link.certificate.issuer))
    if (next === undefined || seen.has(next)) break
    link = { index: link.index + 1, certificate: next }
  }
  return chainError(
    'ERR_CHAIN_UNKNOWN_ISSUER',
    `no path leads from ${shownName(request.leaf)} to an anchor`,
    `link ${link.index} (${shownName(link.certificate)}): issuer`,
    'Add the missing intermediate, or the anchor that its chain ends in.',
  )
}
