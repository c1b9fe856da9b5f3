/**
 * What went over the wire, kept for a search: a relay that carries only ciphertext must not find
 * what it knows was said.
 */

/**
 * Enough for a long demo; beyond it the oldest connections are forgotten, and the report says so.
 */
const recordedBytesMax = 64 * 1024 * 1024

export class Recorder {
  readonly #streams: Map<string, Uint8Array[]> = new Map()
  #size = 0
  #complete = true

  add(stream: string, chunk: Uint8Array): void {
    const chunks = this.#streams.get(stream) ?? []
    if (chunks.length === 0) this.#streams.set(stream, chunks)
    chunks.push(chunk)
    this.#size += chunk.length
    while (this.#size > recordedBytesMax) this.#forgetOldest()
  }

  /** False when something recorded was forgotten: then a search that finds nothing proves less. */
  get complete(): boolean {
    return this.#complete
  }

  /** In how many places of all streams these byte strings stand, also across chunks. */
  count(markers: readonly Uint8Array[]): number {
    let found = 0
    for (const chunks of this.#streams.values()) {
      const whole = Buffer.concat(chunks)
      for (const marker of markers) found += occurrences(whole, marker)
    }
    return found
  }

  #forgetOldest(): void {
    const [oldest] = this.#streams.entries()
    if (oldest === undefined) return
    const [stream, chunks] = oldest
    for (const chunk of chunks) this.#size -= chunk.length
    this.#streams.delete(stream)
    this.#complete = false
  }
}

function occurrences(whole: Buffer, marker: Uint8Array): number {
  if (marker.length === 0) return 0
  let found = 0
  for (let at = whole.indexOf(marker); at >= 0; at = whole.indexOf(marker, at + 1)) found++
  return found
}
