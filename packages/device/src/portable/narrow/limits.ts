/**
 * What the narrow channel allows itself and others. Each can be changed where a link asks for it.
 */
import type { Milliseconds } from '@countersign/core/ports'

export interface NarrowLimits {
  /** Sender Sequence Numbers that are written down at once: messages between two writes. */
  readonly reserve: number
  /** From one handshake to the next: doubled with each that fails. */
  readonly backoffFirstMs: Milliseconds
  readonly backoffMaxMs: Milliseconds
  /** A handshake costs some 300 bytes of air and a signature of the element. */
  readonly handshakesPerDayMax: number
  /** What is not authenticated is believed after this time, when nothing better came. */
  readonly hintGraceMs: Milliseconds
  /** Requests in a row without an answer before a new handshake is tried. */
  readonly unansweredMax: number
  /** Credentials of the server that are kept: the present and the next one, for two methods. */
  readonly credentialsMax: number
  /** A payload beyond it goes in blocks (RFC 7959). */
  readonly blockBytes: number
  /** A context is replaced at the latest after this: what a stolen key of it opens ends there. */
  readonly rekeyAfterMs: Milliseconds
  /** Authenticated time is asked for again after this. */
  readonly timeAskedAgainMs: Milliseconds
}

export const narrowLimits: NarrowLimits = {
  reserve: 64,
  backoffFirstMs: 10_000,
  backoffMaxMs: 3_600_000,
  handshakesPerDayMax: 48,
  hintGraceMs: 3_000,
  unansweredMax: 2,
  credentialsMax: 4,
  blockBytes: 1024,
  rekeyAfterMs: 7 * 86_400_000,
  timeAskedAgainMs: 86_400_000,
}

/** Of the whole record: five certificates at most, and a context. */
export const recordBytesMax = 16_384
/** Of the server's kid; the profile has one byte. */
export const kidBytesMax = 8
/** Of one certificate of the server. */
export const certificateBytesMax = 2_560
/** Attempts inside one handshake: other suites, an Echo, each side's certificate by value. */
export const roundsMax = 5
/** A server that lost its replay window asks for Echo once; one that restarts meanwhile, again. */
export const echoesMax = 2
export const dayMs: Milliseconds = 86_400_000
/** Bodies of the server in blocks: a command of 16 KiB and what stands around it, one at a time. */
export const inboundLimits = {
  bodyBytesMax: 20_480,
  bodiesMax: 2,
  allBytesMax: 65_536,
} as const
/** Of the endpoint: a device has one peer, and little memory. */
export const endpointLimits = {
  exchangesMax: 16,
  exchangeBytesMax: 32_768,
  servingMax: 4,
  requestsMax: 8,
  requestsPerPeerMax: 8,
  messageIdCounters: 1,
} as const
