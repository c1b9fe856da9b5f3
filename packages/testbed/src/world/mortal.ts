/**
 * A process that may be stopped at any of its steps, as by SIGKILL or a power cut: what it had
 * written stays, what it had in memory is gone. A step is a moment at which the world could see
 * whether it is alive: before and after each effect. Its promises still go on in this test's
 * process, but nothing that they ask for happens, and nothing that they await comes.
 *
 * @example
 * const life = new Mortal(time, { stopAt: 7, stopped: () => link.close() })
 * const storage = { save: (record) => life.effect(async () => void (kept = record)) }
 */
import type { Milliseconds } from '@countersign/core/ports'
import type { Life, Timeline, VirtualTime } from './virtualTime.ts'

export interface MortalOptions {
  /** The step, from 1, at which it stops; it lives on where nothing is said. */
  readonly stopAt?: number
  /** Told once, in the middle of whatever it was doing: its sockets are closed here. */
  readonly stopped?: () => void
}

export class Mortal implements Timeline {
  readonly #life: Life
  readonly #options: MortalOptions
  #steps = 0

  constructor(time: VirtualTime, options: MortalOptions = {}) {
    this.#life = time.life()
    this.#options = options
  }

  get alive(): boolean {
    return this.#life.alive
  }

  /** Taken so far. */
  get steps(): number {
    return this.#steps
  }

  now(): Milliseconds {
    return this.#life.now()
  }

  after(milliseconds: number, run: () => void): { cancel(): void } {
    return this.#life.after(milliseconds, run)
  }

  stop(): void {
    if (!this.alive) return
    this.#life.end()
    this.#options.stopped?.()
  }

  /** Whether it is alive after this step. */
  step(): boolean {
    if (this.alive && ++this.#steps === this.#options.stopAt) this.stop()
    return this.alive
  }

  /**
   * Something that stays, such as a write, after so much time: it happens whole or not at all, and
   * whoever asked may not live to hear of it.
   */
  async effect<T>(make: () => Promise<T>, milliseconds = 0): Promise<T> {
    if (milliseconds > 0) await this.wait(milliseconds)
    if (!this.step()) return await never()
    const result = await make()
    return this.step() ? result : await never()
  }

  /** Something that only looks. */
  async look<T>(make: () => Promise<T>): Promise<T> {
    if (!this.alive) return await never()
    const result = await make()
    return this.alive ? result : await never()
  }

  /** As `effect`, for what is done at once and has no result, such as sending. */
  act(make: () => void): void {
    if (!this.step()) return
    make()
    this.step()
  }

  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.after(milliseconds, resolve))
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined)
}
