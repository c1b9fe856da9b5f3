/**
 * A clock and its timers without a real second in them: what was asked for later happens when the
 * test lets time pass, in the order of its times, equal times in the order of asking. Between two
 * timers all promises that can go on have gone on, so a seed makes one order of events.
 *
 * Work that the machine itself does (a file, a thread of the pool) is not a promise that can go on:
 * it is handed to `during`, and time stands still until it is done.
 */
import { CallerError } from '@countersign/core/errors'
import type { Clock, Milliseconds, Timers } from '@countersign/core/ports'

export type VirtualTimeErrorCode =
  | 'ERR_TIME_BACKWARDS'
  | 'ERR_TIME_BUSY'
  | 'ERR_TIME_IDLE'
  | 'ERR_TIME_ENDLESS'

interface Timer {
  readonly at: Milliseconds
  readonly run: () => void
}

export interface Timeline extends Clock, Timers {}

/** What one process has of the time: when it ends, so do its timers, and it gets no new ones. */
export interface Life extends Timeline {
  readonly alive: boolean
  end(): void
}

/** 2026-01-01T00:00:00Z: a time that certificates of tests can be written for. */
const beginning = Date.UTC(2026, 0, 1)
/** Two processes that keep each other awake for ever are a mistake, not a world. */
const timersRunMax = 1_000_000
/**
 * Promises have all gone on after one turn of the loop; a second and a third are for code that
 * waits for a turn itself, as a store does to gather what is written together.
 */
const turns = 3

export class VirtualTime implements Timeline {
  #now: Milliseconds
  /** In the order in which they run. */
  readonly #timers: Timer[] = []
  readonly #work: Set<Promise<unknown>> = new Set()
  #passing = false

  constructor(begin: Milliseconds = beginning) {
    this.#now = begin
  }

  now(): Milliseconds {
    return this.#now
  }

  after(milliseconds: number, run: () => void): { cancel(): void } {
    if (!(milliseconds >= 0 && milliseconds < Number.MAX_SAFE_INTEGER)) {
      throw misuse('ERR_TIME_BACKWARDS', `a timer cannot wait ${milliseconds} ms`)
    }
    // A clock counts whole milliseconds, and no timer is early.
    const timer: Timer = { at: this.#now + Math.ceil(milliseconds), run }
    this.#timers.splice(this.#placeOf(timer.at), 0, timer)
    return {
      cancel: () => {
        const at = this.#timers.indexOf(timer)
        if (at >= 0) this.#timers.splice(at, 1)
      },
    }
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.length
  }

  /** Lets so much time pass. What a timer throws comes out here. */
  advance(milliseconds: number): Promise<void> {
    const until = this.#now + milliseconds
    if (!(until >= this.#now)) {
      throw misuse('ERR_TIME_BACKWARDS', `time cannot pass by ${milliseconds} ms`)
    }
    return this.#pass(until, () => false)
  }

  /** Lets time pass until no timer waits, at most until `milliseconds` from now. */
  async run(milliseconds: number = Number.POSITIVE_INFINITY): Promise<void> {
    const until = this.#now + milliseconds
    await this.#pass(until, () => this.#timers.length === 0)
  }

  /**
   * Lets time pass until the promise is settled, and gives what it gave. Throws ERR_TIME_IDLE when
   * nothing is left that could settle it, or when `milliseconds` have passed.
   */
  async until<T>(promise: Promise<T>, milliseconds: number = Number.POSITIVE_INFINITY): Promise<T> {
    let settled = false
    const done = (): void => {
      settled = true
    }
    promise.then(done, done)
    const begun = this.#now
    const idle = (): boolean => settled || this.#timers.length === 0
    await this.#pass(begun + milliseconds, idle)
    if (settled) return promise
    throw misuse('ERR_TIME_IDLE', `after ${this.#now - begun} ms the promise was not settled`)
  }

  /** Time stands still while this work of the machine is under way. */
  during<T>(work: Promise<T>): Promise<T> {
    const held: Promise<void> = work.then(noMatter, noMatter)
    this.#work.add(held)
    void held.then(() => this.#work.delete(held))
    return work
  }

  /** A share of the time for a process that may be stopped at any moment. */
  life(): Life {
    const timers = new Set<{ cancel(): void }>()
    let alive = true
    return {
      get alive(): boolean {
        return alive
      },
      now: () => this.#now,
      after: (milliseconds, run) => {
        // A promise of a dead process still goes on here; what it asks for does not happen.
        if (!alive) return { cancel: () => undefined }
        const timer = this.after(milliseconds, () => {
          timers.delete(timer)
          run()
        })
        timers.add(timer)
        return {
          cancel: () => {
            timers.delete(timer)
            timer.cancel()
          },
        }
      },
      end: () => {
        alive = false
        for (const timer of timers) timer.cancel()
        timers.clear()
      },
    }
  }

  async #pass(until: Milliseconds, enough: () => boolean): Promise<void> {
    if (this.#passing) throw misuse('ERR_TIME_BUSY', 'time passes already')
    this.#passing = true
    try {
      await this.#settled()
      for (let count = 0; !enough(); count++) {
        const next = this.#timers[0]
        if (next === undefined || next.at > until) break
        if (count === timersRunMax) {
          throw misuse('ERR_TIME_ENDLESS', `${timersRunMax} timers ran, and still one waits`)
        }
        this.#timers.shift()
        this.#now = next.at
        next.run()
        await this.#settled()
      }
      if (Number.isFinite(until) && !enough()) this.#now = until
    } finally {
      this.#passing = false
    }
  }

  /** Every promise has gone on as far as it can without time. */
  async #settled(): Promise<void> {
    do {
      await Promise.all(this.#work)
      for (let turn = 0; turn < turns; turn++) await nextTurn()
    } while (this.#work.size > 0)
  }

  /** Behind those of the same time. */
  #placeOf(at: Milliseconds): number {
    let [low, high] = [0, this.#timers.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#timers[middle]?.at ?? at) <= at) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Whoever asked for the work is told how it went. */
const noMatter = (): void => undefined

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function misuse(code: VirtualTimeErrorCode, message: string): CallerError<VirtualTimeErrorCode> {
  return new CallerError(code, message)
}
