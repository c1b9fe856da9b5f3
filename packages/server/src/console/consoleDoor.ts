/**
 * The console door: the API for people and applications of the operator, plain http on this
 * machine, TLS beyond it. Whoever reaches it from a browser comes by a name that is ours and from a
 * page that is ours: a foreign page must not use the browser as a way in (DNS rebinding, cross-site
 * requests). The page of the operator is in `pageDoor.ts`.
 */
import { createServer as createHttpServer, type ServerOptions } from 'node:http'
import {
  createServer as createHttpsServer,
  type ServerOptions as TlsServerOptions,
} from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import { CallerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import { createAdaptorServer, type HttpBindings, type ServerType } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono } from 'hono'
import { isLoopback } from '../address.ts'
import { type ListenAddress, listen } from '../listen.ts'
import type { EventsQuery, Log, Timers } from '../ports.ts'
import { type ApplicationDoor, answer, applicationOf, tokenRequired } from './answers.ts'
import { holdOther, noOther, type OtherLoopback } from './bothLoopbacks.ts'
import { addCommandsApi, type CommandsDoor } from './commandsApi.ts'
import { parseEventsQuery } from './eventsQuery.ts'
import { noPage, type PageDoor } from './pageDoor.ts'

export interface EventStreamsDoor {
  open(query: EventsQuery, response: HttpBindings['outgoing']): 'open' | 'tooMany'
}

export interface ConsoleTls {
  readonly chainPem: string
  readonly keyPem: string | Buffer
}

export interface ConsoleDoorParts {
  readonly applications: ApplicationDoor
  readonly streams: EventStreamsDoor
  readonly commands: CommandsDoor
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  /** Names by which this door is called, beside those of this machine. */
  readonly hosts: readonly string[]
  readonly health: () => Readonly<Record<string, unknown>>
  readonly tls?: ConsoleTls
  /** Only where the door is open to this machine alone. */
  readonly page?: PageDoor
}

/** People and applications, not devices: a door this size serves hundreds of them. */
const connectionsMax = 1_000
const headersMsMax = 10_000
const requestMsMax = 30_000
const headerBytesMax = 16_384
const ownNames: readonly string[] = ['localhost', '127.0.0.1', '::1']

type Env = { Bindings: HttpBindings }

export class ConsoleDoor {
  readonly #parts: ConsoleDoorParts
  readonly #hosts: Set<string>
  readonly #server: ServerType
  #other: OtherLoopback = noOther
  readonly #streaming: Set<HttpBindings['outgoing']> = new Set()

  constructor(parts: ConsoleDoorParts) {
    this.#parts = parts
    this.#hosts = new Set([...ownNames, ...parts.hosts].map((host) => host.toLowerCase()))
    this.#server = this.#createServer(this.#routes())
  }

  async open(at: ListenAddress): Promise<number> {
    if (this.#parts.tls === undefined && !isLoopback(at.host))
      throw new CallerError(
        'ERR_CONSOLE_NEEDS_TLS',
        `the console would speak plain http on ${at.host}`,
        {},
        {
          where: `console on ${at.host}:${at.port}`,
          hint: 'Listen on 127.0.0.1, or turn TLS on for the console.',
        },
      )
    this.#hosts.add(at.host.toLowerCase())
    const port = await listen(this.#server, 'console', at)
    this.#other = await holdOther(this.#server)
    if (!this.#other.ours)
      this.#parts.log.warn(
        { port },
        'another program has this port of localhost: call the console by its address',
      )
    return port
  }

  /** Whether `localhost` leads here and nowhere else. */
  get ownsLocalhost(): boolean {
    return this.#other.ours
  }

  /** A renewed leaf, where this door speaks TLS. */
  setCredential(tls: ConsoleTls): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(tlsOptions(tls))
  }

  /** Streams never end by themselves and are cut; a short answer may be finished. */
  async close(graceMs: number): Promise<void> {
    for (const stream of this.#streaming) stream.destroy()
    const server = this.#server
    const late = this.#parts.timers.after(graceMs, () => {
      if ('closeAllConnections' in server) server.closeAllConnections()
    })
    const closed = new Promise((resolve) => server.close(resolve))
    const bothClosed = Promise.all([closed, this.#other.close()])
    if ('closeIdleConnections' in server) server.closeIdleConnections()
    await bothClosed
    late.cancel()
  }

  #createServer(app: Hono<Env>): ServerType {
    const options: ServerOptions = {
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersMsMax,
      requestTimeout: requestMsMax,
    }
    const { tls } = this.#parts
    const server =
      tls === undefined
        ? createAdaptorServer({
            fetch: app.fetch,
            overrideGlobalObjects: false,
            createServer: createHttpServer,
            serverOptions: options,
          })
        : createAdaptorServer({
            fetch: app.fetch,
            overrideGlobalObjects: false,
            createServer: createHttpsServer,
            serverOptions: secured(options, tls),
          })
    server.maxConnections = connectionsMax
    return server
  }

  #routes(): Hono<Env> {
    const app = new Hono<Env>()
    app.use(async (context, next) => {
      const refusal = this.#refuseForeign(context)
      if (refusal !== undefined) return refusal
      await next()
      context.res.headers.set('X-Content-Type-Options', 'nosniff')
    })
    app.get('/api/v1/health', (context) => context.json(this.#parts.health()))
    app.get('/api/v1/events', (context) => this.#events(context))
    addCommandsApi(app, this.#parts)
    const { page } = this.#parts
    app.route('/', page?.routes((visit, query) => this.#stream(visit, query)) ?? noPage())
    app.notFound(() => answer({ status: 404 }))
    app.onError((error) => {
      this.#parts.log.error({}, `the console door could not answer: ${String(error)}`)
      return answer({ status: 500 })
    })
    return app
  }

  /**
   * RFC 9110 §7.2: 421 for a name that is not ours. An Origin is there only when a browser sends it
   * for a page.
   */
  #refuseForeign(context: Context<Env>): Response | undefined {
    const host = context.req.header('host') ?? ''
    if (!this.#hosts.has(hostName(host)))
      return answer({ status: 421, detail: 'this is another host' })
    const origin = context.req.header('origin')
    if (origin === undefined) return undefined
    const own = `${this.#parts.tls === undefined ? 'http' : 'https'}://${host}`.toLowerCase()
    if (origin.toLowerCase() === own) return undefined
    return answer({ status: 403, detail: 'a page of another origin may not ask here' })
  }

  async #events(context: Context<Env>): Promise<Response> {
    const authorization = context.req.header('authorization')
    const application = await applicationOf(authorization, this.#parts.applications)
    if (application === undefined) return answer(tokenRequired)
    const query = parseEventsQuery(
      application,
      context.req.query(),
      context.req.header('last-event-id'),
    )
    if ('fault' in query) return answer({ status: 400, detail: query.fault })
    return this.#stream(context, query)
  }

  #stream(context: Context<Env>, query: EventsQuery): Response {
    const { outgoing } = context.env
    if (outgoing.destroyed) return RESPONSE_ALREADY_SENT
    if (this.#parts.streams.open(query, outgoing) === 'open') {
      this.#streaming.add(outgoing)
      outgoing.once('close', () => this.#streaming.delete(outgoing))
      return RESPONSE_ALREADY_SENT
    }
    return answer({
      status: 429,
      headers: { 'Retry-After': '30' },
      detail: 'too many streams are open',
    })
  }
}

function secured(options: ServerOptions, tls: ConsoleTls): TlsServerOptions {
  return { ...options, ...tlsOptions(tls) }
}

function tlsOptions(tls: ConsoleTls): SecureContextOptions {
  return { cert: tls.chainPem, key: tls.keyPem, minVersion: 'TLSv1.3' }
}

/** Without the port, and an IPv6 literal without its brackets. */
function hostName(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d{1,5}$/, '')
    .replace(/^\[(.*)\]$/, '$1')
}
