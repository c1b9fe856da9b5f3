/**
 * Partial IVs: Sender Sequence Numbers as they travel (RFC 8613 §5), and where the numbers of a
 * sender come from. They run to 2^40 - 1 (§7.2.1), which a number holds exactly.
 */
import { oscoreError, useError } from './errors.ts'

export const sequenceNumberMax: number = 2 ** 40 - 1
export const partialIvBytesMax = 5

/** As few bytes as there can be, and 00 for the number 0. */
export function encodePartialIv(number: number): Uint8Array {
  const bytes = [number % 256]
  for (let rest = Math.floor(number / 256); rest > 0; rest = Math.floor(rest / 256)) {
    bytes.unshift(rest % 256)
  }
  return Uint8Array.from(bytes)
}

/** Zeros in front are refused: a number has one Partial IV. */
export function readPartialIv(bytes: Uint8Array): number {
  if (bytes.length === 0 || bytes.length > partialIvBytesMax) {
    throw oscoreError('ERR_OSCORE_OPTION', `a Partial IV of ${bytes.length} bytes`)
  }
  if (bytes.length > 1 && bytes[0] === 0) {
    throw oscoreError('ERR_OSCORE_OPTION', 'a Partial IV with zeros in front')
  }
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0)
}

/** Gives each number once. Persistence across restarts is the caller's. */
export class SenderSequence {
  #next: number

  constructor(next = 0) {
    if (!Number.isInteger(next) || next < 0 || next > sequenceNumberMax + 1) {
      throw useError('ERR_OSCORE_PARAMETER', `${next} is no Sender Sequence Number`)
    }
    this.#next = next
  }

  /** The number that `take` gives next. */
  get next(): number {
    return this.#next
  }

  /** Throws CallerError ERR_OSCORE_EXHAUSTED: a nonce would come twice (RFC 8613 §7.2.1). */
  take(): number {
    if (this.#next > sequenceNumberMax) {
      throw useError(
        'ERR_OSCORE_EXHAUSTED',
        'the Sender Sequence Numbers of this context are used up',
        'Make a new security context with new keys.',
      )
    }
    return this.#next++
  }
}
