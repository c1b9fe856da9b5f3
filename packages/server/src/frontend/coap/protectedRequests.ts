/**
 * Requests under OSCORE (RFC 8613 §8.2): the context is found by its kid alone, the request
 * verified, its device judged, what it asks for done, the answer protected. Who cannot be verified
 * is told no more than the RFC says.
 */
import { type CoapMessage, coapCode } from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import {
  type EchoIssuer,
  oscoreErrorAnswer,
  type OscoreErrorCode,
  oscoreOptionOf,
  type ReceivedRequest,
  verifyRequest,
} from '@countersign/core/oscore'
import type { Clock } from '@countersign/core/ports'
import { type Rate, TokenBuckets } from '../../rates.ts'
import type { Refusals } from '../refusals.ts'
import type { RefusalReason } from '../session.ts'
import { type Answer, answer, later } from './answers.ts'
import type { Contexts } from './contexts.ts'
import type { CoapLimits } from './limits.ts'
import type { LiveContext } from './liveContext.ts'
import type { Requests } from './requests.ts'
import { hostOf } from './udpAddress.ts'

export interface ProtectedRequestsParts {
  readonly contexts: Contexts
  readonly requests: Requests
  readonly refusals: Refusals
  readonly clock: Clock
  readonly limits: Pick<CoapLimits, 'requestsPerDevice' | 'ratesRememberedMax'>
  /** Of this life of the process. */
  readonly echo: EchoIssuer
  /** A device has spoken, and was answered. */
  readonly spoke: (context: LiveContext) => void
}

export type Served =
  /**
   * Under OSCORE, or a step of a handshake. To an address that nobody has proven nothing is sent
   * again and again.
   */
  | { readonly kind: 'answer'; readonly answer: Answer; readonly to: 'proven' | 'unproven' }
  /** To whoever it was: it goes out as far as a stranger's budget allows. */
  | { readonly kind: 'stranger'; readonly answer: Answer }
  /**
   * As if it had been lost. `isTold`: by a line of its own; what strangers send is only counted.
   */
  | { readonly kind: 'dropped'; readonly isTold: boolean }

const retrySeconds = 2
const ended: Answer = answer(coapCode.unauthorized, 'ERR_CONTEXT_ENDED')
/** Each ten minutes that a device asks too often are told of once. */
const toldRate = { perSecond: 1 / 600, burst: 1 }
/** What is no refusal of OSCORE, and how it is said. */
const onTheWire: ReadonlyMap<string, OscoreErrorCode> = new Map([
  // Its row is gone: a newer context has taken its place while this one was to be written down.
  ['ERR_CONTEXT_ENDED', 'ERR_OSCORE_CONTEXT'],
  ['ERR_CONFLICT', 'ERR_OSCORE_CONTEXT'],
  // Its keys are used up: nothing can be protected with them any more.
  ['ERR_OSCORE_EXHAUSTED', 'ERR_OSCORE_LIMIT'],
])
/** C_R as this door draws it. */
const idBytes: ReadonlySet<number> = new Set([3, 4])

export class ProtectedRequests {
  readonly #parts: ProtectedRequestsParts
  /** Of each device, whatever it asks for and whether it may come in. */
  readonly #rates: TokenBuckets
  /** Of those that ask more. */
  readonly #told: TokenBuckets

  constructor(parts: ProtectedRequestsParts) {
    this.#parts = parts
    this.#rates = new TokenBuckets(parts.clock, parts.limits.ratesRememberedMax)
    this.#told = new TokenBuckets(parts.clock, parts.limits.ratesRememberedMax)
  }

  get blockBytes(): number {
    return this.#parts.requests.blockBytes
  }

  /** Rejects for faults of ours alone. */
  async serve(request: CoapMessage, from: string): Promise<Served> {
    const { contexts } = this.#parts
    try {
      const { kid } = oscoreOptionOf(request)
      const isOurs = kid !== undefined && idBytes.has(kid.length)
      const context = isOurs ? await contexts.hold(hex(kid)) : undefined
      if (context === 'busy') return { kind: 'dropped', isTold: false }
      if (context === undefined) return refused('ERR_OSCORE_CONTEXT')
      try {
        return await this.#serveIn(context, request, from)
      } finally {
        contexts.release(context)
      }
    } catch (error) {
      const instead = isCountersignError(error) ? onTheWire.get(error.code) : undefined
      if (instead !== undefined) return refused(instead)
      if (error instanceof PeerError) return refused(error.code)
      throw error
    }
  }

  async #serveIn(context: LiveContext, request: CoapMessage, from: string): Promise<Served> {
    const { contexts, echo, spoke } = this.#parts
    const { security } = context
    let verified = verifyRequest(security, request, echo)
    // It is not accepted: the same one may come again. Before it was verified it was not this
    // device's.
    if (this.#rates.take(context.device, this.#rateOf(context)) > 0) {
      this.#tooOften(context, from)
      return { kind: 'dropped', isTold: true }
    }
    // Nothing is written down for a frame that nobody has verified. Of those that wait each looks
    // again.
    while (!verified.isFresh && !hasNumber(context)) {
      await contexts.reserve(context)
      verified = verifyRequest(security, request, echo)
    }
    const received = verified.isFresh ? verified.accept() : verified.challenge()
    // The request may be an old one, from wherever somebody likes.
    if (received.kind === 'challenge') {
      return { kind: 'answer', answer: received.answer, to: 'unproven' }
    }
    context.heard(received.exchange.partialIv, from)
    const inner = await this.#made(context, await this.#answer(context, received, from))
    // Replaced, or turned out before it had a row: no number is left to answer with.
    if (context.state === 'gone' && !isStored(context, received)) {
      return refused('ERR_OSCORE_CONTEXT')
    }
    while (!isStored(context, received) && !hasNumber(context)) await contexts.reserve(context)
    const outer = received.exchange.protectResponse({ ...received.request, ...inner })
    if (context.state === 'live') spoke(context)
    return { kind: 'answer', answer: outer, to: 'proven' }
  }

  #rateOf({ verdict }: LiveContext): Rate {
    const { perSecond, burst } = this.#parts.limits.requestsPerDevice
    const standing = verdict?.standing
    const messages = standing?.kind === 'admitted' ? standing.admitted.messagesPerMinute : 0
    return { perSecond: perSecond + (2 * messages) / 60, burst: burst + 2 * messages }
  }

  async #answer(context: LiveContext, received: ReceivedRequest, from: string): Promise<Answer> {
    const wasOut = context.state === 'tombstone'
    const standing = await this.#parts.contexts.standings.now(context)
    switch (standing.kind) {
      case 'refused':
        // Turning it out has told the operator already.
        if (wasOut) this.#tell(context, standing.refusal, from)
        return turnedOut(standing.refusal.code)
      case 'unavailable':
        return later(coapCode.serviceUnavailable, retrySeconds)
      case 'admitted':
        // A tombstone of a device that is in again: it makes a new context.
        if (context.state === 'tombstone') return ended
        return await this.#parts.requests.answer(context, standing.admitted, received.request)
    }
  }

  /** Whatever the first answer of a context says, its row is made with it. */
  async #made(context: LiveContext, inner: Answer): Promise<Answer> {
    if (context.state !== 'fresh') return inner
    try {
      await this.#parts.contexts.reserve(context)
      return inner
    } catch (error) {
      if (isCountersignError(error) && error.code === 'ERR_CONTEXT_ENDED') return ended
      throw error
    }
  }

  #tooOften(context: LiveContext, from: string): void {
    if (this.#told.take(context.device, toldRate) > 0) return
    const message = 'the device asks more often than is answered'
    this.#tell(context, { code: 'ERR_REQUEST_RATE', message, where: 'request' }, from)
  }

  #tell({ fingerprint, device }: LiveContext, reason: RefusalReason, from: string): void {
    this.#parts.refusals.tell({ address: hostOf(from), fingerprint, device }, reason)
  }
}

function isStored({ security }: LiveContext, { exchange }: ReceivedRequest): boolean {
  return security.recipient.window.isStored(exchange.partialIv)
}

function hasNumber({ security }: LiveContext): boolean {
  const { next, reserved } = security.sender.sequence
  return next < reserved
}

/** RFC 8613 §8.2. What has none of these codes is no message that OSCORE made. */
function refused(code: string): Served {
  const known = errorCodes.find((one) => one === code) ?? 'ERR_OSCORE_MESSAGE'
  const { code: wire, diagnostic } = oscoreErrorAnswer(known)
  return { kind: 'stranger', answer: answer(wire, diagnostic) }
}

const errorCodes: readonly OscoreErrorCode[] = [
  'ERR_OSCORE_OPTION',
  'ERR_OSCORE_CONTEXT',
  'ERR_OSCORE_REPLAY',
  'ERR_OSCORE_UNVERIFIED',
  'ERR_OSCORE_MESSAGE',
  'ERR_OSCORE_FRESHNESS',
  'ERR_OSCORE_LIMIT',
]

/** 4.01 where it is the keys that are refused, and a new handshake can help. */
function turnedOut(code: string): Answer {
  const isOfKeys = code === 'ERR_SUITE_NOT_ALLOWED'
  return answer(isOfKeys ? coapCode.unauthorized : coapCode.forbidden, code)
}
