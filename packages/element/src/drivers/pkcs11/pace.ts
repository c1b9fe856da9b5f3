/**
 * Whether a token signs in this thread or in another. A call into the library keeps the turn; one by
 * the thread pool does not, but costs more than SoftHSM takes to sign. So the first signatures go to
 * the pool and are timed: a token in this process's memory answers in tens of microseconds and is
 * then called directly, a chip or an HSM in a network takes milliseconds and never is. A direct call
 * that takes long counts against it, and after a few the pool is used for good.
 */

/** Signatures that are timed before a direct call, one at a time. */
const samples = 4
/** The best of them; a hop to the pool and back is in it. */
const quickMs = 1
/** A direct call of this long is slow: a pause of the garbage collector, or a slow token. */
const slowMs = 1
const slowWeight = 8
const debtMax = 24

export class Pace {
  #left = samples
  #best = Number.POSITIVE_INFINITY
  #debt = 0
  #state: 'unknown' | 'direct' | 'pooled' = 'unknown'

  get state(): 'unknown' | 'direct' | 'pooled' {
    return this.#state
  }

  /** A signature took so long. */
  took(milliseconds: number): void {
    if (this.#state === 'unknown') this.#sample(milliseconds)
    else if (this.#state === 'direct') this.#weigh(milliseconds)
  }

  #sample(milliseconds: number): void {
    this.#best = Math.min(this.#best, milliseconds)
    this.#left--
    if (this.#left === 0) this.#state = this.#best < quickMs ? 'direct' : 'pooled'
  }

  #weigh(milliseconds: number): void {
    this.#debt = milliseconds < slowMs ? Math.max(0, this.#debt - 1) : this.#debt + slowWeight
    if (this.#debt > debtMax) this.#state = 'pooled'
  }
}
