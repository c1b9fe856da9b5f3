/**
 * What the page asks for beside its stream. What each answer costs, whatever the house has grown to:
 *
 * - snapshot: one count per state over an index (each ends at a bound; kept for a moment, for
 *   everybody), and what the logs have gained since somebody last looked, at most 2,000 entries each;
 * - devices: one range of an index, a page long, and the same reading of the message log;
 * - a device: its newest 500 audit entries and its certificates, by index.
 */

import { isCountersignError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import type { DeviceRow, DeviceState, Store } from '../ports.ts'
import { deviceStates } from '../recordValues.ts'
import type { MessageGlance, RefusalGroup, RemedyOf } from './glance.ts'
import { RecentNews } from './recentNews.ts'

/** The registry, as the page sees it. */
export interface PageRegistry {
  /** Throws CallerError ERR_DEVICE_UNKNOWN or ERR_DEVICE_AMBIGUOUS. */
  find(text: string): Promise<DeviceRow>
  why(text: string): Promise<object>
  /** A row of the store, with what the device is worth now. */
  worthNow(row: DeviceRow): Promise<DeviceRow>
}

export interface OverviewParts {
  readonly store: Pick<Store, 'scan' | 'find' | 'count' | 'eventHead'>
  readonly registry: PageRegistry
  readonly remedyOf: RemedyOf
  readonly clock: Clock
  /** Number of the newest message, as far as it is known. */
  readonly head: () => number
  readonly version: string
  /** Made by the demo: its identities prove nothing. */
  readonly demo: boolean
}

export interface Snapshot {
  readonly version: string
  readonly demo: boolean
  readonly now: string
  /** The stream goes on after it. */
  readonly seq: number
  readonly counts: Readonly<Partial<Record<DeviceState, number>>>
  /** A count of this much means: this many or more. */
  readonly countMax: number
  readonly messages: readonly MessageGlance[]
  readonly refusals: readonly RefusalGroup[]
}

export interface PageDevice {
  readonly id: string
  readonly eui64: string
  readonly serial: string
  readonly product: string
  readonly state: DeviceState
  readonly reason: string | null
  readonly assurance: number
  readonly road: string | null
  readonly firstSeen: string | null
  readonly lastSeen: string | null
  readonly last: { readonly time: string; readonly topic: string; readonly data: string } | null
}

export interface DevicePage {
  readonly devices: readonly PageDevice[]
  /** What `after` of the next page is; null on the last one. */
  readonly next: string | null
}

export interface DevicesQuery {
  readonly state?: DeviceState | undefined
  /** Serial number, EUI-64 or id. */
  readonly find?: string | undefined
  readonly after?: string | undefined
}

const devicesPerPage = 50
/** Counting on says nothing to a person, and holds up the doors: so much takes some milliseconds. */
const countMax = 100_000
const countsKeptMs = 2_000

export class Overview {
  readonly news: RecentNews
  readonly #parts: OverviewParts
  #counts: { readonly at: Milliseconds; readonly counts: Promise<Snapshot['counts']> } | undefined

  constructor(parts: OverviewParts) {
    this.#parts = parts
    this.news = new RecentNews(parts)
  }

  async snapshot(): Promise<Snapshot> {
    const { version, demo, clock } = this.#parts
    // The stream goes on where the messages end: what is read after them holds all that was before,
    // and what comes meanwhile is told twice rather than never.
    const { seq, messages } = await this.news.feed()
    const [counts, refusals] = await Promise.all([this.#countsNow(), this.news.refusals()])
    const now = rfc3339(clock.now())
    return { version, demo, now, seq, counts, countMax, messages, refusals }
  }

  /** In the order of ids. */
  async devices(query: DevicesQuery): Promise<DevicePage> {
    const rows = await this.#rowsOf(query)
    const shown = rows.slice(0, devicesPerPage)
    const last = await this.news.lastOf(shown.map(({ id }) => id))
    const { registry } = this.#parts
    const worthy = await Promise.all(shown.map((row) => registry.worthNow(row)))
    const devices = worthy.map((row, at) => deviceOf(row, last[at]))
    return { devices, next: rows.length > devicesPerPage ? (shown.at(-1)?.id ?? null) : null }
  }

  /** undefined: there is none, or the name is not clear. */
  async device(name: string): Promise<{ device: PageDevice; why: object } | undefined> {
    const row = await this.#find(name)
    if (row === undefined) return undefined
    const [last] = await this.news.lastOf([row.id])
    return { device: deviceOf(row, last), why: await this.#parts.registry.why(row.id) }
  }

  async #rowsOf({ state, find, after }: DevicesQuery): Promise<readonly DeviceRow[]> {
    if (find !== undefined) {
      const row = await this.#find(find)
      return row === undefined ? [] : [row]
    }
    const { store } = this.#parts
    const page = { limit: devicesPerPage + 1, ...(after === undefined ? {} : { after }) }
    return state === undefined
      ? await store.scan('device', page)
      : await store.find('device', 'state', state, page)
  }

  async #find(name: string): Promise<DeviceRow | undefined> {
    try {
      return await this.#parts.registry.find(name)
    } catch (error) {
      if (isCountersignError(error) && error.code.startsWith('ERR_DEVICE_')) return undefined
      throw error
    }
  }

  #countsNow(): Promise<Snapshot['counts']> {
    const at = this.#parts.clock.now()
    const age = at - (this.#counts?.at ?? Number.NEGATIVE_INFINITY)
    // A clock set back must not keep them for ever.
    if (this.#counts !== undefined && age >= 0 && age < countsKeptMs) return this.#counts.counts
    const counts = this.#count()
    this.#counts = { at, counts }
    return counts
  }

  async #count(): Promise<Snapshot['counts']> {
    const counts: Partial<Record<DeviceState, number>> = {}
    for (const state of deviceStates) {
      const count = await this.#parts.store.count('device', 'state', state, countMax)
      if (count > 0) counts[state] = count
    }
    return counts
  }
}

function deviceOf(row: DeviceRow, message: MessageGlance | undefined): PageDevice {
  const { id, eui64, serial, product, state, reason, assurance, road, firstSeen, lastSeen } = row
  const last = message === undefined ? null : lastOf(message)
  return {
    id,
    eui64,
    serial,
    product,
    state,
    reason,
    assurance,
    road,
    firstSeen: firstSeen === null ? null : rfc3339(firstSeen),
    lastSeen: lastSeen === null ? null : rfc3339(lastSeen),
    last,
  }
}

function lastOf({ time, topic, data }: MessageGlance): PageDevice['last'] {
  return { time, topic, data }
}

function rfc3339(time: Milliseconds): string {
  return new Date(time).toISOString()
}
