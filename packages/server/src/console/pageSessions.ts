/**
 * Who has the page open. A session is a random cookie whose hash is kept in memory: it ends after
 * twelve hours, when its person leaves, when too many newer ones were opened, and with the process.
 *
 * The cookie's name carries the port, since browsers keep cookies by host and not by port: two
 * houses on one machine would overwrite each other's. The prefix `__Host-` needs TLS, which this
 * page does not have yet.
 */
import { timingSafeEqual } from 'node:crypto'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import type { Timers } from '../ports.ts'
import { drawSecret, hashOf } from './pageLinks.ts'

export interface PageSession {
  /** No secret: what streams are counted by and what the log says. */
  readonly id: string
  readonly hash: Buffer
  readonly endsAt: Milliseconds
}

export interface PageSessionsParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Hears of every session that ended, for whatever reason. */
  readonly ended: (id: string) => void
}

const sessionMsMax = 12 * 3_600_000
/** Browsers of the people who look after one house; the oldest makes room. */
const sessionsMax = 8
/** Another program of this machine may set cookies of our name for this host: some are looked at. */
const candidatesMax = 8
const secretPattern = /^[\w-]{43}$/

export class PageSessions {
  readonly #parts: PageSessionsParts
  readonly #sessions: Map<PageSession, { cancel(): void }> = new Map()

  constructor(parts: PageSessionsParts) {
    this.#parts = parts
  }

  /** The cookie's secret is here and in the browser, and stays nowhere else. */
  begin(): { readonly secret: string; readonly session: PageSession } {
    const { clock, timers, random } = this.#parts
    const secret = drawSecret(random)
    const id = `page:${Buffer.from(random.bytes(8)).toString('hex')}`
    const session = { id, hash: hashOf(secret), endsAt: clock.now() + sessionMsMax }
    const timer = timers.after(sessionMsMax, () => this.end(session))
    this.#sessions.set(session, timer)
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > sessionsMax && oldest !== undefined) this.end(oldest)
    return { secret, session }
  }

  of(secrets: readonly string[]): PageSession | undefined {
    const now = this.#parts.clock.now()
    const given = secrets.slice(0, candidatesMax).map(hashOf)
    return [...this.#sessions.keys()].find(
      ({ hash, endsAt }) => endsAt > now && given.some((one) => timingSafeEqual(hash, one)),
    )
  }

  end(session: PageSession): void {
    const timer = this.#sessions.get(session)
    if (timer === undefined) return
    timer.cancel()
    this.#sessions.delete(session)
    this.#parts.ended(session.id)
  }

  close(): void {
    for (const session of this.#sessions.keys()) this.end(session)
  }
}

/** Values of our cookie in a Cookie header (RFC 6265 §5.4), those that could be one of ours. */
export function cookieSecrets(header: string | undefined, name: string): readonly string[] {
  return (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1))
    .filter((value) => secretPattern.test(value))
}

export function sessionCookie(name: string, secret: string): string {
  return `${name}=${secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${sessionMsMax / 1000}`
}

export function noCookie(name: string): string {
  return `${name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`
}
