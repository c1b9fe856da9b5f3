/**
 * Signature checks of one validation: the floor of algorithms, a budget that an attacker's decoys
 * cannot exceed, and a memory, so that no signature is checked twice and no key imported twice.
 */
import { hex } from '../codec/index.ts'
import type { Crypto, HashName, PublicKey, SignatureScheme } from '../ports.ts'
import { isYes } from '../verdict.ts'
import { type ChainError, type Link, limitError, linkError } from './chainError.ts'
import { badKey, keyFlaw } from './profile.ts'
import type { Certificate, SignedPart } from './types.ts'

/**
 * Verifications in one validation. A path of the greatest depth needs a third of it; at 0.1 ms each
 * the rest is the price of decoys.
 */
export const signatureChecksMax = 64

const acceptedHashes: ReadonlySet<HashName> = new Set(['sha256', 'sha384', 'sha512'])

export class SignatureChecker {
  readonly #crypto: Crypto
  readonly #keys = new Map<string, PublicKey>()
  readonly #verdicts = new WeakMap<SignedPart, WeakMap<PublicKey, boolean>>()
  readonly #max: number
  #left: number

  constructor(crypto: Crypto, max: number = signatureChecksMax) {
    this.#crypto = crypto
    this.#max = max
    this.#left = max
  }

  /**
   * Did the issuer's key sign this? Throws the flaw of scheme or key, and ERR_CHAIN_LIMIT when the
   * budget is spent.
   */
  verify(signed: SignedPart, place: Link, issuer: Link): boolean {
    const scheme = acceptedScheme(signed, place)
    const key = this.#key(issuer)
    const known = this.#verdicts.get(signed)
    const earlier = known?.get(key)
    if (earlier !== undefined) return earlier
    this.#spend()
    const verdict = isYes(this.#crypto.verify(key, scheme, signed.tbs, signed.signature))
    const verdicts = known ?? new WeakMap<PublicKey, boolean>()
    verdicts.set(key, verdict)
    this.#verdicts.set(signed, verdicts)
    return verdict
  }

  fingerprint(certificate: Certificate): string {
    return hex(this.#crypto.hash('sha256', certificate.der))
  }

  #key(issuer: Link): PublicKey {
    const { spki } = issuer.certificate
    const flaw = keyFlaw(spki)
    if (flaw !== undefined || spki.algorithm === undefined) throw badKey(issuer, flaw ?? '')
    const name = hex(spki.der)
    const known = this.#keys.get(name)
    if (known !== undefined) return known
    this.#requireBudget()
    try {
      const key = this.#crypto.importPublicKey(spki.der, spki.algorithm)
      this.#keys.set(name, key)
      return key
    } catch (cause) {
      this.#spend()
      throw badKey(issuer, 'its key is not a valid key of its algorithm', cause)
    }
  }

  #spend(): void {
    this.#requireBudget()
    this.#left--
  }

  #requireBudget(): void {
    if (this.#left === 0) throw limitError(`more than ${this.#max} signature checks`)
  }
}

function acceptedScheme(signed: SignedPart, place: Link): SignatureScheme {
  const { scheme } = signed
  if (scheme === undefined) {
    throw badScheme(place, `its signature algorithm ${signed.signatureOid} is not accepted`)
  }
  if (scheme.kind !== 'ed25519' && !acceptedHashes.has(scheme.hash)) {
    throw badScheme(place, `it is signed over ${scheme.hash.toUpperCase()}`)
  }
  return scheme
}

function badScheme(place: Link, reason: string): ChainError {
  return linkError(
    'ERR_CHAIN_ALGORITHM',
    place,
    'signatureAlgorithm',
    reason,
    'Sign it with ECDSA, Ed25519 or RSA over SHA-256 or a longer hash.',
  )
}
