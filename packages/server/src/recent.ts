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
 * a large map; one that is kept goes past each hole once. It is kept weakly: one that stands still
 * holds on to every earlier table of its map, with all that was ever deleted from them.
 */
export class Oldest<V> {
  readonly #begin: () => IterableIterator<V>
  #iterator: WeakRef<IterableIterator<V>> | undefined

  constructor(begin: () => IterableIterator<V>) {
    this.#begin = begin
  }

  /** undefined: there is nothing. */
  next(): V | undefined {
    const next = this.#iterator?.deref()?.next()
    if (next !== undefined && next.done !== true) return next.value
    // It has ended once and does not see what came later.
    const iterator = this.#begin()
    this.#iterator = new WeakRef(iterator)
    const first = iterator.next()
    return first.done === true ? undefined : first.value
  }
}
