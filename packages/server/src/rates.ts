/**
 * Token buckets by name, without a timer: a bucket is filled when it is looked at. The least
 * recently used is forgotten first.
 */
import type { Clock, Milliseconds } from '@countersign/core/ports'
import { Recent } from './recent.ts'

interface Bucket {
  tokens: number
  at: Milliseconds
}

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export class TokenBuckets {
  readonly #clock: Clock
  readonly #buckets: Recent<Bucket>

  constructor(clock: Clock, bucketsMax: number) {
    this.#clock = clock
    this.#buckets = new Recent(bucketsMax)
  }

  /**
   * Takes one token: 0 when there was one, else the milliseconds until there is (Infinity for a
   * rate of zero).
   */
  take(name: string, rate: Rate): number {
    const now = this.#clock.now()
    const bucket = this.#bucket(name, rate.burst, now)
    // A clock set back must neither drain nor freeze the bucket.
    const elapsed = Math.max(0, now - bucket.at)
    bucket.tokens = Math.min(rate.burst, bucket.tokens + (elapsed * rate.perSecond) / 1000)
    bucket.at = now
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1
      return 0
    }
    return ((1 - bucket.tokens) * 1000) / rate.perSecond
  }

  #bucket(name: string, burst: number, now: Milliseconds): Bucket {
    const known = this.#buckets.get(name)
    if (known !== undefined) return known
    const bucket = { tokens: burst, at: now }
    this.#buckets.set(name, bucket)
    return bucket
  }
}
