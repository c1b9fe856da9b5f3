/**
 * The https door: devices enrol (EST) and send here. TLS 1.3 only (RFC 8446); a client certificate
 * is asked for and judged by our own judge and the registry, never by the TLS library, on full and
 * on resumed handshakes alike. What a refused peer learns is a status.
 *
 * HTTP/1.1 by Node's parser; routing, limits and times are here and in session.ts. HTTP/2 is left
 * out.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { AdapterError, isCountersignError } from '@countersign/core/errors'
import type { Random } from '@countersign/core/ports'
import { type ListenAddress, listen } from '../listen.ts'
import type { EstService, Store, Timers } from '../ports.ts'
import { sendProblem } from '../problem.ts'
import { answerMalformed, bareAnswer, certificateRequired, farewell } from './answers.ts'
import { readBody, refuseBody } from './body.ts'
import type { CommandsAtDoor } from './commandReader.ts'
import { CommandRoad, isCommandsPath } from './commands.ts'
import { Gate, type GateCounters, type ServerCredential, tlsOptions } from './gate.ts'
import { HttpSession } from './httpSession.ts'
import { Intake } from './intake.ts'
import { type DoorLimits, doorLimits } from './limits.ts'
import { Messages, messagesPath } from './messages.ts'
import type { Standing } from './session.ts'
import { SessionNews } from './sessionNews.ts'
import { Sessions, type SessionsParts } from './sessions.ts'
import { TicketKeys } from './ticketKeys.ts'

export interface HttpsDoorParts extends Omit<SessionsParts, 'limits' | 'news'> {
  readonly store: Pick<Store, 'apply'>
  readonly commands: CommandsAtDoor
  readonly est: EstService
  /** What an element signs over, asked for with the credential of the enrolment. */
  readonly attestationNonce: EstService
  /** The current CRL of an issuing CA, DER; undefined when there is no such CA. */
  readonly crl: (ca: string) => Promise<Uint8Array | undefined>
  readonly timers: Timers
  readonly random: Random
  readonly limits?: Partial<DoorLimits>
}

export interface DoorCounters extends GateCounters {
  httpErrors: number
  overdue: number
}

const sessionContext = 'countersign-https'
const estPath = '/.well-known/est/'
const noncePath = '/v1/attestation/nonce'
const crlPath = /^\/crl\/([a-z][a-z0-9-]{0,63})\.crl$/
/**
 * Open to a client without a certificate (RFC 7030 §4.1, §4.5) or with one that may only enrol
 * (§4.2).
 */
const openEst: ReadonlySet<string> = new Set(['cacerts', 'csrattrs', 'simpleenroll'])

export class HttpsDoor {
  readonly counters: DoorCounters = {
    connections: 0,
    overLimit: 0,
    tlsErrors: 0,
    httpErrors: 0,
    overdue: 0,
  }
  readonly #parts: HttpsDoorParts
  readonly #limits: DoorLimits
  readonly #server: Server
  readonly #tickets: TicketKeys
  readonly #sessions: Sessions<HttpSession>
  readonly #messages: Messages
  readonly #gate: Gate
  readonly #commands: CommandRoad
  #crlAnswers = 0
  #sweeping: { cancel(): void } | undefined
  #closing: (() => void) | undefined

  constructor(parts: HttpsDoorParts, credential: ServerCredential) {
    const limits = { ...doorLimits, ...parts.limits }
    this.#parts = parts
    this.#limits = limits
    this.#sessions = new Sessions(
      { ...parts, limits, news: new SessionNews({ ...parts, road: 'https' }) },
      {
        road: 'https',
        letsIn: 'enrolling',
        make: (socket, chain) => new HttpSession(socket, chain, parts.clock.now(), limits),
      },
    )
    const intake = new Intake({ ...parts, limits, road: 'https' })
    this.#messages = new Messages({ ...parts, limits, intake })
    this.#gate = new Gate(parts.clock, limits, this.counters)
    const broken = (error: unknown, to: ServerResponse): void => this.#broken(error, to)
    this.#commands = new CommandRoad({ ...parts, limits, broken })
    this.#server = this.#createServer(credential)
    this.#tickets = new TicketKeys(parts)
    this.#tickets.install(this.#server)
  }

  async open(at: ListenAddress): Promise<number> {
    const port = await listen(this.#server, 'https', at)
    this.#armSweep()
    return port
  }

  /** A renewed leaf; connections that are open keep theirs. */
  setCredential(credential: ServerCredential): void {
    this.#server.setSecureContext(tlsOptions(credential, sessionContext))
    this.#tickets.install(this.#server)
  }

  /**
   * No new connection; requests that wait for the store get their answer, for at most `graceMs`.
   */
  close(graceMs: number): Promise<void> {
    if (this.#closing !== undefined) return Promise.resolve()
    return new Promise((resolve) => {
      const late = this.#parts.timers.after(graceMs, () => this.#gate.destroyAll())
      this.#closing = (): void => {
        for (const session of this.#sessions.all())
          if (session.inFlight === 0) session.socket.destroy()
      }
      this.#server.close(() => {
        late.cancel()
        this.#sweeping?.cancel()
        this.#sessions.close()
        resolve()
      })
      this.#commands.close()
      this.#closing()
    })
  }

  #createServer(credential: ServerCredential): Server {
    const limits = this.#limits
    const server = createServer({
      ...tlsOptions(credential, sessionContext),
      requestCert: true,
      rejectUnauthorized: false, // our judge decides, in sessions.ts
      handshakeTimeout: limits.handshakeMsMax,
      ALPNProtocols: ['http/1.1'],
      maxHeaderSize: limits.headerBytesMax,
      insecureHTTPParser: false,
      // The sweep keeps these times, by the injected clock and without a timer for each connection.
      headersTimeout: 0,
      requestTimeout: 0,
      keepAliveTimeout: 0,
      noDelay: true,
    })
    server.maxRequestsPerSocket = limits.requestsPerConnectionMax
    this.#gate.guard(server)
    server.on('secureConnection', (socket: TLSSocket) => {
      if (this.#closing === undefined) this.#sessions.open(socket)
      else socket.destroy()
    })
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      this.counters.httpErrors++
      answerMalformed(error, socket)
    })
    server.on('request', (request, response) => this.#request(request, response))
    server.on('checkContinue', (request, response) => this.#request(request, response))
    return server
  }

  #armSweep(): void {
    this.#sweeping = this.#parts.timers.after(this.#limits.sweepMs, () => {
      this.#sessions.sweep((session) => this.#overdue(session))
      this.#armSweep()
    })
  }

  #overdue(session: HttpSession): void {
    this.counters.overdue++
    const { socket } = session
    const why = session.overdue(this.#parts.clock.now())
    const unanswered = why === 'headers' || (why === 'body' && session.inFlight > 0)
    if (!unanswered) return void socket.destroy()
    // RFC 9110 §15.5.9. By hand: there may be no response object yet.
    session.isEnding = true
    socket.write(bareAnswer(408))
    socket.destroySoon()
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    const session = this.#sessions.of(request.socket)
    if (session === undefined) return void request.socket.destroy()
    // Cut off while the parser was still handing over what had arrived.
    if (session.socket.destroyed) return
    session.requestStarted(request, this.#parts.clock.now())
    response.once('close', () => {
      session.requestEnded(this.#parts.clock.now())
      if (this.#closing !== undefined) this.#closing()
    })
    if (session.inFlight > this.#limits.requestsInFlightPerConnectionMax) {
      this.counters.overLimit++
      return void session.socket.destroy()
    }
    // RFC 9110 §10.1.1: refused early, nobody knows whether the body still comes; what follows
    // could be mistaken for it.
    if (request.headers.expect !== undefined) response.setHeader('Connection', 'close')
    if (request.rawHeaders.length > 2 * this.#limits.headersMax)
      return farewell(response, { status: 431 })
    const { standing } = session
    if (standing.kind !== 'pending') return this.#route(session, request, response)
    standing.settled.then(
      () => this.#route(session, request, response),
      (error: unknown) => this.#broken(error, response),
    )
  }

  #route(session: HttpSession, request: IncomingMessage, response: ServerResponse): void {
    if (session.socket.destroyed) return
    const { standing } = session
    const path = request.url ?? ''
    if (standing.kind === 'admitted' && path.startsWith(messagesPath))
      return this.#messages.receive(session, standing.admitted, request, response)
    if (standing.kind === 'admitted' && isCommandsPath(path))
      return this.#commands.receive(session, standing.admitted, request, response)
    switch (standing.kind) {
      case 'pending':
        // Judged again between the verdict and this turn: wait for that one.
        return void standing.settled.then(() => this.#route(session, request, response))
      case 'unavailable':
        return farewell(response, { status: 503, headers: { 'Retry-After': '5' } })
      case 'refused':
        return farewell(response, { status: 403 })
      case 'anonymous':
      case 'enrolling':
      case 'admitted':
      case 'application': // let in at other doors only
        return this.#routeOpen(session, path, request, response)
    }
  }

  #routeOpen(
    session: HttpSession,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const { standing } = session
    if (path.startsWith(estPath)) return this.#routeEst(session, path, request, response)
    if (path === noncePath)
      return this.#ask(session, this.#parts.attestationNonce, request, response)
    const crl = crlPath.exec(path)?.[1]
    if (crl !== undefined) return this.#sendCrl(crl, request, response)
    if (standing.kind === 'anonymous') return farewell(response, certificateRequired)
    if (standing.kind === 'enrolling') {
      this.#sessions.refused(session, standing.refusal)
      return farewell(response, { status: 403 })
    }
    sendProblem(response, { status: 404 })
  }

  #routeEst(
    session: HttpSession,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const operation = path.slice(estPath.length)
    const { standing } = session
    if (standing.kind !== 'admitted' && !openEst.has(operation) && !mayRenew(standing)) {
      if (standing.kind !== 'enrolling') return farewell(response, certificateRequired)
      this.#sessions.refused(session, standing.refusal)
      return farewell(response, { status: 403 })
    }
    this.#ask(session, this.#parts.est, request, response, operation)
  }

  #ask(
    session: HttpSession,
    service: EstService,
    request: IncomingMessage,
    response: ServerResponse,
    operation = '',
  ): void {
    const bytesMax = this.#limits.estBytesMax
    readBody(
      request,
      response,
      bytesMax,
      () => refuseBody(session, request, response, bytesMax, this.#limits, this.#parts.clock.now()),
      (body) => this.#answer(session, service, operation, request, body, response),
    )
  }

  #answer(
    session: HttpSession,
    service: EstService,
    operation: string,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): void {
    const { standing } = session
    const known = standing.kind === 'admitted' || standing.kind === 'enrolling'
    if (!known && standing.kind !== 'anonymous') return void session.socket.destroy()
    const answer = service({
      method: request.method ?? '',
      operation,
      contentType: request.headers['content-type'],
      body,
      authorization: request.headers.authorization,
      peer: known ? standing.peer : undefined,
      peerAddress: session.address,
    })
    answer.then(
      (est) => {
        response.writeHead(est.status, {
          'Content-Length': Buffer.byteLength(est.body),
          ...est.headers,
        })
        response.end(est.body)
      },
      (error: unknown) => this.#broken(error, response),
    )
  }

  #sendCrl(ca: string, request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET')
      return sendProblem(response, { status: 405, headers: { Allow: 'GET' } })
    if (this.#crlAnswers >= this.#limits.crlAnswersMax)
      return farewell(response, { status: 503, headers: { 'Retry-After': '5' } })
    this.#crlAnswers += 1
    response.once('close', () => void this.#crlAnswers--)
    this.#parts.crl(ca).then(
      (der) => {
        if (der === undefined) return sendProblem(response, { status: 404 })
        // RFC 5280 §4.2.1.13: application/pkix-crl.
        response.writeHead(200, {
          'Content-Type': 'application/pkix-crl',
          'Content-Length': der.length,
        })
        response.end(der)
      },
      (error: unknown) => this.#broken(error, response),
    )
  }

  #broken(error: unknown, response: ServerResponse): void {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code }, `the https door could not answer: ${String(error)}`)
    const full = code === 'ERR_STORE_FULL'
    if (error instanceof AdapterError)
      return sendProblem(response, {
        status: full ? 507 : 503,
        headers: { 'Retry-After': full ? '60' : '5' },
      })
    sendProblem(response, { status: 500 })
  }
}

/** An owner's device that may not send here: its certificate is renewed here all the same. */
function mayRenew(standing: Standing): boolean {
  return standing.kind === 'enrolling' && standing.peer.role === 'owner'
}
