/**
 * The newest messages in memory, read from the store once for all who follow it: a reader at the
 * end of the log costs no read of its own. Who is further behind reads the store.
 */
import type { MessageRow, Store } from '../ports.ts'

/** Whichever is reached first; beyond it the oldest leave. */
const rowsMax = 1_024
/** Read at once: at most 64 KiB each. */
const pageMax = 256
const lengthMax = 4 * 1_048_576

export class Tail {
  readonly #store: Pick<Store, 'scan'>
  /** In the order of their numbers. */
  #rows: MessageRow[] = []
  #length = 0
  /** Every message after this one and up to the last of the rows is among them. */
  #after: number
  #reading: Promise<void> | undefined

  constructor(store: Pick<Store, 'scan'>) {
    this.#store = store
    this.#after = Number.POSITIVE_INFINITY
  }

  /** Messages after `position`, oldest first; none when there is nothing newer. */
  async read(position: number, limit: number): Promise<readonly MessageRow[]> {
    let kept = this.#kept(position, limit)
    if (kept?.length === 0 && this.#reading !== undefined) {
      // It may have begun before what this reader was woken for was written.
      await this.#reading
      kept = this.#kept(position, limit)
    }
    if (kept?.length === 0) {
      await (this.#reading ??= this.#readOn().finally(() => {
        this.#reading = undefined
      }))
      kept = this.#kept(position, limit)
    }
    // Ahead of what is kept: nobody has read for a while, and one page did not come so far.
    if (kept?.length === 0 && this.#end < position) kept = undefined
    // Behind what is kept; what was read meanwhile may have pushed it there.
    return kept ?? (await this.#store.scan('message', { after: position, limit }))
  }

  /** Begins to follow the log here; before it every read is one of the store. */
  follow(head: number): void {
    this.#rows = []
    this.#length = 0
    this.#after = head
  }

  get #end(): number {
    return this.#rows.at(-1)?.seq ?? this.#after
  }

  #kept(position: number, limit: number): readonly MessageRow[] | undefined {
    if (position < this.#after) return undefined
    const from = this.#firstAfter(position)
    return this.#rows.slice(from, from + limit)
  }

  /** Numbers may have gaps: found by halving. */
  #firstAfter(position: number): number {
    let [low, high] = [0, this.#rows.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#rows[middle]?.seq ?? 0) <= position) low = middle + 1
      else high = middle
    }
    return low
  }

  async #readOn(): Promise<void> {
    const page = await this.#store.scan('message', { after: this.#end, limit: pageMax })
    for (const row of page) this.#length += row.body.length
    this.#rows.push(...page)
    this.#drop()
  }

  #drop(): void {
    let gone = 0
    while (this.#rows.length - gone > rowsMax || this.#length > lengthMax) {
      const oldest = this.#rows[gone]
      if (oldest === undefined) break
      this.#length -= oldest.body.length
      this.#after = oldest.seq
      gone += 1
    }
    if (gone > 0) this.#rows = this.#rows.slice(gone)
  }
}
