/**
 * Applications at the end of the message log: what is new is read once a turn and offered to each
 * of them, so that a reader costs a look at its filters and no reading of its own. Who is further
 * behind catches up by himself.
 */
import type { ApplicationFeed, MessageRow } from '../../ports.ts'

export interface Reader {
  /** Takes what comes after `position`, if that is where it stands. */
  offered(position: number, rows: readonly MessageRow[]): void
}

/** Rows of one turn: others want to be served too. */
const pageMax = 256

export class Follower {
  readonly readers: Set<Reader> = new Set()
  readonly #feed: ApplicationFeed
  readonly #failed: (error: unknown) => void
  #position = 0
  #isScheduled = false

  constructor(feed: ApplicationFeed, failed: (error: unknown) => void) {
    this.#feed = feed
    this.#failed = failed
  }

  /** There is something new. With whatever else comes in this turn of the event loop. */
  wake(): void {
    if (this.#isScheduled || this.readers.size === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#turn().catch(this.#failed)
    })
  }

  join(reader: Reader): void {
    // Nobody was there: what came meanwhile was for nobody.
    if (this.readers.size === 0) this.#position = this.#feed.head()
    this.readers.add(reader)
  }

  async #turn(): Promise<void> {
    this.#isScheduled = false
    const position = this.#position
    const rows = await this.#feed.after(position, pageMax)
    const last = rows.at(-1)
    // Two turns may have read the same: the first one has offered it.
    if (last === undefined || position !== this.#position) return
    this.#position = last.seq
    for (const reader of this.readers) reader.offered(position, rows)
    if (rows.length === pageMax) this.wake()
  }
}
