/**
 * What the page shows at once when it opens: the newest messages, the last message of each device,
 * the newest refusals. Kept in memory, and filled by reading only when somebody looks: a house whose
 * page nobody opens pays nothing.
 */
import type { MessageRow, Store } from '../ports.ts'
import { Recent } from '../recent.ts'
import {
  type Glance,
  glanceAt,
  type MessageGlance,
  grouped,
  type RefusalGroup,
  type RemedyOf,
  refusalOf,
} from './glance.ts'
import { LogTail } from './logTail.ts'

export interface RecentNewsParts {
  readonly store: Pick<Store, 'scan' | 'eventHead'>
  /** Number of the newest message, as far as it is known. */
  readonly head: () => number
  readonly remedyOf: RemedyOf
}

/** Messages and entries of the audit log that a first look goes back: some ten milliseconds each. */
const messagesBackMax = 2_000
const entriesBackMax = 2_000
/** Some 500 bytes each. Of a device beyond it nothing is shown until it sends again. */
const devicesMax = 10_000
const shownMax = 50
/** Several pages are shown the same message at nearly the same time. */
const glancesMax = 256

export class RecentNews {
  readonly #remedyOf: RemedyOf
  readonly #messages: LogTail<'message'>
  readonly #entries: LogTail<'event'>
  readonly #last: Recent<MessageGlance> = new Recent(devicesMax)
  readonly #glances: Recent<{ readonly glance: Glance | undefined }> = new Recent(glancesMax)
  #feed: readonly MessageGlance[] = []
  #refusals: readonly RefusalGroup[] = []

  constructor({ store, head, remedyOf }: RecentNewsParts) {
    this.#remedyOf = remedyOf
    this.#messages = new LogTail({
      store,
      table: 'message',
      head,
      backMax: messagesBackMax,
      take: (row) => this.#takeMessage(row),
    })
    this.#entries = new LogTail({
      store,
      table: 'event',
      head: async () => (await store.eventHead()).seq,
      backMax: entriesBackMax,
      take: (row) => {
        const refusal = refusalOf(row, remedyOf)
        if (refusal !== undefined)
          this.#refusals = grouped(this.#refusals, refusal).slice(0, shownMax)
      },
    })
  }

  /** The newest first, and the number of the last message that was looked at for it. */
  async feed(): Promise<{ readonly seq: number; readonly messages: readonly MessageGlance[] }> {
    await this.#messages.catchUp()
    return { seq: this.#messages.position, messages: this.#feed }
  }

  /** The newest first. */
  async refusals(): Promise<readonly RefusalGroup[]> {
    await this.#entries.catchUp()
    return this.#refusals
  }

  async lastOf(devices: readonly string[]): Promise<readonly (MessageGlance | undefined)[]> {
    await this.#messages.catchUp()
    return devices.map((device) => this.#last.get(device))
  }

  /** What a stream of the page is shown of a message: the lines of a server-sent event. */
  lines(row: MessageRow): string | undefined {
    this.#messages.saw(row)
    const glance = this.#glanceAt(row)
    return glance && `event: ${glance.event}\ndata: ${JSON.stringify(glance)}`
  }

  #takeMessage(row: MessageRow): void {
    const glance = this.#glanceAt(row)
    if (glance?.event !== 'message') return
    this.#last.set(glance.device, glance)
    this.#feed = [glance, ...this.#feed].slice(0, shownMax)
  }

  #glanceAt(row: MessageRow): Glance | undefined {
    const key = String(row.seq)
    const kept = this.#glances.get(key)
    if (kept !== undefined) return kept.glance
    const glance = glanceAt(row, this.#remedyOf)
    this.#glances.set(key, { glance })
    return glance
  }
}
