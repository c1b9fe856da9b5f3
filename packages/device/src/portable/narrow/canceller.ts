/** An AbortController for hosts without one: as much of it as CoapEndpoint needs. */
import type { Cancellation } from '@countersign/core/coap'

export class Canceller implements Cancellation {
  readonly #listeners: Set<() => void> = new Set()
  #aborted = false
  #reason: unknown

  get aborted(): boolean {
    return this.#aborted
  }

  get reason(): unknown {
    return this.#reason
  }

  abort(reason: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#reason = reason
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }

  /** Aborts when another signal does; the function that is returned ends that. */
  follow(other: Cancellation | undefined): () => void {
    if (other === undefined) return () => undefined
    const fire = (): void => this.abort(other.reason)
    if (other.aborted) fire()
    other.addEventListener('abort', fire)
    return () => other.removeEventListener('abort', fire)
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener)
  }
}
