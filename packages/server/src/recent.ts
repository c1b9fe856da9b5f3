/** A map that remembers so many entries and forgets the one longest unused. */
export class Recent<V> {
  readonly #max: number
  readonly #entries: Map<string, V> = new Map()
  readonly #oldest: Oldest<string>

  constructor(max: number) {
    this.#max = max
    this.#oldest = new Oldest(() => this.#entries.keys())
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: string, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#max) return
    const oldest = this.#oldest.next()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}

/**
 * Goes along a map or set from its oldest entry on, for whoever deletes each as it comes. A new
 * iterator for each would step over the holes that the deleted ones have left, thousands of them in
 * a large map; one that is kept goes past each hole once.
 */
export class Oldest<V> {
  readonly #begin: () => IterableIterator<V>
  #iterator: IterableIterator<V>

  constructor(begin: () => IterableIterator<V>) {
    this.#begin = begin
    this.#iterator = begin()
  }

  /** undefined: there is nothing. */
  next(): V | undefined {
    const next = this.#iterator.next()
    if (next.done !== true) return next.value
    // It has ended once and does not see what came later.
    this.#iterator = this.#begin()
    const first = this.#iterator.next()
    return first.done === true ? undefined : first.value
  }
}
