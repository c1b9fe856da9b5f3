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

/** Seconds since 1970. */
export function timeAnswer(now: Milliseconds): Answer {
  return withBody(coapCode.changed, contentFormat.cbor, cbor.int(Math.floor(now / 1000)))
}

export function uintOption(number: number, value: number): CoapOption {
  return { number, value: uintValue(value) }
}
