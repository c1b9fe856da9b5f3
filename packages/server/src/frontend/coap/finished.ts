/**
 * Handshakes that message_3 has ended, for as long as it may come again: it is then answered with
 * the same bytes, and a combined request leads to the same context.
 */
import type { Milliseconds } from '@countersign/core/ports'
import { Oldest } from '../../recent.ts'
import type { Ending } from './handshakes.ts'
import type { CoapLimits } from './limits.ts'

export interface FinishedHandshake {
  /** C_R, hex. */
  readonly id: string
  readonly message3: Uint8Array
  readonly endedAt: Milliseconds
  readonly ending: Promise<Ending>
}

export class Finished {
  readonly #limits: Pick<CoapLimits, 'finishedMax' | 'finishedMsMax'>
  readonly #byId: Map<string, FinishedHandshake> = new Map()
  readonly #oldest: Oldest<string>

  constructor(limits: Pick<CoapLimits, 'finishedMax' | 'finishedMsMax'>) {
    this.#limits = limits
    this.#oldest = new Oldest(() => this.#byId.keys())
  }

  get(id: string): FinishedHandshake | undefined {
    return this.#byId.get(id)
  }

  add(one: FinishedHandshake): void {
    this.#byId.set(one.id, one)
    if (this.#byId.size <= this.#limits.finishedMax) return
    const oldest = this.#oldest.next()
    if (oldest !== undefined) this.#byId.delete(oldest)
  }

  sweep(now: Milliseconds): void {
    for (const one of this.#byId.values()) {
      if (now - one.endedAt <= this.#limits.finishedMsMax) return
      this.#byId.delete(one.id)
    }
  }
}
