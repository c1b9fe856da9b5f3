/**
 * Applications at the end of the message log. What is new is read once a turn and handed to those
 * whose filters want it: a reader that follows costs nothing for messages that are not for it. Who
 * cannot take a message, or is further behind, reads by himself and joins again at the end.
 */
import type { Milliseconds } from '@countersign/core/ports'
import type { ApplicationFeed, MessageRow, Timers } from '../../ports.ts'
import { type FilterSet, hasWildcard } from './filters.ts'
import { topicsOf } from './outgoing.ts'

export interface Reader {
  /** Must not change while it follows. */
  readonly filters: FilterSet
  /** False: it has no room, and what is left of this message goes later. */
  take(row: MessageRow): boolean
  /** It follows no more; everything up to `position` it has had. */
  fellBehind(position: number): void
  /** Now and then: how far it has read may be written down. */
  passed(): void
  /** It may try to join again. */
  wake(): void
}

export interface FollowerParts {
  readonly feed: ApplicationFeed
  readonly timers: Timers
  readonly passEveryMs: Milliseconds
  readonly failed: (error: unknown) => void
}

/** Rows of one turn: others want to be served too. */
const pageMax = 256

export class Follower {
  readonly #parts: FollowerParts
  /** Those who follow, with the filters by which they are found; undefined: asked for each message. */
  readonly #following: Map<Reader, readonly string[] | undefined> = new Map()
  readonly #byTopic: Map<string, Set<Reader>> = new Map()
  readonly #byWildcard: Set<Reader> = new Set()
  /** Ahead of this turn: they have read by themselves what it is about to read. */
  readonly #ahead: Set<Reader> = new Set()
  #position = 0
  /** Everyone who follows has been offered everything up to here. */
  #handedThrough = 0
  #isScheduled = false
  #isClosed = false
  #passing: { cancel(): void } | undefined

  constructor(parts: FollowerParts) {
    this.#parts = parts
  }

  /** Where those who follow stand. */
  get position(): number {
    return this.#position
  }

  /** There is something new. With whatever else comes in this turn of the event loop. */
  wake(): void {
    if (this.#isScheduled || this.#following.size === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#turn()
        .catch((error: unknown) => this.#failed(error))
        .finally(() => this.#turned())
    })
  }

  /** Of a reader that has read to the end. False: it is woken when it may try again. */
  join(reader: Reader, position: number): boolean {
    if (this.#following.size === 0 && !this.#isScheduled)
      this.#position = this.#handedThrough = position
    if (position !== this.#position) {
      this.#ahead.add(reader)
      return false
    }
    const filters = [...reader.filters.entries()].map(([filter]) => filter)
    const exact = filters.some(hasWildcard) ? undefined : filters
    this.#following.set(reader, exact)
    if (exact === undefined) this.#byWildcard.add(reader)
    for (const topic of exact ?? []) this.#readersOf(topic).add(reader)
    return true
  }

  leave(reader: Reader): void {
    this.#ahead.delete(reader)
    this.#byWildcard.delete(reader)
    for (const topic of this.#following.get(reader) ?? []) {
      const readers = this.#byTopic.get(topic)
      readers?.delete(reader)
      if (readers?.size === 0) this.#byTopic.delete(topic)
    }
    this.#following.delete(reader)
  }

  /** Something was taken or acknowledged: soon everyone is asked how far he is. */
  stir(): void {
    if (this.#isClosed) return
    this.#passing ??= this.#parts.timers.after(this.#parts.passEveryMs, () => {
      this.#passing = undefined
      for (const reader of this.#following.keys()) reader.passed()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#passing?.cancel()
  }

  async #turn(): Promise<void> {
    const { feed } = this.#parts
    const head = feed.head()
    const rows = await feed.after(this.#position, pageMax)
    // Forgotten by the house before it was read: there is nothing up to the end.
    if (rows.length === 0 && this.#position < head) this.#position = this.#handedThrough = head
    for (const row of rows) {
      const before = this.#position
      this.#position = row.seq
      this.#handedThrough = before
      this.#hand(row, before)
      this.#handedThrough = row.seq
    }
    if (rows.length > 0) this.stir()
  }

  /**
   * Whoever follows reads by himself, and ends his connection if he cannot: tried again here, it
   * would be tried in every turn.
   */
  #failed(error: unknown): void {
    this.#parts.failed(error)
    const readers = [...this.#following.keys()]
    for (const reader of readers) {
      this.leave(reader)
      reader.fellBehind(this.#handedThrough)
    }
  }

  #turned(): void {
    this.#isScheduled = false
    if (this.#position < this.#parts.feed.head()) this.wake()
    const ahead = [...this.#ahead]
    this.#ahead.clear()
    for (const reader of ahead) reader.wake()
  }

  #hand(row: MessageRow, before: number): void {
    const { data, event } = topicsOf(row)
    const ofData = data === undefined ? undefined : this.#byTopic.get(data)
    for (const reader of ofData ?? []) this.#offer(reader, row, before)
    for (const reader of this.#byTopic.get(event) ?? [])
      if (ofData?.has(reader) !== true) this.#offer(reader, row, before)
    for (const reader of this.#byWildcard) this.#offer(reader, row, before)
  }

  #offer(reader: Reader, row: MessageRow, before: number): void {
    // Left while others were served.
    if (!this.#following.has(reader) || reader.take(row)) return
    this.leave(reader)
    reader.fellBehind(before)
  }

  #readersOf(topic: string): Set<Reader> {
    let readers = this.#byTopic.get(topic)
    if (readers === undefined) {
      readers = new Set()
      this.#byTopic.set(topic, readers)
    }
    return readers
  }
}
