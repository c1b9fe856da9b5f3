/**
 * When a device is tried again that did not answer, or asked for time: not before a while that
 * doubles with each silence, so that a device which speaks often and never answers is not sent the
 * same again and again, while one that wakes once an hour is tried at once.
 */
import { type CoapMessage, optionNumber, readUint, valuesOf } from '@countersign/core/coap'
import { PeerError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import type { LiveContext } from './liveContext.ts'

interface Mood {
  /** In a row. */
  silences: number
  notBefore: Milliseconds
}

/** ACK_TIMEOUT times ACK_RANDOM_FACTOR (RFC 7252 §4.8): until then an answer may be on its way. */
export const pauseFirstMs: Milliseconds = 3_000
export const pauseMaxMs: Milliseconds = 600_000
/** RFC 7252 §5.10.5, where a response says no Max-Age. */
const maxAgeDefaultMs: Milliseconds = 60_000
/** What a device asks for in earnest. */
const maxAgeMaxMs: Milliseconds = 3_600_000

export class Patience {
  readonly #clock: Clock
  /** As long as the context is in memory: one that was not is tried at once. */
  readonly #moods: WeakMap<LiveContext, Mood> = new WeakMap()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  mayTry(context: LiveContext): boolean {
    const mood = this.#moods.get(context)
    return mood === undefined || this.#clock.now() >= mood.notBefore
  }

  /** How long a request is given before it is sent anew because the device is heard. */
  pause(context: LiveContext): Milliseconds {
    const silences = this.#moods.get(context)?.silences ?? 0
    return Math.min(pauseMaxMs, pauseFirstMs * 2 ** Math.min(silences, 20))
  }

  silent(context: LiveContext): void {
    const notBefore = this.#clock.now() + this.pause(context)
    const silences = (this.#moods.get(context)?.silences ?? 0) + 1
    this.#moods.set(context, { silences, notBefore })
  }

  answered(context: LiveContext): void {
    this.#moods.delete(context)
  }

  /** The device asks for time (RFC 7252 §5.9.3.4, RFC 8516 §3). */
  postponed(context: LiveContext, response: CoapMessage): void {
    this.#moods.set(context, { silences: 0, notBefore: this.#clock.now() + maxAgeMs(response) })
  }
}

function maxAgeMs({ options }: CoapMessage): Milliseconds {
  const [value] = valuesOf(options, optionNumber.maxAge)
  if (value === undefined) return maxAgeDefaultMs
  try {
    return Math.min(readUint(value, 'Max-Age') * 1000, maxAgeMaxMs)
  } catch (error) {
    if (error instanceof PeerError) return maxAgeDefaultMs
    throw error
  }
}
