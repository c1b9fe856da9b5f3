/**
 * The presentation language of TLS (RFC 8446 §3): numbers in network order, vectors with their
 * length before them. Strict: what is too short, too long or left over is ERR_TLS_DECODE.
 */
import { concat } from '../codec/index.ts'
import { tlsError } from './tlsError.ts'

export class WireReader {
  readonly #bytes: Uint8Array
  readonly #what: string
  #at = 0

  /** `what` names the message in an error. Views that are handed out belong to `bytes`. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#number(1)
  }

  u16(): number {
    return this.#number(2)
  }

  u32(): number {
    return this.#number(4)
  }

  bytes(length: number): Uint8Array {
    const start = this.#skip(length)
    return this.#bytes.subarray(start, this.#at)
  }

  /** opaque<min..max> with a length of `lengthBytes`; a min of 0 lets it be empty. */
  vector(lengthBytes: 1 | 2 | 3, min = 0): Uint8Array {
    const length = this.#number(lengthBytes)
    if (length < min)
      throw this.#malformed(`a vector of ${length} bytes where ${min} are the least`)
    return this.bytes(length)
  }

  /** A reader over a vector: a list, read to its end by the caller. */
  list(lengthBytes: 1 | 2 | 3, min = 0): WireReader {
    return new WireReader(this.vector(lengthBytes, min), this.#what)
  }

  end(): void {
    if (this.left > 0) throw this.#malformed(`${this.left} bytes stand behind its end`)
  }

  /** Answers where the skipped bytes begin. */
  #skip(length: number): number {
    if (length > this.left) throw this.#malformed(`it ends ${length - this.left} bytes early`)
    const start = this.#at
    this.#at += length
    return start
  }

  #number(length: 1 | 2 | 3 | 4): number {
    const start = this.#skip(length)
    let value = 0
    for (let at = start; at < this.#at; at++) value = value * 256 + (this.#bytes[at] ?? 0)
    return value
  }

  #malformed(reason: string): Error {
    return tlsError('ERR_TLS_DECODE', `a malformed ${this.#what}: ${reason}`)
  }
}

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value)
}

/** One after the other: a list of code points is one piece. */
export function u16(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * values.length)
  for (const [index, value] of values.entries()) {
    bytes[2 * index] = value >>> 8
    bytes[2 * index + 1] = value
  }
  return bytes
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
}

/** The caller knows that the parts are shorter than the length can say. */
export function vector(lengthBytes: 1 | 2 | 3, ...parts: readonly Uint8Array[]): Uint8Array {
  const prefix = new Uint8Array(lengthBytes)
  let rest = lengthOf(parts)
  for (let at = lengthBytes - 1; at >= 0; at--, rest >>>= 8) prefix[at] = rest
  return concat(prefix, ...parts)
}

export function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0
  for (const part of parts) length += part.length
  return length
}
