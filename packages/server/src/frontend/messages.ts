/**
 * POST /v1/messages/<topic>: an admitted device's message becomes a CloudEvent in the store, and
 * only then is it acknowledged. The hot path of the house: one promise (the store's), no timer, no
 * look-up beyond the session.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Clock, Random } from '@countersign/core/ports'
import { cloudEvent } from '../cloudEvent.ts'
import type { Admitted, Applied, Log, MessageDraft, Notices, Store } from '../ports.ts'
import { type Problem, sendProblem } from '../problem.ts'
import { TokenBuckets } from '../rates.ts'
import { readBody, refuseBody } from './body.ts'
import type { DoorLimits } from './limits.ts'
import { type MediaType, parseMediaType, payload } from '../payload.ts'
import type { Session } from './session.ts'
import { parseTopic } from './topic.ts'

export const messagesPath = '/v1/messages/'

/**
 * A device's own persisted counter: with it a reading sent twice is one event. Decimal, no leading
 * zero, at most 16 digits.
 */
export const numberHeader = 'countersign-number'
const number = /^(?:0|[1-9][0-9]{0,15})$/

/** A full store is emptied by people; a busy one by itself. */
const fullRetrySeconds = 60
const busyRetrySeconds = 1

export interface MessagesParts {
  readonly store: Pick<Store, 'apply'>
  readonly notices: Notices
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly limits: DoorLimits
}

export class Messages {
  readonly #parts: MessagesParts
  readonly #rates: TokenBuckets
  #inFlight = 0

  constructor(parts: MessagesParts) {
    this.#parts = parts
    this.#rates = new TokenBuckets(parts.clock, parts.limits.ratesRememberedMax)
  }

  receive(
    session: Session,
    admitted: Admitted,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const { limits, clock } = this.#parts
    if (request.method !== 'POST')
      return sendProblem(response, { status: 405, headers: { Allow: 'POST' } })
    const early = this.#refuseEarly(admitted)
    if (early !== undefined) return sendProblem(response, early)
    let message: Header
    try {
      message = parseHeader(request)
    } catch (error) {
      return sendProblem(response, this.#problemOf(error))
    }
    const bytesMax = limits.messageBytesMax
    readBody(
      request,
      response,
      bytesMax,
      () => refuseBody(session, request, response, bytesMax, limits, clock.now()),
      (body) => this.#store(session, message, body, response),
    )
  }

  #refuseEarly(admitted: Admitted): Problem | undefined {
    if (this.#inFlight >= this.#parts.limits.messagesInFlightMax)
      return retry(503, busyRetrySeconds)
    const perMinute = admitted.messagesPerMinute
    const wait = this.#rates.take(admitted.device.id, {
      perSecond: perMinute / 60,
      burst: perMinute,
    })
    if (wait === 0) return undefined
    const seconds = Number.isFinite(wait) ? Math.ceil(wait / 1000) : 3600
    return retry(429, seconds, `this device may send ${perMinute} messages a minute`)
  }

  #store(session: Session, message: Header, body: Buffer, response: ServerResponse): void {
    // The device may have been suspended while its body was on the way.
    const { standing } = session
    if (standing.kind !== 'admitted') return void session.socket.destroy()
    let draft: MessageDraft
    try {
      draft = this.#draft(standing.admitted, message, body)
    } catch (error) {
      return sendProblem(response, this.#problemOf(error))
    }
    this.#inFlight += 1
    this.#parts.store.apply({ messages: [draft] }).then(
      (applied) => this.#stored(applied, draft.id, response),
      (error: unknown) => this.#failed(error, response),
    )
  }

  #draft(admitted: Admitted, message: Header, body: Buffer): MessageDraft {
    const { device, credential } = admitted
    const { clock, random } = this.#parts
    const id =
      message.number === undefined
        ? Buffer.from(random.bytes(16)).toString('hex')
        : `${device.eui64}-${message.number}`
    return cloudEvent(
      {
        id,
        source: device.id,
        type: 'countersign.message',
        time: clock.now(),
        subject: message.topic,
        road: 'https',
        assurance: device.assurance,
        credential,
      },
      payload(message.type, body),
    )
  }

  #stored(applied: Applied, id: string, response: ServerResponse): void {
    this.#inFlight -= 1
    const seq = applied.messageSeqs.at(-1)
    // A duplicate was stored before, and is acknowledged like the first.
    if (seq !== undefined) this.#parts.notices.tell({ kind: 'messages', throughSeq: seq })
    const body = `{"id":"${id}"}`
    response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': body.length })
    response.end(body)
  }

  /**
   * A fault of ours must not end the server: the device is told so, and the operator what it was.
   */
  #problemOf(error: unknown): Problem {
    if (!(error instanceof PeerError)) {
      this.#parts.log.error({ code: 'ERR_INTERNAL' }, `a message was not taken: ${String(error)}`)
      return { status: 500 }
    }
    const { code, message, hint } = error
    const detail = hint === undefined ? message : `${message}; ${hint}`
    return { status: code === 'ERR_MESSAGE_TYPE' ? 415 : 400, code, detail }
  }

  #failed(error: unknown, response: ServerResponse): void {
    this.#inFlight -= 1
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code }, `a message was not stored: ${String(error)}`)
    if (code === 'ERR_STORE_FULL') return sendProblem(response, retry(507, fullRetrySeconds))
    sendProblem(response, retry(503, busyRetrySeconds))
  }
}

interface Header {
  readonly topic: string
  readonly type: MediaType
  readonly number: string | undefined
}

function parseHeader(request: IncomingMessage): Header {
  const { headers } = request
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    throw new PeerError(
      'ERR_MESSAGE_TYPE',
      'a coded body is not taken',
      {},
      {
        where: 'Content-Encoding',
        hint: 'send the body as it is',
      },
    )
  const counted = headers[numberHeader]
  if (counted !== undefined && (typeof counted !== 'string' || !number.test(counted)))
    throw new PeerError(
      'ERR_MESSAGE_NUMBER',
      'the message number is no decimal of at most 16 digits',
      {},
      {
        where: numberHeader,
      },
    )
  const topic = parseTopic((request.url ?? '').slice(messagesPath.length))
  return { topic, type: parseMediaType(headers['content-type']), number: counted }
}

function retry(status: number, seconds: number, detail?: string): Problem {
  return {
    status,
    headers: { 'Retry-After': String(seconds) },
    ...(detail === undefined ? {} : { detail }),
  }
}
