/**
 * A session from one wake to the next sleep: its parts put together, and by which context a request
 * goes. Requests go one after another; two handshakes at once would be one too many.
 */
import {
  blockIn,
  type Cancellation,
  CoapEndpoint,
  type CoapMessage,
  coapCode,
  queriesOf,
  sendInBlocks,
  sortedOptions,
  uriQuery,
} from '@countersign/core/coap'
import { equalBytes } from '@countersign/core/codec'
import { AdapterError, CallerError, PeerError } from '@countersign/core/errors'
import { repeatedWithEcho } from '@countersign/core/oscore'
import type { Milliseconds } from '@countersign/core/ports'
import type { HandshakeBudget } from './budget.ts'
import { Contexts, hasEnded, type LiveContext } from './contexts.ts'
import { closed, noAnswer } from './errors.ts'
import { Establisher } from './establish.ts'
import { type ExchangeParts, exchangeUnder } from './exchange.ts'
import { x5tOf } from './handshake.ts'
import { Inbound } from './inbound.ts'
import type { RecordKeeper } from './keeper.ts'
import { endpointLimits, type NarrowLimits } from './limits.ts'
import type { DeviceCredential, NarrowParts, NarrowRequest } from './parts.ts'
import { ServerCredentials } from './serverCredentials.ts'
import { type NarrowTime, toldIn } from './time.ts'
import { server, Wire } from './wire.ts'

/** The context under a request, or a block of one, is not to be relied on any more. */
class Doubted extends Error {}

/** What outlives sleep. */
export interface Lasting {
  readonly keeper: RecordKeeper
  readonly time: NarrowTime
  readonly budget: HandshakeBudget
}

export class Awake {
  readonly #time: NarrowTime
  readonly #servers: ServerCredentials
  readonly #endpoint: CoapEndpoint
  readonly #parts: NarrowParts
  readonly #limits: NarrowLimits
  readonly #credential: () => DeviceCredential
  readonly #keeper: RecordKeeper
  readonly #contexts: Contexts
  readonly #budget: HandshakeBudget
  readonly #establisher: Establisher
  readonly #exchange: ExchangeParts
  #turn: Promise<unknown> = Promise.resolve()
  #isOver = false
  /** In a row. */
  #unanswered = 0

  constructor(
    parts: NarrowParts,
    limits: NarrowLimits,
    { keeper, time, budget }: Lasting,
    credential: () => DeviceCredential,
  ) {
    const { crypto, clock, random, timers, hasClock = true } = parts
    this.#parts = parts
    this.#limits = limits
    this.#keeper = keeper
    this.#credential = credential
    this.#time = time
    const contexts = new Contexts(crypto, keeper, limits.reserve)
    const servers = new ServerCredentials(parts, time, keeper, limits.credentialsMax)
    const inbound = new Inbound({ ...parts, time, contexts, keeper, servers, hasClock })
    this.#endpoint = new CoapEndpoint({
      clock,
      random,
      timers,
      send: (datagram) => parts.send(datagram),
      serve: (message, _from, respond) => inbound.serve(message, respond),
      limits: endpointLimits,
      ...(parts.transmission !== undefined && { transmission: parts.transmission }),
    })
    const wire = new Wire(this.#endpoint, timers, limits.hintGraceMs)
    this.#servers = servers
    this.#contexts = contexts
    this.#budget = budget
    this.#exchange = { wire, contexts, believeInMs: () => budget.waitMs() }
    this.#establisher = new Establisher({
      ...parts,
      credential,
      servers,
      contexts,
      wire,
      budget,
      time,
    })
  }

  receive(datagram: Uint8Array): void {
    this.#endpoint.receive(datagram, server)
  }

  inTurn(request: NarrowRequest, signal: Cancellation | undefined): Promise<CoapMessage> {
    const mine = this.#turn.then(() => {
      if (signal?.aborted === true) throw signal.reason
      if (this.#isOver) throw closed()
      return this.#timed(request, signal)
    })
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async end(): Promise<void> {
    this.#isOver = true
    this.#endpoint.close()
    await this.#turn
    await this.#keeper.settled()
  }

  /** A device without a clock asks for the time with what it sends anyway. */
  async #timed(request: NarrowRequest, signal: Cancellation | undefined): Promise<CoapMessage> {
    const isWanted = this.#time.isWanted(this.#limits.timeAskedAgainMs)
    const response = await this.#request(isWanted ? askingForTime(request) : request, signal)
    const { time, wantsKeys } = toldIn(response)
    const { current } = this.#contexts
    if (wantsKeys && current !== undefined) await this.#contexts.unwant(current)
    if (isWanted && time !== undefined) await this.#heard(time, current)
    return response
  }

  async #heard(time: Milliseconds, from: LiveContext | undefined): Promise<void> {
    if (time > this.#servers.notAfter) {
      // Either its clock is wrong, which would stay here, or its certificate has ended: what it says
      // is not believed, and its context does not go on.
      if (from !== undefined) await this.#contexts.end(from)
      return
    }
    const { isKnown } = this.#time
    const before = this.#time.now()
    this.#time.heard(time)
    const redated = this.#contexts.redate(isKnown ? 0 : this.#time.now() - before)
    await this.#keeper.change((record) =>
      time > record.time ? redated({ ...record, time }) : undefined,
    )
  }

  async #request(request: NarrowRequest, signal: Cancellation | undefined): Promise<CoapMessage> {
    const { current } = this.#contexts
    if (current !== undefined && hasEnded(current, this.#time)) await this.#contexts.end(current)
    if (this.#contexts.current === undefined) return await this.#establishFor(request, signal)
    return await this.#underNewest(this.#contexts.current, request, signal)
  }

  /** New keys are made while the old ones serve. */
  async #underNewest(
    current: LiveContext,
    request: NarrowRequest,
    signal: Cancellation | undefined,
  ): Promise<CoapMessage> {
    if (!this.#wantsNew(current)) return await this.#underCurrent(current, request, signal)
    try {
      return await this.#establishFor(request, signal)
    } catch (error) {
      const isOutside = error instanceof PeerError || error instanceof AdapterError
      // The old context works still, as far as anyone knows.
      const isUseful = this.#contexts.current === current && this.#unanswered === 0
      if (!isOutside || !isUseful || this.#isOver || signal?.aborted === true) throw error
      return await this.#underCurrent(current, request, signal)
    }
  }

  /** And a handshake may be made for it. */
  #wantsNew(live: LiveContext): boolean {
    if (this.#establisher.isPending) return true
    const isOther = !equalBytes(live.deviceX5t, x5tOf(this.#parts.crypto, this.#credential().leaf))
    // Nobody outside makes the device change its certificate.
    if (isOther) this.#budget.permit()
    const isSilent = this.#unanswered >= this.#limits.unansweredMax
    return (isOther || this.#isOld(live) || isSilent) && this.#budget.waitMs() === 0
  }

  #isOld({ since, isUnwanted, context }: LiveContext): boolean {
    const age = this.#time.now() - since
    return isUnwanted || context.wantsRekey || age >= this.#limits.rekeyAfterMs
  }

  /** A body in blocks goes after message_3, which goes alone then (RFC 9668 §3.2.2). */
  async #establishFor(
    request: NarrowRequest,
    signal: Cancellation | undefined,
  ): Promise<CoapMessage> {
    const first = this.#isLarge(request) ? undefined : request
    const { response } = await this.#establisher.establish(first, signal)
    this.#unanswered = 0
    // The server may have taken message_3 in the life before, and asks whether this one is new.
    const again = response === undefined ? undefined : repeatedWithEcho(request, response)
    if (response !== undefined && again === undefined && !isInBlocks(response)) return response
    const { current } = this.#contexts
    if (current === undefined) throw closed()
    try {
      return await this.#inParts(current, again ?? request, signal)
    } catch (error) {
      // One handshake for a request is enough.
      throw error instanceof Doubted ? noAnswer('the request') : error
    }
  }

  async #underCurrent(
    live: LiveContext,
    request: NarrowRequest,
    signal: Cancellation | undefined,
  ): Promise<CoapMessage> {
    try {
      const response = await this.#inParts(live, request, signal)
      if (response.code !== coapCode.unauthorized) return response
      // Under OSCORE: the server itself has ended this context.
      this.#budget.permit()
    } catch (error) {
      if (isCode(error, AdapterError, 'ERR_NARROW_TIMEOUT')) this.#unanswered++
      const isSpent = isCode(error, CallerError, 'ERR_OSCORE_EXHAUSTED')
      if (isSpent) this.#contexts.drop(live)
      if (!isSpent && !(error instanceof Doubted)) throw error
    }
    return await this.#establishFor(request, signal)
  }

  async #inParts(
    live: LiveContext,
    request: NarrowRequest,
    signal: Cancellation | undefined,
  ): Promise<CoapMessage> {
    const response = await sendInBlocks(
      { ...request, type: 'CON' },
      (part) => this.#part(live, part, signal),
      this.#parts,
    )
    this.#unanswered = 0
    return response
  }

  async #part(
    live: LiveContext,
    part: NarrowRequest,
    signal: Cancellation | undefined,
  ): Promise<CoapMessage> {
    if (hasEnded(live, this.#time)) throw new Doubted()
    const answer = await exchangeUnder(live, part, this.#exchange, signal)
    if (answer.kind === 'hint') throw new Doubted()
    return answer.value
  }

  #isLarge({ payload }: NarrowRequest): boolean {
    return payload.length > this.#limits.blockBytes
  }
}

/** Once: an argument that is there twice is refused. */
function askingForTime(request: NarrowRequest): NarrowRequest {
  if (queriesOf(request).includes('t')) return request
  return { ...request, options: sortedOptions([...request.options, ...uriQuery('t')]) }
}

function isInBlocks(response: CoapMessage): boolean {
  return blockIn(response, 'block2') !== undefined
}

function isCode(
  error: unknown,
  kind: typeof AdapterError | typeof CallerError,
  code: string,
): boolean {
  return error instanceof kind && error.code === code
}
