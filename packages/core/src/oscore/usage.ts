/**
 * How much the keys of a context have been used, and how much they may be: the number of messages
 * that the sender key has sealed (q), of messages that did not verify under the recipient key (v),
 * and how long one of them is (l), after draft-irtf-cfrg-aead-limits and
 * draft-ietf-core-oscore-key-limits-06 §2.1.1.
 *
 * That draft has q = v = 2^20 and l = 2^10 blocks, and for AES-CCM with a tag of 8 bytes
 * (2^20, 2^14, 2^8). Its v there is where new keys are wanted here, not where the context ends: the
 * kid of a context travels in the clear, and for whoever has seen it 2^14 datagrams are seconds of
 * work. At v = 2^20 a forgery has come through with a probability of at most 2^-44 over the life of
 * the keys (v/2^64 outweighs the rest of the formula).
 */
import type { AeadAlgorithm } from '../cose/index.ts'
import { oscoreError, useError } from './errors.ts'

export interface UsageSnapshot {
  /** Messages that were protected. */
  readonly sealed: number
  /** Messages that did not verify. */
  readonly failed: number
}

export interface UsageLimits {
  /** q. */
  readonly sealedMax: number
  /** v. */
  readonly failedMax: number
  /** Failures from which on new keys are wanted. */
  readonly failedWanted: number
  /** l: bytes of one ciphertext with its tag. */
  readonly ciphertextBytesMax: number
}

const messagesMax = 2 ** 20
/** Of what the limits leave, new keys are wanted when a quarter is left. */
const wantedShare = 3 / 4

const longTag: UsageLimits = {
  sealedMax: messagesMax,
  failedMax: messagesMax,
  failedWanted: messagesMax * wantedShare,
  ciphertextBytesMax: 2 ** 10 * 16,
}
const shortTag: UsageLimits = {
  ...longTag,
  failedWanted: 2 ** 14,
  ciphertextBytesMax: 2 ** 8 * 16,
}
const shortTagLength = 8

export function usageLimits({ tagLength }: Pick<AeadAlgorithm, 'tagLength'>): UsageLimits {
  return tagLength > shortTagLength ? longTag : shortTag
}

/**
 * Counts. They are written down coarsely, with every reservation of sequence numbers (see stateOf):
 * a crash forgets what did not verify since, and responses under the nonces of their requests,
 * which is little beside the limits.
 */
export class KeyUsage {
  readonly limits: UsageLimits
  #sealed: number
  #failed: number

  constructor(limits: UsageLimits, { sealed, failed }: UsageSnapshot = { sealed: 0, failed: 0 }) {
    if (![sealed, failed].every((count) => Number.isSafeInteger(count) && count >= 0)) {
      throw useError('ERR_OSCORE_PARAMETER', 'a count of messages is none')
    }
    this.limits = limits
    this.#sealed = sealed
    this.#failed = failed
  }

  get sealed(): number {
    return this.#sealed
  }

  get failed(): number {
    return this.#failed
  }

  snapshot(): UsageSnapshot {
    return { sealed: this.#sealed, failed: this.#failed }
  }

  /** The context works and should be replaced. */
  get wantsRekey(): boolean {
    const { sealedMax, failedWanted } = this.limits
    return this.#sealed >= sealedMax * wantedShare || this.#failed >= failedWanted
  }

  /**
   * Before a message is sealed. Throws CallerError ERR_OSCORE_EXHAUSTED, ERR_OSCORE_UNPROTECTABLE.
   */
  requireSealable(ciphertextBytes: number): void {
    const { ciphertextBytesMax } = this.limits
    if (this.#isSpent) {
      throw useError('ERR_OSCORE_EXHAUSTED', 'the keys of this context are used up')
    }
    if (ciphertextBytes > ciphertextBytesMax) {
      throw useError(
        'ERR_OSCORE_UNPROTECTABLE',
        `${ciphertextBytes} bytes of ciphertext, ${ciphertextBytesMax} at most`,
        'Send it in blocks (RFC 7959).',
      )
    }
  }

  /** Before a message is opened. Throws PeerError ERR_OSCORE_LIMIT, ERR_OSCORE_MESSAGE. */
  requireOpenable(ciphertextBytes: number): void {
    if (this.#isSpent) {
      throw oscoreError('ERR_OSCORE_LIMIT', 'the keys of this context are used up')
    }
    if (ciphertextBytes > this.limits.ciphertextBytesMax) {
      throw oscoreError('ERR_OSCORE_MESSAGE', `${ciphertextBytes} bytes of ciphertext`)
    }
  }

  countSealed(): void {
    this.#sealed++
  }

  countFailed(): void {
    this.#failed++
  }

  /** One limit ends both directions: a peer that cannot be answered is not to be listened to. */
  get #isSpent(): boolean {
    return this.#sealed >= this.limits.sealedMax || this.#failed >= this.limits.failedMax
  }
}
