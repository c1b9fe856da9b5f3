/**
 * A world that tests hold in their hand: a clock that stands still, timers that run when told,
 * randomness from a seed, a log that is kept.
 */
import type { Clock, Random } from '@countersign/core/ports'
import type { Log, LogFields, Timers } from '../../src/ports.ts'

export class ManualClock implements Clock {
  time: number

  constructor(time: number = Date.UTC(2026, 10, 23)) {
    this.time = time
  }

  now(): number {
    return this.time
  }
}

interface Armed {
  readonly at: number
  readonly milliseconds: number
  readonly run: () => void
}

export class ManualTimers implements Timers {
  readonly clock: ManualClock
  readonly #armed: Set<Armed> = new Set()
  #watchers: {
    matches: (milliseconds: number) => boolean
    seen: (milliseconds: number) => void
  }[] = []

  constructor(clock: ManualClock) {
    this.clock = clock
  }

  after(milliseconds: number, run: () => void): { cancel(): void } {
    const armed: Armed = { at: this.clock.time + milliseconds, milliseconds, run }
    this.#armed.add(armed)
    const watching = this.#watchers.find((watcher) => watcher.matches(milliseconds))
    if (watching !== undefined) {
      this.#watchers = this.#watchers.filter((watcher) => watcher !== watching)
      watching.seen(milliseconds)
    }
    return { cancel: () => void this.#armed.delete(armed) }
  }

  /**
   * Resolves with the time when a timer of such a length is armed, or at once when one already is.
   */
  armed(matches: (milliseconds: number) => boolean): Promise<number> {
    const now = [...this.#armed].find((armed) => matches(armed.milliseconds))
    if (now !== undefined) return Promise.resolve(now.milliseconds)
    return new Promise((seen) => this.#watchers.push({ matches, seen }))
  }

  /** Moves the clock and runs what falls due, in order. */
  advance(milliseconds: number): void {
    const end = this.clock.time + milliseconds
    for (;;) {
      const due = [...this.#armed]
        .filter((armed) => armed.at <= end)
        .toSorted((a, b) => a.at - b.at)
      const [next] = due
      if (next === undefined) break
      this.#armed.delete(next)
      this.clock.time = Math.max(this.clock.time, next.at)
      next.run()
    }
    this.clock.time = end
  }

  get count(): number {
    return this.#armed.size
  }
}

/** xorshift32: the same bytes for the same seed. Never for keys outside tests. */
export function seededRandom(seed: number): Random {
  let state = seed | 1
  return {
    bytes: (length) =>
      Uint8Array.from({ length }, () => {
        state ^= state << 13
        state ^= state >>> 17
        state ^= state << 5
        return state & 0xff
      }),
  }
}

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: LogFields
}

export class KeptLog implements Log {
  readonly lines: Line[] = []
  debug(fields: LogFields, message: string): void {
    this.lines.push({ level: 'debug', message, fields })
  }
  info(fields: LogFields, message: string): void {
    this.lines.push({ level: 'info', message, fields })
  }
  warn(fields: LogFields, message: string): void {
    this.lines.push({ level: 'warn', message, fields })
  }
  error(fields: LogFields, message: string): void {
    this.lines.push({ level: 'error', message, fields })
  }
}
