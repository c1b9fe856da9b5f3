/**
 * How often a handshake may begin. What makes one look necessary is as a rule not authenticated: a
 * 4.01, a Reset, silence. So whatever the reason, one begins per backoff period, and so many a day.
 * Both are written down before each, in one go: sleep and power cuts do not reset them.
 */
import { fromBigEndian } from '@countersign/core/codec'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import type { RecordChange } from './contexts.ts'
import type { RecordKeeper } from './keeper.ts'
import { dayMs, type NarrowLimits } from './limits.ts'

export interface BudgetParts {
  /** As the channel knows it. */
  readonly time: Clock
  readonly random: Random
  /** False: nothing measures how long the device was off. */
  readonly hasClock: boolean
}

/** Doubled so often, any backoff is beyond its limit. */
const failuresMax = 32

export class HandshakeBudget {
  readonly #parts: BudgetParts
  readonly #keeper: RecordKeeper
  readonly #limits: NarrowLimits
  /** 0 … 1: up to half of the backoff is added, so that devices do not come back all at once. */
  #spread: number
  #isPermitted = false
  #isFirst = true

  constructor(parts: BudgetParts, keeper: RecordKeeper, limits: NarrowLimits) {
    this.#parts = parts
    this.#keeper = keeper
    this.#limits = limits
    this.#spread = this.#draw()
  }

  /** How long until one may begin; 0: now. */
  waitMs(): Milliseconds {
    const now = this.#parts.time.now()
    return Math.max(this.#backoffAt(now), this.#restOfDay(now))
  }

  /** Counts before anything is sent. */
  async begin(): Promise<void> {
    const now = this.#parts.time.now()
    this.#isPermitted = false
    this.#isFirst = false
    this.#spread = this.#draw()
    await this.#keeper.change((record) => {
      const { began, handshakes } = this.#today(now)
      const failures = Math.min(record.day.failures + 1, failuresMax)
      return { ...record, day: { began, handshakes: handshakes + 1, last: now, failures } }
    })
  }

  /** Written down with the context that the handshake has made. */
  readonly succeeded: RecordChange = (record) => ({
    ...record,
    day: { ...record.day, failures: 0 },
  })

  /** One that the server itself or the device wants need not wait, when the last one came to its end. */
  permit(): void {
    this.#isPermitted = this.#keeper.record.day.failures === 0
  }

  /** Doubled with each failure. */
  #backoffAt(now: Milliseconds): Milliseconds {
    const { handshakes, last, failures } = this.#keeper.record.day
    // A clock that was set back says nothing of how long it is ago.
    if (handshakes === 0 || this.#isPermitted || this.#isUnmeasured || now < last) return 0
    const { backoffFirstMs, backoffMaxMs } = this.#limits
    const base = Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.max(0, failures - 1))
    return Math.max(0, Math.round(base * (1 + this.#spread / 2)) - (now - last))
  }

  #restOfDay(now: Milliseconds): Milliseconds {
    const { began, handshakes } = this.#today(now)
    if (handshakes < this.#limits.handshakesPerDayMax) return 0
    return this.#isUnmeasured ? 0 : began + dayMs - now
  }

  /** Days may have passed since its life before: one in each life, or it would never come back. */
  get #isUnmeasured(): boolean {
    return !this.#parts.hasClock && this.#isFirst
  }

  #today(now: Milliseconds): { readonly began: Milliseconds; readonly handshakes: number } {
    const { began, handshakes } = this.#keeper.record.day
    // A clock that was set back begins its day anew, and keeps its count.
    if (began > now) return { began: now, handshakes }
    return now - began < dayMs ? { began, handshakes } : { began: now, handshakes: 0 }
  }

  #draw(): number {
    return fromBigEndian(this.#parts.random.bytes(2)) / 65_536
  }
}
