/**
 * A request to the server and what comes back. Only what verifies is an answer. Everything else, a
 * forged response or an error that nobody authenticates, is a hint: it is believed when the grace
 * has passed and nothing better came.
 */
import type {
  Cancellation,
  CoapEndpoint,
  CoapMessage,
  OutgoingRequest,
} from '@countersign/core/coap'
import { AdapterError } from '@countersign/core/errors'
import type { Milliseconds, Timers } from '@countersign/core/ports'
import { Canceller } from './canceller.ts'
import { noAnswer } from './errors.ts'

/** There is one peer; the link knows where it is. */
export const server = 'server'

export type Answer<Value> =
  | { readonly kind: 'verified'; readonly value: Value }
  | { readonly kind: 'hint'; readonly response: CoapMessage }

export interface Question<Value> {
  /** What is asked, for error messages. */
  readonly what: string
  readonly request: OutgoingRequest
  /** Undefined: it does not verify. Throws nothing. */
  readonly verify: (response: CoapMessage) => Value | undefined
  /** Hints to follow at once: nothing is given up by that. */
  readonly isHarmless?: (response: CoapMessage) => boolean
  /** Asked when the grace is over: how long the hint has to wait still. 0: it is believed. */
  readonly believeInMs?: () => Milliseconds
  readonly signal?: Cancellation | undefined
}

export class Wire {
  readonly #endpoint: CoapEndpoint
  readonly #timers: Timers
  readonly #graceMs: Milliseconds

  constructor(endpoint: CoapEndpoint, timers: Timers, graceMs: Milliseconds) {
    this.#endpoint = endpoint
    this.#timers = timers
    this.#graceMs = graceMs
  }

  /** Throws AdapterError ERR_NARROW_TIMEOUT when neither an answer nor a hint came. */
  async ask<Value>(question: Question<Value>): Promise<Answer<Value>> {
    const { what, request, verify, isHarmless, believeInMs = () => 0, signal } = question
    const canceller = new Canceller()
    const unfollow = canceller.follow(signal)
    let hint: CoapMessage | undefined
    let grace: { cancel(): void } | undefined
    let answer: { readonly value: Value } | undefined
    const believed = Symbol('the hint is believed')
    const consider = (): void => {
      const waitMs = believeInMs()
      if (waitMs <= 0) canceller.abort(believed)
      else grace = this.#timers.after(waitMs, consider)
    }
    const accept = (response: CoapMessage): boolean => {
      const value = verify(response)
      if (value !== undefined) {
        answer = { value }
        return true
      }
      if (isHarmless?.(response) === true) {
        hint = response
        return true
      }
      // The first one: a flood of them costs one timer.
      hint ??= response
      grace ??= this.#timers.after(this.#graceMs, consider)
      return false
    }
    try {
      await this.#endpoint.request(request, server, { accept, signal: canceller })
    } catch (error) {
      if (hint !== undefined && canceller.reason === believed)
        return { kind: 'hint', response: hint }
      throw worded(what, error)
    } finally {
      grace?.cancel()
      unfollow()
    }
    if (answer !== undefined) return { kind: 'verified', value: answer.value }
    if (hint !== undefined) return { kind: 'hint', response: hint }
    throw noAnswer(what)
  }
}

function worded(what: string, error: unknown): unknown {
  const isSilence = error instanceof AdapterError && error.code === 'ERR_COAP_TIMEOUT'
  return isSilence ? noAnswer(what, error) : error
}
