/**
 * Partial IVs: Sender Sequence Numbers as they travel (RFC 8613 §5), and where the numbers of a
 * sender come from. They run to 2^40 - 1 (§7.2.1), which a number holds exactly.
 */
import { bigEndian, fromBigEndian } from '../codec/index.ts'
import { oscoreError, useError } from './errors.ts'

export const sequenceNumberMax: number = 2 ** 40 - 1
export const partialIvBytesMax = 5
/** New keys are wanted from here on: a quarter of the numbers is left for making them. */
const lowFrom = (sequenceNumberMax + 1) * (3 / 4)

/** As few bytes as there can be; the number 0 is one byte 00. */
export function encodePartialIv(number: number): Uint8Array {
  let length = 1
  for (let bound = 256; number >= bound; bound *= 256) length++
  return bigEndian(number, length)
}

/** Throws PeerError ERR_OSCORE_OPTION, also for leading zeros: a number has one Partial IV. */
export function readPartialIv(bytes: Uint8Array): number {
  if (bytes.length === 0 || bytes.length > partialIvBytesMax) {
    throw oscoreError('ERR_OSCORE_OPTION', `a Partial IV of ${bytes.length} bytes`)
  }
  if (bytes.length > 1 && bytes[0] === 0) {
    throw oscoreError('ERR_OSCORE_OPTION', 'a Partial IV with leading zeros')
  }
  return fromBigEndian(bytes)
}

/**
 * Gives each number once. Across restarts it does so with a bound that its caller has written down
 * before numbers below it are taken (RFC 8613 Appendix B.1.1): the next life begins at the bound.
 */
export class SenderSequence {
  #next: number
  #reserved: number

  /** Without a bound nothing outlives the process. */
  constructor(next = 0, reserved: number = sequenceNumberMax + 1) {
    if (!isNumberOrEnd(next)) {
      throw useError('ERR_OSCORE_PARAMETER', `${next} is no Sender Sequence Number`)
    }
    if (!isNumberOrEnd(reserved) || reserved < next) {
      throw useError('ERR_OSCORE_PARAMETER', `${reserved} is no bound for numbers from ${next} on`)
    }
    this.#next = next
    this.#reserved = reserved
  }

  /** The number that `take` gives next. */
  get next(): number {
    return this.#next
  }

  /** The first number that may not be taken. */
  get reserved(): number {
    return this.#reserved
  }

  /** The numbers are running out: new keys are wanted. */
  get isLow(): boolean {
    return this.#next >= lowFrom
  }

  /** The bound to write down, and to give to `reserve` then, for so many more numbers. */
  boundAfter(count: number): number {
    return Math.min(this.#reserved + count, sequenceNumberMax + 1)
  }

  /** The caller has written `upTo` down where a crash does not reach it. */
  reserve(upTo: number): void {
    if (!isNumberOrEnd(upTo) || upTo < this.#reserved) {
      throw useError('ERR_OSCORE_PARAMETER', `${upTo} is no bound behind ${this.#reserved}`)
    }
    this.#reserved = upTo
  }

  /**
   * Throws CallerError: ERR_OSCORE_EXHAUSTED when a nonce would come twice (RFC 8613 §7.2.1),
   * ERR_OSCORE_UNRESERVED when it would after a restart.
   */
  take(): number {
    if (this.#next > sequenceNumberMax) {
      throw useError(
        'ERR_OSCORE_EXHAUSTED',
        'the Sender Sequence Numbers of this context are used up',
      )
    }
    if (this.#next >= this.#reserved) {
      throw useError(
        'ERR_OSCORE_UNRESERVED',
        `no Sender Sequence Number is reserved from ${this.#next} on`,
      )
    }
    return this.#next++
  }
}

function isNumberOrEnd(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= sequenceNumberMax + 1
}
