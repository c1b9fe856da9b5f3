/**
 * The device's side of the narrow channel: CoAP under OSCORE (RFC 7252, RFC 8613) with keys of EDHOC
 * (RFC 9528) and the same certificates as TLS. The server is one peer; where it is, the link knows, and
 * the device's own address may change at any time. A context lives across sleep and power cuts; a new
 * handshake is made when there is none, when keys or the certificate are to be replaced, or when the
 * server seems to have lost it.
 *
 * @example
 * const session = await NarrowSession.open(parts)
 * socket.on('message', (datagram) => session.receive(datagram))
 * const { code } = await session.request({ code: coapCode.post, options, payload })
 */
import {
  type Cancellation,
  CoapEndpoint,
  type CoapMessage,
  optionNumber,
  sortedOptions,
} from '@countersign/core/coap'
import { equalBytes, utf8 } from '@countersign/core/codec'
import { AdapterError, CallerError, PeerError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import { HandshakeBudget } from './budget.ts'
import { Contexts, type LiveContext } from './contexts.ts'
import { closed } from './errors.ts'
import { Establisher } from './establish.ts'
import { exchangeUnder } from './exchange.ts'
import { x5tOf } from './handshake.ts'
import { Inbound } from './inbound.ts'
import { RecordKeeper } from './keeper.ts'
import { type NarrowLimits, narrowLimits } from './limits.ts'
import type { DeviceCredential, NarrowParts, NarrowRequest } from './parts.ts'
import { ServerCredentials } from './serverCredentials.ts'
import { NarrowTime, timeIn } from './time.ts'
import { server, Wire } from './wire.ts'

export interface RequestOptions {
  readonly signal?: Cancellation
}

/** A device has one peer, and little memory. */
const endpointLimits = {
  exchangesMax: 16,
  exchangeBytesMax: 32 * 1024,
  servingMax: 4,
  requestsMax: 8,
  requestsPerPeerMax: 8,
  messageIdCounters: 1,
} as const

export class NarrowSession {
  readonly #parts: NarrowParts
  readonly #limits: NarrowLimits
  #credential: DeviceCredential
  #awake: Awake | undefined

  /** Throws AdapterError ERR_NARROW_RECORD when what is stored is no record. */
  static async open(parts: NarrowParts): Promise<NarrowSession> {
    const session = new NarrowSession(parts)
    await session.wake()
    return session
  }

  private constructor(parts: NarrowParts) {
    this.#parts = parts
    this.#limits = { ...narrowLimits, ...parts.limits }
    this.#credential = parts.credential
  }

  /** A datagram from where the server is. Never throws for what came. */
  receive(datagram: Uint8Array): void {
    this.#awake?.endpoint.receive(datagram, server)
  }

  /**
   * The verified response, whatever its code. Throws AdapterError (no answer, no handshake allowed
   * yet, the storage) and PeerError (not the right server, or it refuses). Sent again under a new
   * context where the old one was lost: what must not happen twice has a number of its own.
   */
  async request(request: NarrowRequest, { signal }: RequestOptions = {}): Promise<CoapMessage> {
    if (this.#awake === undefined) throw closed()
    return await this.#awake.inTurn(request, signal)
  }

  /** The device has a new certificate: the next request makes a new handshake with it. */
  changeCredential(credential: DeviceCredential): void {
    this.#credential = credential
  }

  /** As the channel knows it, for whoever judges by time. */
  get time(): Clock {
    return { now: () => (this.#awake?.time ?? this.#parts.clock).now() }
  }

  /** Resolves when nothing is being written. Nothing but the record is needed to wake again. */
  async sleep(): Promise<void> {
    const awake = this.#awake
    this.#awake = undefined
    await awake?.end()
  }

  async wake(): Promise<void> {
    if (this.#awake !== undefined) return
    const keeper = await RecordKeeper.open(this.#parts.crypto, this.#parts.storage)
    this.#awake = new Awake(this.#parts, this.#limits, keeper, () => this.#credential)
  }
}

/** From one wake to the next sleep. */
class Awake {
  readonly endpoint: CoapEndpoint
  readonly time: NarrowTime
  readonly #parts: NarrowParts
  readonly #limits: NarrowLimits
  readonly #credential: () => DeviceCredential
  readonly #keeper: RecordKeeper
  readonly #contexts: Contexts
  readonly #budget: HandshakeBudget
  readonly #establisher: Establisher
  readonly #wire: Wire
  #turn: Promise<unknown> = Promise.resolve()
  /** In a row. */
  #unanswered = 0
  #timeHeardAt: Milliseconds | undefined

  constructor(
    parts: NarrowParts,
    limits: NarrowLimits,
    keeper: RecordKeeper,
    credential: () => DeviceCredential,
  ) {
    const { crypto, clock, random, timers, hasClock = true } = parts
    this.#parts = parts
    this.#limits = limits
    this.#keeper = keeper
    this.#credential = credential
    this.time = new NarrowTime(clock, hasClock, Math.max(parts.timeFloor ?? 0, keeper.record.time))
    const contexts = new Contexts(crypto, keeper, limits.reserve)
    const servers = new ServerCredentials(parts, this.time, keeper, limits.credentialsMax)
    const { serve, fault } = parts
    const inbound = new Inbound({
      crypto,
      random,
      clock,
      contexts,
      keeper,
      servers,
      hasClock,
      serve,
      fault,
    })
    this.endpoint = new CoapEndpoint({
      clock,
      random,
      timers,
      send: (datagram) => parts.send(datagram),
      serve: (message, _from, respond) => inbound.serve(message, respond),
      limits: endpointLimits,
      ...(parts.transmission !== undefined && { transmission: parts.transmission }),
    })
    this.#wire = new Wire(this.endpoint, timers, limits.hintGraceMs)
    this.#contexts = contexts
    this.#budget = new HandshakeBudget(parts, keeper, limits)
    this.#establisher = new Establisher({
      crypto,
      random,
      servers,
      contexts,
      credential,
      wire: this.#wire,
      budget: this.#budget,
      time: this.time,
      demandMessage4: parts.demandMessage4 ?? false,
      ...(parts.ephemeral !== undefined && { ephemeral: parts.ephemeral }),
      ...(parts.suites !== undefined && { suites: parts.suites }),
      ...(parts.method !== undefined && { method: parts.method }),
    })
  }

  /** One after another: two handshakes at once would be one too many. */
  inTurn(request: NarrowRequest, signal: Cancellation | undefined): Promise<CoapMessage> {
    const mine = this.#turn.then(() => {
      if (signal?.aborted === true) throw signal.reason
      return this.#timed(request, signal)
    })
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async end(): Promise<void> {
    this.endpoint.close()
    await this.#turn
    await this.#keeper.settled()
  }

  /** A device without a clock asks for the time with what it sends anyway. */
  async #timed(request: NarrowRequest, signal: Cancellation | undefined): Promise<CoapMessage> {
    if (!this.#wantsTime()) return await this.#request(request, signal)
    const query = { number: optionNumber.uriQuery, value: utf8('t') }
    const options = sortedOptions([...request.options, query])
    const response = await this.#request({ ...request, options }, signal)
    const time = timeIn(response)
    if (time !== undefined) await this.#heard(time)
    return response
  }

  #wantsTime(): boolean {
    if (this.#parts.hasClock !== false) return false
    const at = this.#timeHeardAt
    return at === undefined || this.#parts.clock.now() - at >= this.#limits.timeAskedAgainMs
  }

  async #heard(time: Milliseconds): Promise<void> {
    this.#timeHeardAt = this.#parts.clock.now()
    this.time.heard(time)
    await this.#keeper.change((record) => (time > record.time ? { ...record, time } : undefined))
  }

  async #request(request: NarrowRequest, signal: Cancellation | undefined): Promise<CoapMessage> {
    const before = this.#contexts.current
    if (before === undefined) return await this.#establishFor(request, signal)
    if (!this.#wantsNew(before)) return await this.#underCurrent(before, request, signal)
    try {
      return await this.#establishFor(request, signal)
    } catch (error) {
      // The old context works still, as far as anyone knows.
      const isOutside = error instanceof PeerError || error instanceof AdapterError
      if (!isOutside || this.#unanswered > 0) throw error
      return await this.#underCurrent(before, request, signal)
    }
  }

  /** And a handshake may be made for it. */
  #wantsNew({ own, context }: LiveContext): boolean {
    if (this.#establisher.isPending) return true
    const isDue =
      context.wantsRekey ||
      !equalBytes(own, x5tOf(this.#parts.crypto, this.#credential().leaf)) ||
      this.#unanswered >= this.#limits.unansweredMax
    return isDue && this.#budget.waitMs() === 0
  }

  async #establishFor(
    request: NarrowRequest,
    signal: Cancellation | undefined,
  ): Promise<CoapMessage> {
    const { response } = await this.#establisher.establish(request, signal)
    this.#unanswered = 0
    if (response !== undefined) return response
    const { current } = this.#contexts
    if (current === undefined) throw closed()
    return await this.#underCurrent(current, request, signal)
  }

  async #underCurrent(
    live: LiveContext,
    request: NarrowRequest,
    signal: Cancellation | undefined,
  ): Promise<CoapMessage> {
    const parts = {
      wire: this.#wire,
      contexts: this.#contexts,
      believe: () => this.#budget.waitMs() === 0,
    }
    try {
      const answer = await exchangeUnder(live, request, parts, signal)
      this.#unanswered = 0
      if (answer.kind === 'verified') return answer.value
    } catch (error) {
      if (isCode(error, 'ERR_NARROW_TIMEOUT')) this.#unanswered++
      if (!(error instanceof CallerError && error.code === 'ERR_OSCORE_EXHAUSTED')) throw error
      this.#contexts.drop(live)
    }
    return await this.#establishFor(request, signal)
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof AdapterError && error.code === code
}
