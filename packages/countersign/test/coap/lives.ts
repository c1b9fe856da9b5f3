/**
 * One process after another: each lives until it is stopped at a step or ends by itself, stays away
 * for a while and begins anew with what it had written.
 */
import type { Milliseconds } from '@countersign/core/ports'
import { Mortal, type VirtualTime } from '@countersign/testbed'

/** What becomes of one life; nothing said: it lives on. */
export interface Fate {
  /** As by SIGKILL, at this step. */
  readonly stopAt?: number
  /** Ends by itself after so long, which may be cut short by the other. */
  readonly endsAfterMs?: Milliseconds
}

export interface Process {
  readonly life: Mortal
  /** Sockets and the like, which the system closes when a process is gone. */
  readonly whenGone: (close: () => void) => void
  /** How this one ends by itself. */
  readonly toEnd: (end: () => Promise<void>) => void
}

export interface LivesParts {
  readonly time: VirtualTime
  /** `number`: 0 is the first life. */
  readonly fateOf: (number: number) => Fate
  readonly awayMs: (number: number) => Milliseconds
  readonly live: (process: Process) => Promise<void>
  /** Of a process that was alive: a mistake of ours. */
  readonly failed: (error: unknown) => void
}

export class Lives {
  readonly #parts: LivesParts
  #count = 0
  #stopped = 0
  #ended = 0
  #current: Mortal | undefined

  constructor(parts: LivesParts) {
    this.#parts = parts
  }

  get stopped(): number {
    return this.#stopped
  }

  get ended(): number {
    return this.#ended
  }

  /** Steps of the present life. */
  get steps(): number {
    return this.#current?.steps ?? 0
  }

  begin(): void {
    const { time, fateOf, awayMs, live, failed } = this.#parts
    const number = this.#count++
    const { stopAt, endsAfterMs } = fateOf(number)
    const closers: (() => void)[] = []
    let isEnding = false
    const stopped = (): void => {
      for (const close of closers) close()
      if (isEnding) this.#ended++
      else this.#stopped++
      time.after(awayMs(number), () => this.begin())
    }
    const life = new Mortal(time, { stopped, ...(stopAt !== undefined && { stopAt }) })
    this.#current = life
    let end: (() => Promise<void>) | undefined
    const fault = (error: unknown): void => {
      if (life.alive) failed(error)
    }
    live({
      life,
      whenGone: (close) => void closers.push(close),
      toEnd: (how) => {
        end = how
      },
    }).catch(fault)
    if (endsAfterMs === undefined) return
    life.after(endsAfterMs, () => {
      // One that has not begun yet has nothing to end.
      Promise.resolve(end?.()).then(() => {
        isEnding = life.alive
        life.stop()
      }, fault)
    })
  }
}
