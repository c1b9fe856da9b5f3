/**
 * The operator's page on the console door: its files, its API, and the way in by a one-time link.
 * On this machine only: where the console listens beyond loopback there is no page (`noPage`).
 *
 * The door has refused foreign names and origins before anything here runs. Beyond that, what comes
 * here must name this machine (a house's own public name is no reason to be read by its pages), and
 * must not be the doing of another page: browsers say so in Sec-Fetch-Site, also for requests that
 * carry no Origin. A page on another port of this machine is of the same site to a browser, and our
 * cookie goes with what it asks: SameSite alone would not do.
 */
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { isLoopback } from '../address.ts'
import type { EventsQuery, Log } from '../ports.ts'
import { Overview, type OverviewParts } from './overview.ts'
import { notHere, pageHeaders, plainPage, problem } from './pageAnswers.ts'
import { PageFiles, pageParts } from './pageFiles.ts'
import { type PageCode, PageLinks } from './pageLinks.ts'
import { parseDevicesQuery, parseId, parseSeq } from './pageQuery.ts'
import {
  cookieSecrets,
  noCookie,
  type PageSession,
  PageSessions,
  type PageSessionsParts,
  sessionCookie,
} from './pageSessions.ts'

type Env = { Bindings: HttpBindings }
type Visit = Context<Env>

export interface PageDoorParts extends OverviewParts, Omit<PageSessionsParts, 'ended'> {
  readonly log: Log
  readonly streams: { closeOf(holder: string): void }
}

/** Opens a stream of events in answer to a request. */
export type OpenStream = (visit: Visit, query: EventsQuery) => Response

/**
 * Messages that a page catches up on after a short absence; after a long one it reads its snapshot
 * again, which is cheaper and what a person wants to see.
 */
const behindMax = 500

export class PageDoor {
  readonly #log: Log
  readonly #overview: Overview
  readonly #files: PageFiles = new PageFiles()
  readonly #links: PageLinks
  readonly #sessions: PageSessions

  constructor(parts: PageDoorParts) {
    const { clock, random, timers, streams } = parts
    this.#log = parts.log
    this.#overview = new Overview(parts)
    this.#links = new PageLinks(clock, random)
    const ended = (id: string): void => streams.closeOf(id)
    this.#sessions = new PageSessions({ clock, timers, random, ended })
  }

  /** A new one-time code. Never logged. */
  link(): PageCode {
    return this.#links.issue()
  }

  close(): void {
    this.#sessions.close()
  }

  routes(openStream: OpenStream): Hono<Env> {
    const app = new Hono<Env>()
    const overview = this.#overview
    app.get('/open', (visit) => this.#enter(visit))
    app.get('/', (visit) => {
      const trespass = trespassOf(visit)
      if (trespass !== undefined) return plainly(trespass)
      if (this.#sessionOf(visit) === undefined) return plainPage('closed')
      return this.#files.answer('index.html', visit.req.header('if-none-match'))
    })
    // These say nothing of this house.
    for (const name of pageParts)
      app.get(`/page/${name}`, ({ req }) => this.#files.answer(name, req.header('if-none-match')))
    app.get('/page/snapshot', (visit) => this.#api(visit, () => overview.snapshot()))
    app.get('/page/devices', (visit) => {
      const query = parseDevicesQuery(visit.req.query())
      return this.#api(visit, query && (() => overview.devices(query)))
    })
    app.get('/page/device', (visit) => {
      const id = parseId(visit.req.query('id'))
      return this.#api(visit, id === undefined ? undefined : () => overview.device(id))
    })
    app.get('/page/stream', (visit) => this.#stream(visit, openStream))
    app.delete('/page/session', (visit) => this.#leave(visit))
    return app
  }

  #enter(visit: Visit): Response {
    // Looking ahead must not use the link up: neither HEAD nor a browser that guesses what is next.
    if (visit.req.method !== 'GET' || visit.req.header('sec-purpose') !== undefined)
      return new Response(null, { status: 405, headers: { ...pageHeaders, Allow: 'GET' } })
    const trespass = trespassOf(visit)
    if (trespass !== undefined) return plainly(trespass)
    const redeemed = this.#links.redeem(visit.req.query('code') ?? '')
    if (redeemed !== 'right') {
      this.#log.warn({ reason: redeemed }, 'a link to the page was refused')
      return plainPage(redeemed === 'wrong' ? 'code' : 'tooMany')
    }
    const { secret, session } = this.#sessions.begin()
    this.#log.info({ session: session.id }, 'the page was opened by a link')
    const cookie = sessionCookie(cookieName(visit), secret)
    const headers = { ...pageHeaders, Location: '/', 'Set-Cookie': cookie }
    return new Response(null, { status: 303, headers })
  }

  #leave(visit: Visit): Response {
    const session = this.#admit(visit)
    if (session instanceof Response) return session
    // A browser always sends an Origin with DELETE, and the door has compared it.
    if (visit.req.header('origin') === undefined) return problem(403, 'this needs an Origin')
    this.#sessions.end(session)
    this.#log.info({ session: session.id }, 'the page was closed')
    const headers = { ...pageHeaders, 'Set-Cookie': noCookie(cookieName(visit)) }
    return new Response(null, { status: 204, headers })
  }

  #stream(visit: Visit, openStream: OpenStream): Response {
    const session = this.#admit(visit)
    if (session instanceof Response) return session
    const seq = parseSeq(visit.req.header('last-event-id') || visit.req.query('after'))
    if (seq === undefined) return problem(400, 'after is the number of a message')
    return openStream(visit, {
      application: session.id,
      movesCursor: false,
      lastEventId: seq,
      type: undefined,
      device: undefined,
      shape: (message) => this.#overview.news.lines(message),
      behindMax,
    })
  }

  /** `work` is undefined when the query was not one of ours. */
  async #api(visit: Visit, work: (() => Promise<unknown>) | undefined): Promise<Response> {
    const session = this.#admit(visit)
    if (session instanceof Response) return session
    if (work === undefined) return problem(400, 'the parameters are not what was expected')
    const found = await work()
    if (found === undefined) return problem(404, 'there is no such device')
    const headers = { ...pageHeaders, 'Content-Type': 'application/json' }
    return new Response(JSON.stringify(found), { headers })
  }

  #admit(visit: Visit): PageSession | Response {
    const trespass = trespassOf(visit)
    if (trespass === 'host') return problem(404, 'the page is for this machine')
    if (trespass === 'site') return problem(403, 'another page may not ask here')
    return this.#sessionOf(visit) ?? problem(403, 'the page opens by a one-time link')
  }

  #sessionOf(visit: Visit): PageSession | undefined {
    return this.#sessions.of(cookieSecrets(visit.req.header('cookie'), cookieName(visit)))
  }
}

/** Where the console listens beyond this machine. */
export function noPage(): Hono<Env> {
  const app = new Hono<Env>()
  for (const path of ['/', '/open']) app.get(path, () => notHere())
  return app
}

/** By a name that is not this machine's, or at the wish of another page. */
type Trespass = 'host' | 'site'

function trespassOf(visit: Visit): Trespass | undefined {
  if (!isLoopback(hostOf(visit).hostname.replace(/^\[(.*)\]$/, '$1'))) return 'host'
  // W3C Fetch Metadata §2.2: "none" is a person who typed an address or opened a bookmark.
  const site = visit.req.header('sec-fetch-site') ?? 'none'
  return site === 'none' || site === 'same-origin' ? undefined : 'site'
}

function plainly(trespass: Trespass): Response {
  return trespass === 'host' ? notHere() : plainPage('foreign')
}

function cookieName(visit: Visit): string {
  return `countersign-${hostOf(visit).port || '80'}`
}

/** The door has let it pass, so that it is a name of ours; a strange one is nobody's. */
function hostOf(visit: Visit): { readonly hostname: string; readonly port: string } {
  const text = `http://${visit.req.header('host') ?? ''}`
  return URL.canParse(text) ? new URL(text) : { hostname: '', port: '' }
}
