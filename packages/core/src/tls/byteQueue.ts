/**
 * Bytes that arrive in pieces of any size and are taken in pieces that mean something. What is taken
 * is a view; it stays whole, because bytes are only ever added behind it or moved to a new buffer.
 */
const leastGrowth = 512

export class ByteQueue {
  #buffer: Uint8Array = new Uint8Array()
  #start = 0
  #end = 0

  get length(): number {
    return this.#end - this.#start
  }

  /** The queue keeps these bytes: the caller does not write to them any more. */
  push(bytes: Uint8Array): void {
    if (this.length === 0) {
      // The usual case: whole records in one piece, used where they are.
      this.#buffer = bytes
      this.#start = 0
      this.#end = bytes.length
      return
    }
    if (this.#end + bytes.length > this.#buffer.length) this.#grow(bytes.length)
    this.#buffer.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** A byte that waits; 0 behind the last. */
  at(index: number): number {
    return index < this.length ? (this.#buffer[this.#start + index] ?? 0) : 0
  }

  /** The caller knows that so many wait. */
  take(length: number): Uint8Array {
    const start = this.#start
    this.#start += length
    const taken = this.#buffer.subarray(start, this.#start)
    // An idle connection holds no buffer.
    if (this.length === 0) this.#buffer = new Uint8Array()
    if (this.#buffer.length === 0) this.#start = this.#end = 0
    return taken
  }

  /** Twice as long each time: a byte at a time costs no more than its copy, twice. */
  #grow(length: number): void {
    const waiting = this.#buffer.subarray(this.#start, this.#end)
    const grown = new Uint8Array(Math.max(2 * waiting.length, waiting.length + length, leastGrowth))
    grown.set(waiting)
    this.#buffer = grown
    this.#start = 0
    this.#end = waiting.length
  }
}
