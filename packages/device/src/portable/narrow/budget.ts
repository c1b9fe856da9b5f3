/**
 * How often a handshake may begin. What makes one look necessary is as a rule not authenticated: a
 * 4.01, a Reset, silence. So whatever the reason, one begins per backoff period, and so many a day.
 * The count of the day is written down before each; the backoff lives as long as the process.
 */
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import type { RecordKeeper } from './keeper.ts'
import { dayMs, type NarrowLimits } from './limits.ts'

export class HandshakeBudget {
  readonly #clock: Clock
  readonly #random: Random
  readonly #keeper: RecordKeeper
  readonly #limits: NarrowLimits
  #failures = 0
  #notBefore: Milliseconds = 0

  constructor(
    parts: { readonly clock: Clock; readonly random: Random },
    keeper: RecordKeeper,
    limits: NarrowLimits,
  ) {
    this.#clock = parts.clock
    this.#random = parts.random
    this.#keeper = keeper
    this.#limits = limits
  }

  /** How long until one may begin; 0: now. */
  waitMs(): Milliseconds {
    const now = this.#now()
    const backoff = Math.max(0, this.#notBefore - now)
    const { began, handshakes } = this.#today(now)
    const day = handshakes < this.#limits.handshakesPerDayMax ? 0 : began + dayMs - now
    return Math.max(backoff, day)
  }

  /** Counts before anything is sent. */
  async begin(): Promise<void> {
    const now = this.#now()
    this.#notBefore = now + this.#backoffMs()
    this.#failures++
    await this.#keeper.change((record) => {
      const { began, handshakes } = this.#today(now)
      return { ...record, day: { began, handshakes: handshakes + 1 } }
    })
  }

  succeeded(): void {
    this.#failures = 0
    this.#notBefore = Math.min(this.#notBefore, this.#now() + this.#backoffMs())
  }

  /** One that the server itself has asked for need not wait, when the last one came to its end. */
  permit(): void {
    if (this.#failures === 0) this.#notBefore = 0
  }

  /** Written down it is a whole number. */
  #now(): Milliseconds {
    return Math.floor(this.#clock.now())
  }

  #today(now: Milliseconds): { readonly began: Milliseconds; readonly handshakes: number } {
    const { day } = this.#keeper.record
    // A clock that was set back, or counts from zero with each start, begins its day anew; a device
    // that starts again and again keeps its count.
    if (day.began > now) return { began: now, handshakes: day.handshakes }
    return now - day.began < dayMs ? day : { began: now, handshakes: 0 }
  }

  /** Doubled with each failure, and up to half of it more: devices do not come back all at once. */
  #backoffMs(): Milliseconds {
    const { backoffFirstMs, backoffMaxMs } = this.#limits
    const base = Math.min(backoffMaxMs, backoffFirstMs * 2 ** this.#failures)
    const [high = 0, low = 0] = this.#random.bytes(2)
    return Math.round(base * (1 + (high * 256 + low) / 131_072))
  }
}
