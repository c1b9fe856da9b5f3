/**
 * Messages that were received, remembered for deduplication (RFC 7252 §4.5): a retransmission has
 * the same bytes and comes from the same peer. Two halves, each bounded, the oldest goes first: a
 * flood of what is refused cannot push out what was answered with success.
 */
import type { Clock } from '../ports.ts'
import type { EndpointLimits } from './endpointParts.ts'

export interface Exchange {
  readonly key: string
  readonly expiresAt: number
  /** What the same message again is answered with. */
  answer: Uint8Array | undefined
  repeats: number
}

/** Beside as many as are there: what beginning anew costs is shared by these. */
const removedMax = 1000
/** Of an entry beside its bytes, roughly. */
const overheadBytes = 200

export class ExchangeMemory {
  readonly #clock: Clock
  readonly #lifetimeMs: number
  readonly #others: Half
  readonly #successes: Half

  constructor(clock: Clock, lifetimeMs: number, limits: EndpointLimits) {
    this.#clock = clock
    this.#lifetimeMs = lifetimeMs
    this.#others = new Half(limits)
    this.#successes = new Half(limits)
  }

  get size(): number {
    return this.#others.size + this.#successes.size
  }

  get bytes(): number {
    return this.#others.bytes + this.#successes.bytes
  }

  find(key: string): Exchange | undefined {
    const found = this.#successes.get(key) ?? this.#others.get(key)
    if (found === undefined || found.expiresAt > this.#clock.now()) return found
    this.forget(found)
    return undefined
  }

  /** One that is not there. */
  begin(key: string): Exchange {
    const now = this.#clock.now()
    this.#others.expire(now)
    this.#successes.expire(now)
    const exchange = { key, expiresAt: now + this.#lifetimeMs, answer: undefined, repeats: 0 }
    this.#others.put(exchange)
    return exchange
  }

  /** Nothing happens to one that had to go. */
  settle(exchange: Exchange, answer: Uint8Array | undefined, isSuccess: boolean): void {
    if (!this.#others.remove(exchange)) return
    exchange.answer = answer
    const half = isSuccess ? this.#successes : this.#others
    half.put(exchange)
  }

  forget(exchange: Exchange): void {
    this.#others.remove(exchange)
    this.#successes.remove(exchange)
  }

  clear(): void {
    this.#others.clear()
    this.#successes.clear()
  }
}

/**
 * A character for each byte: `apply` takes the array as it is, spreading it costs six times as
 * much.
 */
export function exchangeKey(from: string, datagram: Uint8Array): string {
  const bytes: string = Reflect.apply(String.fromCharCode, undefined, datagram)
  return `${from} ${bytes}`
}

class Half {
  readonly #limits: EndpointLimits
  readonly #byKey: Map<string, Exchange> = new Map()
  #along: IterableIterator<Exchange>
  #oldest: Exchange | undefined
  /** Since `#along` was begun. */
  #removed = 0
  #bytes = 0

  constructor(limits: EndpointLimits) {
    this.#limits = limits
    this.#along = this.#byKey.values()
  }

  get size(): number {
    return this.#byKey.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: string): Exchange | undefined {
    return this.#byKey.get(key)
  }

  put(exchange: Exchange): void {
    this.#byKey.set(exchange.key, exchange)
    this.#bytes += bytesOf(exchange)
    const { exchangesMax, exchangeBytesMax } = this.#limits
    while (this.#byKey.size > exchangesMax || this.#bytes > exchangeBytesMax) {
      const oldest = this.#first()
      if (oldest === undefined) return
      this.remove(oldest)
    }
  }

  remove(exchange: Exchange): boolean {
    if (this.#byKey.get(exchange.key) !== exchange) return false
    this.#byKey.delete(exchange.key)
    this.#bytes -= bytesOf(exchange)
    this.#removed++
    // One that stands still holds on to each table that its map has had, and what was in them.
    if (this.#removed > this.#byKey.size + removedMax) this.#begin()
    return true
  }

  expire(now: number): void {
    for (;;) {
      const oldest = this.#first()
      if (oldest === undefined || oldest.expiresAt > now) return
      this.remove(oldest)
    }
  }

  clear(): void {
    this.#byKey.clear()
    this.#bytes = 0
  }

  /**
   * The oldest that is there. One iterator goes along the map: a new one for each would step over
   * the holes that all those before have left.
   */
  #first(): Exchange | undefined {
    while (this.#oldest === undefined || this.get(this.#oldest.key) !== this.#oldest) {
      if (this.#byKey.size === 0) return undefined
      const next = this.#along.next()
      // It has ended once, and does not see what came later.
      if (next.done === true) this.#begin()
      else this.#oldest = next.value
    }
    return this.#oldest
  }

  #begin(): void {
    this.#along = this.#byKey.values()
    this.#oldest = undefined
    this.#removed = 0
  }
}

function bytesOf({ key, answer }: Exchange): number {
  return key.length + (answer?.length ?? 0) + overheadBytes
}
