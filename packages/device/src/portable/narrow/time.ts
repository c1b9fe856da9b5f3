/**
 * What time it is, as far as the device knows: its clock, or what the server last said under OSCORE
 * and how long ago that was. Never earlier than the last authenticated time.
 */
import { CborReader } from '@countersign/core/codec'
import { type CoapMessage, coapCode, contentFormat, contentFormatIn } from '@countersign/core/coap'
import { PeerError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'

/** Of the largest unsigned integer (RFC 8949 §3). */
const cborIntegerBytesMax = 9

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

  /** From the server, under OSCORE. */
  heard(time: Milliseconds): void {
    this.#floor = Math.max(this.now(), time)
    this.#since = this.#clock.now()
    this.#isHeard = true
  }
}

/** What a verified answer to `t` says; undefined where it says none. */
export function timeIn(response: CoapMessage): Milliseconds | undefined {
  if (response.code !== coapCode.changed) return undefined
  try {
    if (contentFormatIn(response) !== contentFormat.cbor) return undefined
    const reader = new CborReader(response.payload, 'time', cborIntegerBytesMax)
    const seconds = reader.unsigned('seconds')
    reader.end()
    const time = seconds * 1000
    return Number.isSafeInteger(time) ? time : undefined
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw error
  }
}
