/**
 * Requests of ours and what answers them (RFC 7252 §5.3): a token that nobody can guess, sent again
 * until it is acknowledged, matched by token and peer. To one peer NSTART at a time go out (§4.7).
 */
import { hex } from '../codec/index.ts'
import { type Confirmable, sendConfirmable } from './confirmable.ts'
import {
  busy,
  closed,
  type OutgoingRequest,
  type RequestOptions,
  rejected,
  timeout,
} from './endpointParts.ts'
import { type Ground, keyAt } from './ground.ts'
import { type CoapMessage, encodeMessage } from './message.ts'

/** What became of a response: whose it was, or that it was nobody's. */
export type Reception = 'accepted' | 'refused' | 'unexpected'

interface Pending {
  readonly request: OutgoingRequest
  readonly to: string
  readonly options: RequestOptions
  readonly resolve: (response: CoapMessage) => void
  readonly reject: (reason: unknown) => void
  readonly abort: () => void
  underWay: UnderWay | undefined
}

interface UnderWay {
  readonly token: string
  readonly messageId: number
  /** Neither acknowledged nor answered: it counts towards NSTART. */
  isOutstanding: boolean
  wasReset: boolean
  /** What ends it when nothing comes. */
  wait: Confirmable
}

interface Line {
  outstanding: number
  readonly waiting: Pending[]
  /** Also those that are acknowledged. */
  all: number
}

/** Of tokens, until one is free: with 4 bytes the first nearly always is. */
const drawsMax = 16

export class ClientSide {
  readonly #ground: Ground
  readonly #lines: Map<string, Line> = new Map()
  readonly #byToken: Map<string, Pending> = new Map()
  readonly #byMessageId: Map<string, Pending> = new Map()
  readonly #all: Set<Pending> = new Set()

  constructor(ground: Ground) {
    this.#ground = ground
  }

  get size(): number {
    return this.#all.size
  }

  request(request: OutgoingRequest, to: string, options: RequestOptions): Promise<CoapMessage> {
    return new Promise((resolve, reject) => {
      const { signal } = options
      if (signal?.aborted === true) return reject(signal.reason)
      const line = this.#lines.get(to) ?? { outstanding: 0, waiting: [], all: 0 }
      const { requestsMax, requestsPerPeerMax } = this.#ground.limits
      if (this.#all.size >= requestsMax) return reject(busy('too many requests to all', to))
      if (line.all >= requestsPerPeerMax) return reject(busy('too many requests to it', to))
      const abort = (): void => this.#fail(pending, signal?.reason)
      const pending: Pending = {
        request,
        to,
        options,
        resolve,
        reject,
        abort,
        underWay: undefined,
      }
      signal?.addEventListener('abort', abort)
      this.#lines.set(to, line)
      this.#all.add(pending)
      line.all++
      line.waiting.push(pending)
      this.#goOn(to)
    })
  }

  /** RFC 7252 §5.3.2. */
  receive(response: CoapMessage, from: string): Reception {
    const pending = this.#byToken.get(keyAt(from, hex(response.token)))
    if (pending?.underWay === undefined) return 'unexpected'
    const { request, options, underWay } = pending
    const isPiggybacked = response.type === 'ACK'
    if (isPiggybacked && (isNon(request) || response.messageId !== underWay.messageId)) {
      return 'unexpected'
    }
    if (options.accept?.(response) === false) return 'refused'
    // Whoever judged it may have given up in the meantime.
    if (!this.#all.has(pending)) return 'refused'
    this.#end(pending)
    pending.resolve(response)
    this.#goOn(from)
    return 'accepted'
  }

  /**
   * The response comes later: nothing is sent again. Unless the caller judges responses: anyone on
   * the path can acknowledge too, and the answer may have been lost.
   */
  acknowledged(messageId: number, from: string): void {
    const pending = this.#byMessageId.get(keyAt(from, messageId))
    if (pending?.underWay === undefined || isNon(pending.request)) return
    const { underWay } = pending
    if (!underWay.isOutstanding) return
    if (pending.options.accept === undefined) {
      underWay.wait.stop()
      underWay.wait = this.#patience(pending, this.#ground.lifetimes.exchangeMs)
    }
    this.#release(pending, underWay)
    this.#goOn(from)
  }

  /** Whoever judges responses does not believe a Reset, which anyone on the path can send. */
  reset(messageId: number, from: string): void {
    const pending = this.#byMessageId.get(keyAt(from, messageId))
    if (pending?.underWay === undefined) return
    pending.underWay.wasReset = true
    if (pending.options.accept === undefined) this.#fail(pending, rejected(from))
  }

  close(): void {
    for (const line of this.#lines.values()) line.waiting.length = 0
    for (const pending of this.#all) this.#fail(pending, closed())
  }

  #goOn(to: string): void {
    for (;;) {
      const line = this.#lines.get(to)
      if (line === undefined || line.outstanding >= this.#ground.transmission.nstart) return
      const next = line.waiting.shift()
      if (next === undefined) return
      try {
        this.#begin(next, line)
      } catch (error) {
        this.#end(next)
        next.reject(error)
      }
    }
  }

  #begin(pending: Pending, line: Line): void {
    const { request, to, options } = pending
    const token = this.#freeToken(to)
    const messageId = this.#ground.messageIds.next(to)
    if (messageId === undefined) throw busy('no Message ID is free', to)
    const { type = 'CON', ...body } = request
    const datagram = encodeMessage({ ...body, type, messageId, token })
    const underWay: UnderWay = {
      token: hex(token),
      messageId,
      isOutstanding: true,
      wasReset: false,
      wait: { stop: () => undefined },
    }
    pending.underWay = underWay
    line.outstanding++
    this.#byToken.set(keyAt(to, underWay.token), pending)
    this.#byMessageId.set(keyAt(to, messageId), pending)
    if (type === 'NON') {
      underWay.wait = this.#patience(pending, this.#ground.lifetimes.transmitWaitMs)
      return this.#ground.send(datagram, to)
    }
    const { ackTimeoutMs } = options
    const givenUp = (): void => this.#unanswered(pending, underWay)
    const sending = sendConfirmable(this.#ground, datagram, to, givenUp, ackTimeoutMs)
    // Within one process the answer may be here before `send` returns.
    if (underWay.isOutstanding) underWay.wait = sending
    else sending.stop()
  }

  /** Of those that are under way to a peer no two have the same. */
  #freeToken(to: string): Uint8Array {
    for (let draws = 0; draws < drawsMax; draws++) {
      const token = this.#ground.random.bytes(this.#ground.limits.tokenBytes)
      if (!this.#byToken.has(keyAt(to, hex(token)))) return token
    }
    throw busy('no token is free', to)
  }

  /** It went out as often as it may. An acknowledged one is waited for to EXCHANGE_LIFETIME. */
  #unanswered(pending: Pending, underWay: UnderWay): void {
    if (underWay.isOutstanding) return this.#expire(pending)
    const { exchangeMs, transmitWaitMs } = this.#ground.lifetimes
    underWay.wait = this.#patience(pending, Math.max(0, exchangeMs - transmitWaitMs))
  }

  #patience(pending: Pending, milliseconds: number): Confirmable {
    const timer = this.#ground.timers.after(milliseconds, () => this.#expire(pending))
    return { stop: () => timer.cancel() }
  }

  #expire(pending: Pending): void {
    this.#fail(pending, timeout(pending.to, pending.underWay?.wasReset === true))
  }

  #fail(pending: Pending, reason: unknown): void {
    if (!this.#end(pending)) return
    pending.reject(reason)
    this.#goOn(pending.to)
  }

  /** False: it was over before. */
  #end(pending: Pending): boolean {
    if (!this.#all.delete(pending)) return false
    const { to, underWay, options, abort } = pending
    options.signal?.removeEventListener('abort', abort)
    if (underWay !== undefined) {
      underWay.wait.stop()
      this.#release(pending, underWay)
      this.#byToken.delete(keyAt(to, underWay.token))
      this.#byMessageId.delete(keyAt(to, underWay.messageId))
    }
    this.#leave(pending)
    return true
  }

  #release({ to }: Pending, underWay: UnderWay): void {
    const line = this.#lines.get(to)
    if (line !== undefined && underWay.isOutstanding) line.outstanding--
    underWay.isOutstanding = false
  }

  #leave(pending: Pending): void {
    const line = this.#lines.get(pending.to)
    if (line === undefined) return
    const at = line.waiting.indexOf(pending)
    if (at >= 0) line.waiting.splice(at, 1)
    line.all--
    if (line.all === 0) this.#lines.delete(pending.to)
  }
}

function isNon({ type }: OutgoingRequest): boolean {
  return type === 'NON'
}
