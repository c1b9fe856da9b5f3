/**
 * Commands that come when the server sends them, on the road of the readings (mqtts, coap): what is
 * in hand of them, and how the work ends.
 */
import { isOutside } from './retry.ts'
import { fired } from './world.ts'

export abstract class PushedCommands {
  readonly #atWork: Set<Promise<void>> = new Set()
  readonly #stopped: AbortController = new AbortController()
  #fault: unknown

  /** Fires when no more are taken. */
  get stopped(): AbortSignal {
    return this.#stopped.signal
  }

  /**
   * Lives until `stop`, and until what came of the command in hand is told, or cannot be. Throws
   * what is neither the server's fault nor the way's.
   */
  async obey(): Promise<void> {
    await fired(this.#stopped.signal)
    while (this.#atWork.size > 0) await Promise.all(this.#atWork)
    if (this.#fault !== undefined) throw this.#fault
  }

  /** Takes no more; a command that is being run is finished. */
  stop(): void {
    this.#stopped.abort()
  }

  /** Work that `obey` waits for; a fault of ours in it ends the rest. */
  protected inHand(work: Promise<void>): void {
    const mine = work.catch((error: unknown) => {
      // A broken way is the road's to tell; what was to be said is said again on the next one.
      if (isOutside(error)) return
      this.#fault ??= error
      this.stop()
    })
    this.#atWork.add(mine)
    void mine.finally(() => this.#atWork.delete(mine))
  }
}
