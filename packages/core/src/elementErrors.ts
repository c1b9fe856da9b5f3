/**
 * How an element fails: a closed set of codes, each of which says whose fault it is and whether the
 * same call may succeed when it is made again.
 */
import {
  AdapterError,
  CallerError,
  type ErrorDetails,
  type ErrorOptions,
  PeerError,
} from './errors.ts'

export type ElementErrorCode =
  /** Someone else uses the element now. */
  | 'ERR_ELEMENT_BUSY'
  /** No acknowledge, no answer in time, no such bus. */
  | 'ERR_ELEMENT_BUS'
  /** Bytes were damaged on the way, more often than a driver repeats. */
  | 'ERR_ELEMENT_CRC'
  /** The element did not understand the command, or its answer has no shape that we know. */
  | 'ERR_ELEMENT_PARSE'
  /** The rules of the slot forbid it. */
  | 'ERR_ELEMENT_POLICY'
  /** It is locked, for ever. */
  | 'ERR_ELEMENT_LOCKED'
  /** It must be locked first. */
  | 'ERR_ELEMENT_NOT_LOCKED'
  /** A signature or MAC that was given does not verify. */
  | 'ERR_ELEMENT_VERIFY_FAILED'
  /** A point that is not on the curve, or a computation that failed inside. */
  | 'ERR_ELEMENT_ECC'
  | 'ERR_ELEMENT_SELFTEST'
  | 'ERR_ELEMENT_RNG_HEALTH'
  /** A counter is at its end, or the uses of a key that are counted. */
  | 'ERR_ELEMENT_COUNTER_LIMIT'
  /** Its watchdog ended a sequence, or it slept: the volatile state is gone. */
  | 'ERR_ELEMENT_WATCHDOG'
  /** It was there and is not any more. */
  | 'ERR_ELEMENT_GONE'
  /** Another element answers where one was: its serial changed under way. */
  | 'ERR_ELEMENT_SWAPPED'
  /** It is locked with a configuration that does not serve. */
  | 'ERR_ELEMENT_CONFIG'
  | 'ERR_ELEMENT_UNSUPPORTED'
  /** A lock without its words, or of something else than the caller believes. */
  | 'ERR_ELEMENT_CONFIRMATION'
  /** A PIN that is wrong, missing or blocked. Never tried again by itself. */
  | 'ERR_ELEMENT_PIN'
  /** A library that is optional is not installed. */
  | 'ERR_ELEMENT_MODULE'
  | 'ERR_ELEMENT_URL'
  | 'ERR_ELEMENT_SLOT'
  | 'ERR_ELEMENT_SLOT_EMPTY'
  | 'ERR_ELEMENT_DIGEST'
  /** Any other argument that has no sense. */
  | 'ERR_ELEMENT_ARGUMENT'
  /** A file of a twin or an emulator is not readable as one. */
  | 'ERR_ELEMENT_DAMAGED'
  | 'ERR_ELEMENT_MODE'

type Fault = 'adapter' | 'caller' | 'peer'

const faults: Readonly<Record<ElementErrorCode, readonly [Fault, retryable: boolean]>> = {
  ERR_ELEMENT_BUSY: ['adapter', true],
  ERR_ELEMENT_BUS: ['adapter', true],
  ERR_ELEMENT_CRC: ['adapter', true],
  ERR_ELEMENT_PARSE: ['adapter', false],
  ERR_ELEMENT_POLICY: ['caller', false],
  ERR_ELEMENT_LOCKED: ['caller', false],
  ERR_ELEMENT_NOT_LOCKED: ['caller', false],
  ERR_ELEMENT_VERIFY_FAILED: ['peer', false],
  ERR_ELEMENT_ECC: ['peer', false],
  ERR_ELEMENT_SELFTEST: ['adapter', false],
  ERR_ELEMENT_RNG_HEALTH: ['adapter', true],
  ERR_ELEMENT_COUNTER_LIMIT: ['caller', false],
  ERR_ELEMENT_WATCHDOG: ['adapter', true],
  ERR_ELEMENT_GONE: ['adapter', true],
  ERR_ELEMENT_SWAPPED: ['adapter', false],
  ERR_ELEMENT_CONFIG: ['caller', false],
  ERR_ELEMENT_UNSUPPORTED: ['caller', false],
  ERR_ELEMENT_CONFIRMATION: ['caller', false],
  ERR_ELEMENT_PIN: ['caller', false],
  ERR_ELEMENT_MODULE: ['caller', false],
  ERR_ELEMENT_URL: ['caller', false],
  ERR_ELEMENT_SLOT: ['caller', false],
  ERR_ELEMENT_SLOT_EMPTY: ['caller', false],
  ERR_ELEMENT_DIGEST: ['caller', false],
  ERR_ELEMENT_ARGUMENT: ['caller', false],
  ERR_ELEMENT_DAMAGED: ['adapter', false],
  ERR_ELEMENT_MODE: ['caller', false],
}

export type ElementError =
  | AdapterError<ElementErrorCode>
  | CallerError<ElementErrorCode>
  | PeerError<ElementErrorCode>

const kinds = { adapter: AdapterError, caller: CallerError, peer: PeerError }

/** The one way in which an element fails. */
export function elementError(
  code: ElementErrorCode,
  message: string,
  details: ErrorDetails = {},
  options: ErrorOptions = {},
): ElementError {
  return new kinds[faults[code][0]]<ElementErrorCode>(code, message, details, options)
}

/**
 * The same call may succeed when it is made again, without anyone changing anything. It says nothing
 * of what the failed call has done: where its details have `mayBeDone`, it may have counted, made or
 * locked what it should, and the state is read first.
 */
export function isRetryable(code: ElementErrorCode): boolean {
  return faults[code][1]
}

export function isElementError(error: unknown): error is ElementError {
  return error instanceof Error && 'code' in error && Object.hasOwn(faults, String(error.code))
}
