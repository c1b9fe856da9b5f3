/** Bodies that are put together or given out in blocks: where they are kept, for how long. */
import { equalBytes } from '../codec/index.ts'
import type { Clock } from '../ports.ts'
import { bodyBytesMax } from './blockwise.ts'
import type { OutgoingResponse } from './endpointParts.ts'
import { defaultTransmission, lifetimesOf } from './transmission.ts'

export interface BodyLimits {
  readonly bodyBytesMax: number
  /** Of each direction. */
  readonly bodiesMax: number
  readonly allBytesMax: number
  /** From one block to the next. RFC 7959 §2.4, §2.5: EXCHANGE_LIFETIME is enough. */
  readonly idleMs: number
}

export const bodyLimits: BodyLimits = {
  bodyBytesMax,
  bodiesMax: 1024,
  allBytesMax: 16 * 1024 * 1024,
  idleMs: lifetimesOf(defaultTransmission).exchangeMs,
}

/** Bytes of memory that a body begins with; they are doubled when it needs more. */
const roomBytes = 1024

export class Body {
  readonly name: Uint8Array
  /** Of a response: all but its payload. */
  readonly head: OutgoingResponse | undefined
  expiresAt = 0
  #room: Uint8Array = new Uint8Array(roomBytes)
  #length = 0

  constructor(name: Uint8Array, head?: OutgoingResponse) {
    this.name = name
    this.head = head
  }

  get length(): number {
    return this.#length
  }

  /** What it holds in memory. */
  get held(): number {
    return this.#room.length + this.name.length
  }

  /** Bytes of memory that appending so many would take beside what it holds. */
  growth(bytes: number): number {
    return this.#roomFor(bytes) - this.#room.length
  }

  append(bytes: Uint8Array): void {
    const room = this.#roomFor(bytes.length)
    if (room > this.#room.length) {
      const larger = new Uint8Array(room)
      larger.set(this.#room.subarray(0, this.#length))
      this.#room = larger
    }
    this.#room.set(bytes, this.#length)
    this.#length += bytes.length
  }

  bytes(): Uint8Array {
    return this.#room.subarray(0, this.#length)
  }

  #roomFor(bytes: number): number {
    let room = this.#room.length
    while (room < this.#length + bytes) room *= 2
    return room
  }
}

export class Bodies {
  readonly #clock: Clock
  readonly #limits: BodyLimits
  /** The one that was longest without a block stands first. */
  readonly #byKey: Map<string, Body> = new Map()
  #bytes = 0

  constructor(clock: Clock, limits: BodyLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  get bytes(): number {
    return this.#bytes
  }

  find(key: string, name: Uint8Array): Body | undefined {
    this.#expire()
    const body = this.#byKey.get(key)
    return body !== undefined && equalBytes(body.name, name) ? body : undefined
  }

  /**
   * Appends to the body of this key, or keeps a new one. False: no room, and nothing has changed.
   */
  append(key: string, body: Body, bytes: Uint8Array): boolean {
    this.#expire()
    const isNew = this.#byKey.get(key) !== body
    const more = body.growth(bytes.length) + (isNew ? body.held : 0)
    if (isNew && this.#byKey.size >= this.#limits.bodiesMax) return false
    if (this.#bytes + more > this.#limits.allBytesMax) return false
    this.#bytes += more
    body.append(bytes)
    body.expiresAt = this.#clock.now() + this.#limits.idleMs
    this.#byKey.delete(key)
    this.#byKey.set(key, body)
    return true
  }

  delete(key: string): void {
    const body = this.#byKey.get(key)
    if (body === undefined) return
    this.#byKey.delete(key)
    this.#bytes -= body.held
  }

  #expire(): void {
    const now = this.#clock.now()
    for (const [key, body] of this.#byKey) {
      if (body.expiresAt > now) return
      this.delete(key)
    }
  }
}
