/**
 * What time it is, as far as the device knows: its clock, or what the server last said under OSCORE
 * and how long ago that was. Never earlier than the last authenticated time.
 */
import { CborReader } from '@countersign/core/codec'
import { type CoapMessage, coapCode, contentFormat, contentFormatIn } from '@countersign/core/coap'
import { PeerError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'

/** Of the largest unsigned integer (RFC 8949 §3), in an array. */
const toldBytesMax = 10

export class NarrowTime implements Clock {
  readonly #clock: Clock
  readonly #hasClock: boolean
  #floor: Milliseconds
  /** By the clock: when the floor was the time. */
  #since: Milliseconds
  #isHeard = false

  constructor(clock: Clock, hasClock: boolean, floor: Milliseconds) {
    this.#clock = clock
    this.#hasClock = hasClock
    this.#floor = floor
    this.#since = clock.now()
  }

  /** A whole number, as it is written down. */
  now(): Milliseconds {
    const ticks = this.#clock.now()
    const passed = Math.max(0, ticks - this.#since)
    return Math.floor(this.#hasClock ? Math.max(ticks, this.#floor) : this.#floor + passed)
  }

  /** Whoever has no clock asks, and again after so long. */
  isWanted(afterMs: Milliseconds): boolean {
    if (this.#hasClock) return false
    return !this.#isHeard || this.#clock.now() - this.#since >= afterMs
  }

  /** By the clock, or since the server has said it in this life. */
  get isKnown(): boolean {
    return this.#hasClock || this.#isHeard
  }

  /** From the server, under OSCORE. */
  heard(time: Milliseconds): void {
    this.#floor = Math.max(this.now(), time)
    this.#since = this.#clock.now()
    this.#isHeard = true
  }
}

/** What a verified answer says beside its code. */
export interface Told {
  /** What `t` asked for. */
  readonly time: Milliseconds | undefined
  /** The server wants new keys. */
  readonly wantsKeys: boolean
}

const nothing: Told = { time: undefined, wantsKeys: false }

/** Seconds since 1970; in an array, with or without them: new keys are wanted. */
export function toldIn(response: CoapMessage): Told {
  if (response.code !== coapCode.changed) return nothing
  try {
    if (contentFormatIn(response) !== contentFormat.cbor) return nothing
    const reader = new CborReader(response.payload, 'told', toldBytesMax)
    const wantsKeys = reader.peek() === 'array'
    const hasTime = !wantsKeys || reader.array('told') > 0
    const time = hasTime ? reader.unsigned('seconds') * 1000 : undefined
    reader.end()
    if (time !== undefined && !Number.isSafeInteger(time)) return nothing
    return { time, wantsKeys }
  } catch (error) {
    if (error instanceof PeerError) return nothing
    throw error
  }
}
