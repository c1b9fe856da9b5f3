/**
 * Commands on the https road. `GET /v1/commands` is what waits for the device: at once, after a
 * wait, or as server-sent events (commandReader.ts). `POST /v1/commands/<id>` says that the device
 * has it (an empty body) or what came of it (the body is the result), and `…/<id>/refused` that it
 * will not do it. A device that first says that it has a command, and acts when that was answered
 * 204, acts on none that has expired or ended meanwhile.
 *
 * What is not this device's is not there.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PeerError } from '@countersign/core/errors'
import { commandId, commandResultBytesMax } from '../commandDocument.ts'
import { type MediaType, parseMediaType } from '../payload.ts'
import type { Admitted, CommandAnswer } from '../ports.ts'
import { type Problem, sendProblem } from '../problem.ts'
import { TokenBuckets } from '../rates.ts'
import { readBody, refuseBody } from './body.ts'
import type { CommandReadersParts } from './commandReader.ts'
import { CommandReaders } from './commandReaders.ts'
import { takeWord, wordOf } from './commandWords.ts'
import type { HttpSession } from './httpSession.ts'

const commandsPath = '/v1/commands'

export function isCommandsPath(path: string): boolean {
  if (!path.startsWith(commandsPath)) return false
  const next = path.charAt(commandsPath.length)
  return next === '' || next === '/' || next === '?'
}

/** What a request asks for; undefined: there is nothing of that name. */
type Route =
  | { readonly kind: 'read'; readonly query: string }
  | { readonly kind: 'word'; readonly id: string; readonly refused: boolean }

export class CommandRoad {
  readonly #parts: CommandReadersParts
  readonly #readers: CommandReaders
  readonly #rates: TokenBuckets

  constructor(parts: CommandReadersParts) {
    this.#parts = parts
    this.#readers = new CommandReaders(parts)
    this.#rates = new TokenBuckets(parts.clock, parts.limits.ratesRememberedMax)
  }

  receive(
    session: HttpSession,
    admitted: Admitted,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const early = this.#refuseEarly(admitted)
    if (early !== undefined) return sendProblem(response, early)
    const route = parseRoute(request.url ?? '')
    if (route === undefined) return sendProblem(response, { status: 404 })
    const method = route.kind === 'read' ? 'GET' : 'POST'
    if (request.method !== method)
      return sendProblem(response, { status: 405, headers: { Allow: method } })
    if (route.kind === 'word') return this.#receiveWord(session, route, request, response)
    this.#read(session, admitted, route.query, request, response)
  }

  /** Those who wait are answered, so that the door can close. */
  close(): void {
    this.#readers.close()
  }

  /** As many requests as messages: each may cost a look into the store. */
  #refuseEarly({ device, messagesPerMinute }: Admitted): Problem | undefined {
    const rate = { perSecond: messagesPerMinute / 60, burst: messagesPerMinute }
    const wait = this.#rates.take(device.id, rate)
    if (wait === 0) return undefined
    const seconds = Number.isFinite(wait) ? Math.ceil(wait / 1000) : 3600
    const detail = `this device may ask ${messagesPerMinute} times a minute`
    return { status: 429, headers: { 'Retry-After': String(seconds) }, detail }
  }

  #read(
    session: HttpSession,
    { device }: Admitted,
    query: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const seconds = parseWait(query, this.#parts.limits.commandWaitSecondsMax)
    if (seconds === undefined) {
      const most = this.#parts.limits.commandWaitSecondsMax
      return sendProblem(response, { status: 400, detail: `?wait= takes 0 to ${most} seconds` })
    }
    const opened = wantsStream(request.headers.accept)
      ? this.#readers.stream(session, device.id, response)
      : this.#readers.poll(session, device.id, seconds * 1000, response)
    if (opened) return
    sendProblem(response, { status: 429, detail: 'this connection waits for commands already' })
  }

  #receiveWord(
    session: HttpSession,
    word: Extract<Route, { kind: 'word' }>,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const { limits, clock } = this.#parts
    let type: MediaType
    try {
      type = typeOf(request)
    } catch (error) {
      return this.#refuse(error, response)
    }
    readBody(
      request,
      response,
      commandResultBytesMax,
      () => refuseBody(session, request, response, commandResultBytesMax, limits, clock.now()),
      (body) => this.#said(session, word, type, body, response),
    )
  }

  #said(
    session: HttpSession,
    { id, refused }: Extract<Route, { kind: 'word' }>,
    type: MediaType,
    body: Buffer,
    response: ServerResponse,
  ): void {
    // The device may have been suspended while its body was on the way.
    const { standing } = session
    if (standing.kind !== 'admitted') return void session.socket.destroy()
    let answer: CommandAnswer | undefined
    try {
      answer = wordOf(type, body, refused)
    } catch (error) {
      return this.#refuse(error, response)
    }
    this.#take(standing.admitted.device.id, id, answer).then(
      (problem) => {
        if (problem !== undefined) return sendProblem(response, problem)
        response.writeHead(204)
        response.end()
      },
      (error: unknown) => this.#parts.broken(error, response),
    )
  }

  async #take(
    device: string,
    id: string,
    answer: CommandAnswer | undefined,
  ): Promise<Problem | undefined> {
    const outcome = await takeWord(this.#parts.commands, device, id, answer)
    switch (outcome.kind) {
      case 'taken':
        return undefined
      case 'unknown':
        return { status: 404 }
      case 'ended': {
        const detail = `this command has ended: ${outcome.state}`
        return { status: 409, code: 'ERR_COMMAND_ENDED', detail }
      }
    }
  }

  #refuse(error: unknown, response: ServerResponse): void {
    if (!(error instanceof PeerError)) return this.#parts.broken(error, response)
    const { code, message, hint } = error
    const detail = hint === undefined ? message : `${message}; ${hint}`
    sendProblem(response, { status: code === 'ERR_MESSAGE_TYPE' ? 415 : 400, code, detail })
  }
}

function parseRoute(url: string): Route | undefined {
  const [path = '', query = ''] = url.split('?', 2)
  if (path === commandsPath) return { kind: 'read', query }
  const [id = '', verb, ...more] = path.slice(commandsPath.length + 1).split('/')
  const sound = commandId.test(id) && query === '' && more.length === 0
  if (!sound || (verb !== undefined && verb !== 'refused')) return undefined
  return { kind: 'word', id, refused: verb !== undefined }
}

/** Without a wait the answer comes at once. */
function parseWait(query: string, most: number): number | undefined {
  const match = /^(?:wait=(\d{1,4}))?$/.exec(query)
  const seconds = Number(match?.[1] ?? 0)
  return match !== null && seconds <= most ? seconds : undefined
}

/** RFC 9110 §12.5.1, without weights: who names the type of streams wants one. */
function wantsStream(accept: string | undefined): boolean {
  const types = (accept ?? '').split(',').map((range) => range.split(';', 1)[0]?.trim())
  return types.some((type) => type?.toLowerCase() === 'text/event-stream')
}

function typeOf({ headers }: IncomingMessage): MediaType {
  const encoding = headers['content-encoding']
  if (encoding === undefined || encoding.toLowerCase() === 'identity')
    return parseMediaType(headers['content-type'])
  const about = { where: 'Content-Encoding', hint: 'send the body as it is' }
  throw new PeerError('ERR_MESSAGE_TYPE', 'a coded body is not taken', {}, about)
}
