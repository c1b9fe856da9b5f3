/**
 * Message IDs (RFC 7252 §4.4): none goes to the same peer twice within EXCHANGE_LIFETIME. Counters
 * with random starts, each for all peers that hash to it: their number is fixed, and so is the
 * memory.
 */
import { fromBigEndian } from '../codec/index.ts'
import type { Clock, Random } from '../ports.ts'

/** Half of all Message IDs. A half is begun again when the last one of it is old enough. */
const halfRange = 0x8000

interface Counter {
  readonly begin: number
  issued: number
  /** When each half was last taken from. */
  readonly lastAt: [number, number]
}

export class MessageIds {
  readonly #clock: Clock
  readonly #random: Random
  readonly #lifetimeMs: number
  readonly #countersMax: number
  readonly #seed: number
  readonly #counters: Map<number, Counter> = new Map()

  constructor(clock: Clock, random: Random, lifetimeMs: number, countersMax: number) {
    this.#clock = clock
    this.#random = random
    this.#lifetimeMs = lifetimeMs
    this.#countersMax = countersMax
    this.#seed = fromBigEndian(random.bytes(4))
  }

  /** Undefined: all of them were used too recently. */
  next(peer: string): number | undefined {
    const counter = this.#counterOf(peer)
    const now = this.#clock.now()
    const half = Math.floor(counter.issued / halfRange) % 2 === 0 ? 0 : 1
    const isBegunAgain = counter.issued % halfRange === 0 && counter.issued >= 2 * halfRange
    const age = now - counter.lastAt[half]
    // A clock that was set back says nothing about it.
    if (isBegunAgain && age >= 0 && age < this.#lifetimeMs) return undefined
    counter.lastAt[half] = now
    return (counter.begin + counter.issued++) & 0xffff
  }

  #counterOf(peer: string): Counter {
    const slot = hashOf(peer, this.#seed) % this.#countersMax
    const found = this.#counters.get(slot)
    if (found !== undefined) return found
    const counter: Counter = {
      begin: fromBigEndian(this.#random.bytes(4)),
      issued: 0,
      lastAt: [0, 0],
    }
    this.#counters.set(slot, counter)
    return counter
  }
}

/** FNV-1a. Nobody outside knows who shares a counter with whom. */
function hashOf(text: string, seed: number): number {
  let hash = seed
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x0100_0193)
  }
  return (hash ^ (hash >>> 16)) >>> 0
}
