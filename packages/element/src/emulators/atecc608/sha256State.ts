/**
 * SHA-256 (FIPS 180-4 §6.2) with a state that can be carried out of the chip and back: 32 bytes of
 * it, the number of bytes before, and those that fill no block yet. Node's hashes do not show theirs.
 */
const fractions = (count: number, root: (prime: number) => number): Uint32Array => {
  const words = new Uint32Array(count)
  for (let candidate = 2, found = 0; found < count; candidate++) {
    if (!isPrime(candidate)) continue
    const value = root(candidate)
    words[found++] = Math.floor((value - Math.floor(value)) * 2 ** 32)
  }
  return words
}

function isPrime(candidate: number): boolean {
  for (let divisor = 2; divisor * divisor <= candidate; divisor++) {
    if (candidate % divisor === 0) return false
  }
  return true
}

const initial = fractions(8, Math.sqrt)
const constants = fractions(64, Math.cbrt)
const blockLength = 64

export class Sha256State {
  #state: Uint32Array = initial.slice()
  #length = 0
  #rest: Uint8Array = new Uint8Array(0)

  /** From what `export`, `length` and `rest` gave. */
  static from(state: Uint8Array, length: number, rest: Uint8Array): Sha256State {
    const made = new Sha256State()
    const words = Buffer.from(state)
    made.#state = Uint32Array.from({ length: 8 }, (_, index) => words.readUInt32BE(4 * index))
    made.#length = length
    made.#rest = rest.slice()
    return made
  }

  /** Of all bytes so far. */
  get length(): number {
    return this.#length
  }

  /** What fills no block yet, fewer than 64 bytes. */
  get rest(): Uint8Array {
    return this.#rest
  }

  export(): Uint8Array {
    const bytes = Buffer.alloc(32)
    for (const [index, value] of this.#state.entries()) bytes.writeUInt32BE(value, 4 * index)
    return new Uint8Array(bytes)
  }

  update(bytes: Uint8Array): void {
    const all = Buffer.concat([this.#rest, bytes])
    let at = 0
    for (; at + blockLength <= all.length; at += blockLength) {
      compress(this.#state, all.subarray(at, at + blockLength))
    }
    this.#rest = new Uint8Array(all.subarray(at))
    this.#length += bytes.length
  }

  /** With the last bytes. */
  finish(last: Uint8Array): Uint8Array {
    this.update(last)
    const rest = this.#rest
    const tail = Buffer.alloc(rest.length < 56 ? blockLength : 2 * blockLength)
    tail.set(rest)
    tail[rest.length] = 0x80
    tail.writeBigUInt64BE(BigInt(this.#length) * 8n, tail.length - 8)
    for (let at = 0; at < tail.length; at += blockLength) {
      compress(this.#state, tail.subarray(at, at + blockLength))
    }
    return this.export()
  }
}

const schedule = new Uint32Array(64)

function compress(state: Uint32Array, block: Uint8Array): void {
  const view = new DataView(block.buffer, block.byteOffset, block.length)
  for (let t = 0; t < 16; t++) schedule[t] = view.getUint32(4 * t)
  for (let t = 16; t < 64; t++) {
    const [w2, w7, w15, w16] = [word(t - 2), word(t - 7), word(t - 15), word(t - 16)]
    const s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3)
    const s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10)
    schedule[t] = s1 + w7 + s0 + w16
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state
  for (let t = 0; t < 64; t++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (constants[t] ?? 0) + word(t)) | 0
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) {
    state[index] = (state[index] ?? 0) + value
  }
}

function word(t: number): number {
  return schedule[t] ?? 0
}

function rotate(value: number, count: number): number {
  return (value >>> count) | (value << (32 - count))
}
