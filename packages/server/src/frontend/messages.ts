/**
 * POST /v1/messages/<topic>: an admitted device's message, acknowledged when it is durable. What it
 * becomes is the intake's; what HTTP says of it is here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import { type MediaType, parseMediaType, payload } from '../payload.ts'
import type { Admitted, Log, MessageDraft } from '../ports.ts'
import { type Problem, sendProblem } from '../problem.ts'
import { readBody, refuseBody } from './body.ts'
import type { HttpSession } from './httpSession.ts'
import { type Intake, messageNumber, numberName } from './intake.ts'
import type { DoorLimits } from './limits.ts'
import { parseTopic } from './topic.ts'

export const messagesPath = '/v1/messages/'

/** A full store is emptied by people; a busy one by itself. */
const fullRetrySeconds = 60
const busyRetrySeconds = 1

export interface MessagesParts {
  readonly intake: Intake
  readonly clock: Clock
  readonly log: Log
  readonly limits: DoorLimits
}

export class Messages {
  readonly #parts: MessagesParts

  constructor(parts: MessagesParts) {
    this.#parts = parts
  }

  receive(
    session: HttpSession,
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
    const { intake } = this.#parts
    if (intake.isFull) return retry(503, busyRetrySeconds)
    const wait = intake.wait(admitted)
    if (wait === 0) return undefined
    const seconds = Number.isFinite(wait) ? Math.ceil(wait / 1000) : 3600
    const detail = `this device may send ${admitted.messagesPerMinute} messages a minute`
    return retry(429, seconds, detail)
  }

  #store(session: HttpSession, message: Header, body: Buffer, response: ServerResponse): void {
    // The device may have been suspended while its body was on the way.
    const { standing } = session
    if (standing.kind !== 'admitted') return void session.socket.destroy()
    const { intake } = this.#parts
    let draft: MessageDraft
    try {
      const { topic, number, type } = message
      draft = intake.draft(standing.admitted, { topic, number, data: payload(type, body) })
    } catch (error) {
      return sendProblem(response, this.#problemOf(error))
    }
    intake.store(draft).then(
      () => stored(draft.id, response),
      (error: unknown) => this.#failed(error, response),
    )
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
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code }, `a message was not stored: ${String(error)}`)
    if (code === 'ERR_STORE_FULL') return sendProblem(response, retry(507, fullRetrySeconds))
    sendProblem(response, retry(503, busyRetrySeconds))
  }
}

function stored(id: string, response: ServerResponse): void {
  const body = `{"id":"${id}"}`
  response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': body.length })
  response.end(body)
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
  const counted = headers[numberName]
  if (counted !== undefined && (typeof counted !== 'string' || !messageNumber.test(counted)))
    throw new PeerError(
      'ERR_MESSAGE_NUMBER',
      'the message number is no decimal of at most 16 digits',
      {},
      {
        where: numberName,
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
