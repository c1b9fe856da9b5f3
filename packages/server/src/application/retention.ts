/**
 * How long messages stay: until every application has had them, and every MQTT session of one that
 * is kept; and at least for the time named in the limits, so that an events door can go back. A
 * bound on their number protects the disk; what it drops is written into the audit log.
 */
import type { Clock } from '@countersign/core/ports'
import type { Log, Store } from '../ports.ts'
import type { Cursors } from './cursors.ts'
import type { ApplicationLimits } from './limits.ts'

export interface RetentionParts {
  readonly store: Pick<Store, 'scan' | 'find' | 'apply' | 'trimMessages'>
  readonly cursors: Cursors
  readonly clock: Clock
  readonly log: Log
  readonly limits: ApplicationLimits
}

export class Retention {
  readonly #parts: RetentionParts
  /** The newest message; known to be at least that. */
  #head = 0

  constructor(parts: RetentionParts) {
    this.#parts = parts
  }

  get head(): number {
    return this.#head
  }

  grown(throughSeq: number): void {
    if (throughSeq > this.#head) this.#head = throughSeq
  }

  /**
   * Finds the newest message by halving: sequence numbers may have gaps, so existence is asked, not
   * counted.
   */
  async findHead(): Promise<void> {
    let step = 1
    while (await this.#anyAfter(this.#head + step)) {
      this.#head += step
      step *= 2
    }
    for (; step >= 1; step = Math.floor(step / 2))
      if (await this.#anyAfter(this.#head + step - 1)) this.#head += step
  }

  /** Drops what nobody waits for, then what no longer fits. */
  async run(): Promise<void> {
    const { store, cursors, limits } = this.#parts
    await this.findHead()
    const oldest = (await store.scan('message', { limit: 1 })).at(0)?.seq
    if (oldest === undefined) return
    const read = Math.min(cursors.lowest() ?? this.#head, this.#head)
    const had = Math.min(read, ...(await this.#sessionPositions()))
    const past = await this.#lastOlderThan(this.#parts.clock.now() - limits.keptMs, oldest, had)
    const overflow = this.#head - limits.messagesMax
    if (overflow > had && overflow >= oldest)
      await this.#tellDropped(Math.max(oldest, had + 1), overflow)
    const through = Math.max(past, overflow)
    if (through >= oldest) await store.trimMessages(through)
  }

  /** How far the kept MQTT sessions of applications have read: each goes on where it stands. */
  async #sessionPositions(): Promise<readonly number[]> {
    const { store, cursors, clock } = this.#parts
    const now = clock.now()
    const found = await Promise.all(
      cursors.applications.map((id) => store.find('mqttSession', 'holder', id)),
    )
    return found
      .flat()
      .filter(({ leftAt, expiryMs }) => leftAt === null || now < leftAt + expiryMs)
      .map(({ position }) => position)
      .filter((position) => position >= 0)
  }

  /**
   * The last message within [from, through] that is older than `time`; from - 1 when there is none.
   * Times grow with numbers.
   */
  async #lastOlderThan(time: number, from: number, through: number): Promise<number> {
    let low = from - 1
    let high = through
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const [next] = await this.#parts.store.scan('message', { after: middle - 1, limit: 1 })
      if (next !== undefined && next.time < time && next.seq <= high) low = next.seq
      else high = middle - 1
    }
    return low
  }

  async #anyAfter(seq: number): Promise<boolean> {
    return (await this.#parts.store.scan('message', { after: seq, limit: 1 })).length > 0
  }

  async #tellDropped(first: number, last: number): Promise<void> {
    const { store, clock, log } = this.#parts
    const data = { first, last, kept: this.#parts.limits.messagesMax }
    log.error(data, 'messages that no application had read were dropped: too many waited')
    await store.apply({
      events: [
        {
          time: clock.now(),
          type: 'messages.dropped',
          subject: 'messages',
          actor: 'system',
          data: JSON.stringify(data),
        },
      ],
    })
  }
}
