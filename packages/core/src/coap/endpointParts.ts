/** What an endpoint is made of, what it is asked and what it answers: its types, limits, errors. */
import { AdapterError, PeerError } from '../errors.ts'
import type { Clock, Random, Timers } from '../ports.ts'
import type { CoapMessage } from './message.ts'
import type { CoapOption } from './options.ts'
import type { Transmission } from './transmission.ts'

export interface OutgoingRequest {
  readonly code: number
  readonly options: readonly CoapOption[]
  readonly payload: Uint8Array
  /** CON where nothing is said. */
  readonly type?: 'CON' | 'NON'
}

export interface OutgoingResponse {
  readonly code: number
  readonly options: readonly CoapOption[]
  readonly payload: Uint8Array
}

export interface RespondOptions {
  /**
   * A response that has to be a message of its own is sent once and not until it is acknowledged (RFC
   * 7252 §5.2.3): for whoever has not shown that it is at this address (§11.3).
   */
  readonly once?: boolean
}

/** Throws CallerError for what cannot be sent, and when it is called again. */
export type Respond = (response: OutgoingResponse | undefined, options?: RespondOptions) => void

export interface EndpointParts {
  readonly clock: Clock
  readonly random: Random
  readonly timers: Timers
  /** Hands a datagram to the link; never throws. `to` is the link's name of a peer. */
  readonly send: (datagram: Uint8Array, to: string) => void
  /**
   * A request that was not seen before; never throws. Whoever answers calls `respond` once, now or
   * later. `undefined`: nothing is answered, and the same message again is a new one.
   */
  readonly serve: (request: CoapMessage, from: string, respond: Respond) => void
  readonly limits?: Partial<EndpointLimits>
  readonly transmission?: Partial<Transmission>
}

export interface RequestOptions {
  readonly signal?: Cancellation
  /**
   * Whether this is the answer; never throws. One that is not is dropped and waiting goes on: under
   * OSCORE whoever is on the path can forge a response, and a Reset. By default every response is.
   */
  readonly accept?: (response: CoapMessage) => boolean
  /** In the place of ACK_TIMEOUT, when the caller knows better how long the way is. */
  readonly ackTimeoutMs?: number
}

/** An AbortSignal, as far as it is needed: core knows no host's types. */
export interface Cancellation {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** All of it is memory that others could fill, or messages that they could cause. */
export interface EndpointLimits {
  /**
   * Requests that are remembered for deduplication: so many that were answered with success, and as
   * many others. The oldest goes first.
   */
  readonly exchangesMax: number
  /** Of their bytes and those of their answers, in each half too. */
  readonly exchangeBytesMax: number
  /** Requests being served. One more is dropped, as if it had been lost. */
  readonly servingMax: number
  /** How often one message is answered with the same bytes. */
  readonly repeatsMax: number
  /** Requests of ours, under way and waiting, to all peers. */
  readonly requestsMax: number
  readonly requestsPerPeerMax: number
  /** Resets in one window of time: to one peer, to all. */
  readonly resetsPerPeerMax: number
  readonly resetsMax: number
  readonly resetWindowMs: number
  /** Counters of Message IDs: each has 65536 per EXCHANGE_LIFETIME for the peers that share it. */
  readonly messageIdCounters: number
  readonly tokenBytes: number
}

export const endpointLimits: EndpointLimits = {
  exchangesMax: 16_384,
  exchangeBytesMax: 8 * 1024 * 1024,
  servingMax: 4096,
  /** Twice what a sender with the parameters of RFC 7252 §4.8 sends: a link may double each. */
  repeatsMax: 10,
  requestsMax: 16_384,
  requestsPerPeerMax: 64,
  resetsPerPeerMax: 4,
  resetsMax: 256,
  resetWindowMs: 2000,
  messageIdCounters: 1024,
  /** RFC 7252 §5.3.1: at least 32 bits of randomness on the Internet. */
  tokenBytes: 4,
}

export type EndpointErrorCode =
  /** Nobody answered in time. */
  | 'ERR_COAP_TIMEOUT'
  | 'ERR_COAP_CLOSED'
  /** As many requests as may be are under way already. */
  | 'ERR_COAP_BUSY'
  /** The peer has no idea what this is about (RFC 7252 §4.2). */
  | 'ERR_COAP_RESET'
  /** A request was answered a second time. */
  | 'ERR_COAP_ANSWERED'

export function timeout(to: string, wasReset: boolean): AdapterError<EndpointErrorCode> {
  return new AdapterError(
    'ERR_COAP_TIMEOUT',
    `${to} did not answer`,
    { to, wasReset },
    { hint: 'See that the peer runs and that UDP gets there and back.' },
  )
}

export function closed(): AdapterError<EndpointErrorCode> {
  return new AdapterError('ERR_COAP_CLOSED', 'the endpoint is closed')
}

export function busy(what: string, to: string): AdapterError<EndpointErrorCode> {
  const hint = 'Wait for what is under way, or let fewer go out at a time.'
  return new AdapterError('ERR_COAP_BUSY', `${to}: ${what}`, { to }, { hint })
}

export function rejected(to: string): PeerError<EndpointErrorCode> {
  return new PeerError(
    'ERR_COAP_RESET',
    `${to} answered with a Reset`,
    { to },
    { hint: 'The peer did not understand the message, or serves no requests.' },
  )
}
