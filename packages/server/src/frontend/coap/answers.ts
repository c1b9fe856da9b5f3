/**
 * Responses of the door as values, and what they say: a code of CoAP and, for whoever reads it, one
 * of ours.
 */
import {
  type CoapOption,
  coapCode,
  contentFormat,
  contentFormatOption,
  optionNumber,
  uintValue,
} from '@countersign/core/coap'
import { cbor, utf8 } from '@countersign/core/codec'
import type { Milliseconds } from '@countersign/core/ports'

export interface Answer {
  readonly code: number
  readonly options: readonly CoapOption[]
  readonly payload: Uint8Array
}

const none = new Uint8Array()

/** `problem`: the diagnostic payload (RFC 7252 §5.5.2). */
export function answer(
  code: number,
  problem?: string,
  options: readonly CoapOption[] = [],
): Answer {
  return { code, options, payload: problem === undefined ? none : utf8(problem) }
}

/** `format`: of the payload, by its number. */
export function withBody(code: number, format: number, payload: Uint8Array): Answer {
  return { code, options: [contentFormatOption(format)], payload }
}

/** Whoever asks again after so many seconds may be taken (RFC 7252 §5.9.3.4, RFC 8516 §3). */
export function later(code: number, seconds: number, problem?: string): Answer {
  return answer(code, problem, [uintOption(optionNumber.maxAge, seconds)])
}

/** What a device is told beside that its request was carried out (docs/decisions/0025). */
export interface Told {
  /** It asked for the time. */
  readonly time?: Milliseconds
  /** It is to make a new context. */
  readonly wantsKeys: boolean
}

/** Seconds since 1970; in an array, with or without them: new keys are wanted. */
export function done({ time, wantsKeys }: Told): Answer {
  const seconds = time === undefined ? [] : [cbor.int(Math.floor(time / 1000))]
  const [told] = wantsKeys ? [cbor.array(...seconds)] : seconds
  if (told === undefined) return answer(coapCode.changed)
  return withBody(coapCode.changed, contentFormat.cbor, told)
}

export function uintOption(number: number, value: number): CoapOption {
  return { number, value: uintValue(value) }
}
