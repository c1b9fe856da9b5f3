/**
 * One-time links: the way from a terminal that may use the control socket to a browser of the same
 * person. A link opens once and for ten minutes; of its code only the hash is kept, in memory, so
 * that a link ends with the process that made it.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import { TokenBuckets } from '../rates.ts'

/** What `GET /open?code=` carries, and until when it works. */
export interface PageCode {
  readonly code: string
  readonly expiresAt: Milliseconds
}

export type Redeemed = 'right' | 'wrong' | 'tooMany'

/** 256 bits, so that guessing is hopeless at any rate. */
const secretBytes = 32
const linkMsMax = 600_000
/** `serve` prints one; whoever asks for more than this has lost the first. */
const linksMax = 8
/**
 * A person mistypes once or twice; more is a program, and need not be answered quickly. A new link
 * begins with all of them.
 */
const attempts = { burst: 10, perSecond: 0.1 }

interface Link {
  readonly hash: Buffer
  readonly expiresAt: Milliseconds
}

export class PageLinks {
  readonly #clock: Clock
  readonly #random: Random
  #links: readonly Link[] = []
  #attempts: TokenBuckets

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
    this.#attempts = new TokenBuckets(clock, 1)
  }

  issue(): PageCode {
    const code = drawSecret(this.#random)
    const expiresAt = this.#clock.now() + linkMsMax
    this.#links = [...this.#links, { hash: hashOf(code), expiresAt }].slice(-linksMax)
    this.#attempts = new TokenBuckets(this.#clock, 1)
    return { code, expiresAt }
  }

  /**
   * A right code is used up by this, and opens however many wrong ones came before it: whoever may
   * reach this door, every user of the machine, must not be able to shut it.
   */
  redeem(code: string): Redeemed {
    const now = this.#clock.now()
    const live = this.#links.filter(({ expiresAt }) => expiresAt > now)
    const given = hashOf(code)
    // All of them are compared, so that the time says nothing about which one came near.
    const matches = live.map(({ hash }) => timingSafeEqual(hash, given))
    this.#links = live.filter((_link, at) => matches[at] !== true)
    if (matches.includes(true)) return 'right'
    return this.#attempts.take('', attempts) > 0 ? 'tooMany' : 'wrong'
  }
}

export function drawSecret(random: Random): string {
  return Buffer.from(random.bytes(secretBytes)).toString('base64url')
}

/** Drawn secrets need no salt: nobody has a table of them. */
export function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
