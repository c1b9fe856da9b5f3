/**
 * Reads a log forward that others write: from where it was, but from no more than a bounded number
 * of entries before the end, so that a first look at a long log costs no more than any other.
 */
import type { Store, Tables } from '../ports.ts'

type LogTable = 'message' | 'event'

export interface LogTailParts<T extends LogTable> {
  readonly store: Pick<Store, 'scan'>
  readonly table: T
  /** Number of the newest entry, as far as it is known. */
  readonly head: () => Promise<number> | number
  readonly take: (row: Tables[T]) => void
  readonly backMax: number
}

/** Rows read at once: a message may have 90 kB. */
const pageMax = 64

export class LogTail<T extends LogTable> {
  readonly #parts: LogTailParts<T>
  #position = 0
  #running: Promise<void> | undefined

  constructor(parts: LogTailParts<T>) {
    this.#parts = parts
  }

  /** Everything up to this entry was taken, as far as it is kept. */
  get position(): number {
    return this.#position
  }

  /** Who asks while it reads waits for the same reading. */
  catchUp(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** A row that somebody else has read anyway. Those before it are no longer asked for. */
  saw(row: Tables[T]): void {
    if (row.seq <= this.#position) return
    this.#position = row.seq
    this.#parts.take(row)
  }

  async #run(): Promise<void> {
    const { store, table, backMax } = this.#parts
    const head = await this.#parts.head()
    this.#position = Math.max(this.#position, head - backMax)
    while (this.#position < head) {
      const page = await store.scan(table, { after: this.#position, limit: pageMax })
      for (const row of page) this.saw(row)
      if (page.length < pageMax) break
      // SQLite answers on this thread: others come in between.
      await new Promise((resolve) => setImmediate(resolve))
    }
    // What was forgotten meanwhile is not waited for.
    this.#position = Math.max(this.#position, head)
  }
}
