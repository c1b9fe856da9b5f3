/**
 * Handshakes under way, by C_R: bounded in number, by address and in time. When there are too many
 * the oldest goes: first of the address that has too many, then of those addresses that nobody has
 * proven.
 */
import type { WaitMessage3 } from '@countersign/core/edhoc'
import type { Milliseconds } from '@countersign/core/ports'
import { Oldest } from '../../recent.ts'
import type { Answer } from './answers.ts'
import type { Agreed } from './authenticate.ts'
import type { CoapLimits } from './limits.ts'

export interface HalfOpen {
  /** C_R, hex. */
  readonly id: string
  /** What message_1 of which sender it answers. */
  readonly key: string
  /** What its address counts as. */
  readonly host: string
  /** The address was shown by Echo. */
  readonly isProven: boolean
  readonly startedAt: Milliseconds
  /** Its place among all handshakes: its context ends none that was begun later. */
  readonly begun: number
  readonly agreed: Agreed
  readonly wait: WaitMessage3
  /** message_2, as it was sent. */
  readonly answer: Answer
  /** How many messages came as its message_3 and did not open. */
  foreign: number
}

type Limits = Pick<CoapLimits, 'halfOpenMax' | 'halfOpenPerAddressMax' | 'halfOpenMsMax'>

/** In the order in which they came. */
type Queue = Map<string, HalfOpen>

export class HalfOpens {
  readonly #limits: Limits
  readonly #byKey: Map<string, HalfOpen> = new Map()
  readonly #byHost: Map<string, Set<HalfOpen>> = new Map()
  readonly #proven: Queue = new Map()
  readonly #unproven: Queue = new Map()
  readonly #oldestProven: Oldest<HalfOpen>
  readonly #oldestUnproven: Oldest<HalfOpen>

  constructor(limits: Limits) {
    this.#limits = limits
    this.#oldestProven = new Oldest(() => this.#proven.values())
    this.#oldestUnproven = new Oldest(() => this.#unproven.values())
  }

  get size(): number {
    return this.#proven.size + this.#unproven.size
  }

  sizeOf(host: string): number {
    return this.#byHost.get(host)?.size ?? 0
  }

  get(id: string): HalfOpen | undefined {
    return this.#unproven.get(id) ?? this.#proven.get(id)
  }

  /** The one that answers this message_1. */
  answering(key: string): HalfOpen | undefined {
    return this.#byKey.get(key)
  }

  add(one: HalfOpen): void {
    const { halfOpenMax, halfOpenPerAddressMax } = this.#limits
    this.#queueOf(one).set(one.id, one)
    this.#byKey.set(one.key, one)
    const ofHost = this.#byHost.get(one.host) ?? new Set()
    this.#byHost.set(one.host, ofHost.add(one))
    const [oldestOfHost] = ofHost
    if (ofHost.size > halfOpenPerAddressMax && oldestOfHost !== undefined) {
      this.remove(oldestOfHost)
    }
    if (this.size <= halfOpenMax) return
    const oldest = this.#unproven.size > 0 ? this.#oldestUnproven.next() : this.#oldestProven.next()
    if (oldest !== undefined) this.remove(oldest)
  }

  remove(one: HalfOpen): void {
    this.#queueOf(one).delete(one.id)
    if (this.#byKey.get(one.key) === one) this.#byKey.delete(one.key)
    const ofHost = this.#byHost.get(one.host)
    ofHost?.delete(one)
    if (ofHost?.size === 0) this.#byHost.delete(one.host)
  }

  sweep(now: Milliseconds): void {
    for (const queue of [this.#proven, this.#unproven]) {
      for (const one of queue.values()) {
        if (now - one.startedAt <= this.#limits.halfOpenMsMax) break
        this.remove(one)
      }
    }
  }

  #queueOf({ isProven }: HalfOpen): Queue {
    return isProven ? this.#proven : this.#unproven
  }
}
