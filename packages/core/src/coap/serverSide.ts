/**
 * Requests of others: each is served once (RFC 7252 §4.5), its answer goes with the
 * acknowledgement, or separately when it takes longer (§5.2.1, §5.2.2).
 */
import { CallerError } from '../errors.ts'
import { type Confirmable, sendConfirmable } from './confirmable.ts'
import type {
  EndpointErrorCode,
  EndpointParts,
  OutgoingResponse,
  RespondOptions,
} from './endpointParts.ts'
import { type Exchange, ExchangeMemory, exchangeKey } from './exchangeMemory.ts'
import { type Ground, keyAt } from './ground.ts'
import { type CoapMessage, encodeMessage } from './message.ts'
import { coapCode, isSuccess } from './numbers.ts'

type Timer = ReturnType<Ground['timers']['after']>

interface Serving {
  readonly request: CoapMessage
  readonly from: string
  readonly exchange: Exchange
  isAcknowledged: boolean
  isAnswered: boolean
  timer: Timer
}

export class ServerSide {
  readonly #ground: Ground
  readonly #serve: EndpointParts['serve']
  readonly #memory: ExchangeMemory
  readonly #serving: Set<Serving> = new Set()
  /** Separate responses that nobody has acknowledged yet. */
  readonly #responses: Map<string, Confirmable> = new Map()
  #isClosed = false

  constructor(ground: Ground, serve: EndpointParts['serve']) {
    this.#ground = ground
    this.#serve = serve
    this.#memory = new ExchangeMemory(ground.clock, ground.lifetimes.exchangeMs, ground.limits)
  }

  get size(): number {
    return this.#serving.size + this.#responses.size
  }

  get remembered(): ExchangeMemory {
    return this.#memory
  }

  receive(request: CoapMessage, datagram: Uint8Array, from: string): void {
    const key = exchangeKey(from, datagram)
    if (this.#answeredAgain(key, from)) return
    if (this.#serving.size >= this.#ground.limits.servingMax) return
    const exchange = this.#memory.begin(key)
    const serving = {
      request,
      from,
      exchange,
      isAcknowledged: false,
      isAnswered: false,
      timer: noTimer,
    }
    this.#serving.add(serving)
    this.#arm(serving)
    this.#serve(request, from, (...said) => this.#respond(serving, ...said))
  }

  /** True: it came before, and is answered as it was then. */
  repeated(datagram: Uint8Array, from: string): boolean {
    return this.#answeredAgain(exchangeKey(from, datagram), from)
  }

  #answeredAgain(key: string, from: string): boolean {
    const exchange = this.#memory.find(key)
    if (exchange === undefined) return false
    if (exchange.answer !== undefined && exchange.repeats < this.#ground.limits.repeatsMax) {
      exchange.repeats++
      this.#ground.send(exchange.answer, from)
    }
    return true
  }

  /** Of a response that was accepted: the same one again is acknowledged again. */
  acknowledge(message: CoapMessage, datagram: Uint8Array, from: string): void {
    const answer = emptyMessage('ACK', message.messageId)
    this.#memory.settle(this.#memory.begin(exchangeKey(from, datagram)), answer, true)
    this.#ground.send(answer, from)
  }

  /** By an acknowledgement or a Reset: either ends it (RFC 7252 §5.2.2). */
  delivered(messageId: number, from: string): void {
    const key = keyAt(from, messageId)
    this.#responses.get(key)?.stop()
    this.#responses.delete(key)
  }

  close(): void {
    this.#isClosed = true
    for (const serving of this.#serving) serving.timer.cancel()
    for (const response of this.#responses.values()) response.stop()
    this.#serving.clear()
    this.#responses.clear()
    this.#memory.clear()
  }

  /**
   * A slow answer is announced by an empty ACK (§5.2.2); after EXCHANGE_LIFETIME it is given up.
   */
  #arm(serving: Serving): void {
    const { timers, transmission, lifetimes } = this.#ground
    const forget = (): void => void this.#serving.delete(serving)
    if (serving.request.type === 'NON') {
      serving.timer = timers.after(lifetimes.exchangeMs, forget)
      return
    }
    serving.timer = timers.after(transmission.processingMs, () => {
      serving.timer = timers.after(lifetimes.exchangeMs, forget)
      serving.isAcknowledged = true
      const answer = emptyMessage('ACK', serving.request.messageId)
      this.#memory.settle(serving.exchange, answer, false)
      this.#ground.send(answer, serving.from)
    })
  }

  #respond(
    serving: Serving,
    response: OutgoingResponse | undefined,
    { once = false }: RespondOptions = {},
  ): void {
    if (serving.isAnswered) throw answeredTwice()
    const isOver = this.#isClosed || !this.#serving.has(serving)
    // Encoded first: what cannot be sent leaves the request open for another answer.
    const isSilent = response === undefined || isOver
    const send = isSilent ? undefined : this.#prepare(serving, response, once)
    serving.isAnswered = true
    serving.timer.cancel()
    this.#serving.delete(serving)
    if (send !== undefined) send()
    else if (!serving.isAcknowledged) this.#memory.forget(serving.exchange)
  }

  #prepare(serving: Serving, response: OutgoingResponse, once: boolean): () => void {
    const { request, from, exchange, isAcknowledged } = serving
    const { token } = request
    const isAccepted = isSuccess(response.code)
    if (request.type === 'CON' && !isAcknowledged) {
      const { messageId } = request
      const answer = encodeMessage({ ...response, type: 'ACK', messageId, token })
      return () => {
        this.#memory.settle(exchange, answer, isAccepted)
        this.#ground.send(answer, from)
      }
    }
    const isConfirmable =
      request.type === 'CON' && !once && this.#responses.size < this.#ground.limits.servingMax
    const messageId = this.#ground.messageIds.next(from)
    const type = isConfirmable ? 'CON' : 'NON'
    const datagram = encodeMessage({ ...response, type, messageId: messageId ?? 0, token })
    return () => {
      this.#memory.settle(exchange, exchange.answer, isAccepted)
      // As if it had been lost: no Message ID may be used again yet.
      if (messageId === undefined) return
      if (isConfirmable) this.#sendConfirmable(datagram, messageId, from)
      else this.#ground.send(datagram, from)
    }
  }

  #sendConfirmable(datagram: Uint8Array, messageId: number, to: string): void {
    const key = keyAt(to, messageId)
    const givenUp = (): void => void this.#responses.delete(key)
    this.#responses.set(key, sendConfirmable(this.#ground, datagram, to, givenUp))
  }
}

export function emptyMessage(type: 'ACK' | 'RST', messageId: number): Uint8Array {
  const nothing = new Uint8Array()
  return encodeMessage({
    type,
    code: coapCode.empty,
    messageId,
    token: nothing,
    options: [],
    payload: nothing,
  })
}

const noTimer: Timer = { cancel: () => undefined }

function answeredTwice(): CallerError<EndpointErrorCode> {
  const hint = 'Call `respond` once for each request.'
  return new CallerError('ERR_COAP_ANSWERED', 'a request is answered once', {}, { hint })
}
