/**
 * How many Resets go out: datagrams with a forged source address must not each be answered
 * (RFC 7252 §4.7, §11.3).
 */
import type { Clock } from '../ports.ts'
import type { EndpointLimits } from './endpointParts.ts'

export class Moderation {
  readonly #clock: Clock
  readonly #limits: EndpointLimits
  #beganAt = -Infinity
  #count = 0
  readonly #byPeer: Map<string, number> = new Map()

  constructor(clock: Clock, limits: EndpointLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Counts what it allows: within a window the peers are never more than the Resets. */
  allows(peer: string): boolean {
    const { resetWindowMs, resetsMax, resetsPerPeerMax } = this.#limits
    const elapsed = this.#clock.now() - this.#beganAt
    // A clock that was set back begins a window too.
    if (elapsed >= resetWindowMs || elapsed < 0) this.#begin()
    const ofPeer = this.#byPeer.get(peer) ?? 0
    if (this.#count >= resetsMax || ofPeer >= resetsPerPeerMax) return false
    this.#byPeer.set(peer, ofPeer + 1)
    this.#count++
    return true
  }

  #begin(): void {
    this.#beganAt = this.#clock.now()
    this.#count = 0
    this.#byPeer.clear()
  }
}
