/**
 * What follows the header of a CoAP message: options as deltas of their numbers, then the payload
 * behind its marker (RFC 7252 §3.1, §3.2). Each list of options has one encoding. OSCORE encrypts
 * the same form. Whether an option is known, critical or there too often is the caller's to judge.
 */
import { concat, fromBigEndian } from '../codec/index.ts'
import type { ErrorDetails } from '../errors.ts'
import { type CoapErrorCode, coapError, coapLimits, useError } from './errors.ts'

export interface CoapOption {
  readonly number: number
  readonly value: Uint8Array
}

export interface CoapBody {
  /** In the order of their numbers; those with the same number in the order of the sender. */
  readonly options: readonly CoapOption[]
  /** No bytes: there is none. */
  readonly payload: Uint8Array
}

const payloadMarker = 0xff
/** What the two halves of an option's first byte say of the bytes behind it (RFC 7252 §3.1). */
const oneByteMore = 13
const twoBytesMore = 14
const twoBytesBase = 269

/** `details` go into errors: whose body it is. */
export function parseBody(bytes: Uint8Array, where: string, details: ErrorDetails = {}): CoapBody {
  const options: CoapOption[] = []
  const cursor = new OptionCursor(bytes, where, details)
  for (let number = 0; !cursor.done; ) {
    if (cursor.atMarker) return { options, payload: cursor.payload() }
    const option = cursor.option(number)
    if (options.push(option) > coapLimits.optionsMax) {
      throw cursor.error('ERR_COAP_OPTION', `more than ${coapLimits.optionsMax} options`)
    }
    number = option.number
  }
  return { options, payload: new Uint8Array() }
}

/**
 * Options in any order: they are sorted by number, and those with the same number stay in order.
 */
export function encodeBody({ options, payload }: CoapBody): Uint8Array {
  const parts: Uint8Array[] = []
  if (options.length > coapLimits.optionsMax) throw misuse('too many options')
  let previous = 0
  for (const { number, value } of sortedOptions(options)) {
    if (!isWithin(number, coapLimits.optionNumberMax)) {
      throw misuse(`${number} is no number of an option`)
    }
    if (value.length > coapLimits.optionBytesMax) throw misuse(`option ${number} is too long`)
    parts.push(optionHead(number - previous, value.length), value)
    previous = number
  }
  if (payload.length > 0) parts.push(Uint8Array.of(payloadMarker), payload)
  return concat(...parts)
}

export function sortedOptions(options: readonly CoapOption[]): readonly CoapOption[] {
  return isSorted(options) ? options : options.toSorted((one, other) => one.number - other.number)
}

function isSorted(options: readonly CoapOption[]): boolean {
  let previous = 0
  for (const { number } of options) {
    if (number < previous) return false
    previous = number
  }
  return true
}

/** Values of one option, in order. */
export function valuesOf(options: readonly CoapOption[], number: number): readonly Uint8Array[] {
  return options.filter((option) => option.number === number).map(({ value }) => value)
}

/** The value of an option that has format uint; zeros in front are taken (RFC 7252 §3.2). */
export function readUint(value: Uint8Array, where: string): number {
  if (value.length > coapLimits.uintBytesMax) {
    throw coapError('ERR_COAP_OPTION', `${value.length} bytes of a uint`, where)
  }
  return fromBigEndian(value)
}

/** As few bytes as there can be: none for 0 (RFC 7252 §3.2). */
export function uintValue(value: number): Uint8Array {
  if (!isWithin(value, 0xffff_ffff)) {
    throw misuse(`${value} is no uint of an option`)
  }
  const bytes: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Uint8Array.from(bytes)
}

/** Whether it is a whole number from 0 to `max`. */
export function isWithin(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}

class OptionCursor {
  readonly #bytes: Uint8Array
  readonly #where: string
  readonly #details: ErrorDetails
  #position = 0

  constructor(bytes: Uint8Array, where: string, details: ErrorDetails) {
    this.#bytes = bytes
    this.#where = where
    this.#details = details
  }

  get done(): boolean {
    return this.#position >= this.#bytes.length
  }

  get atMarker(): boolean {
    return this.#bytes[this.#position] === payloadMarker
  }

  option(previous: number): CoapOption {
    const first = this.#byte()
    const number = previous + this.#extended(first >> 4)
    if (number > coapLimits.optionNumberMax) {
      throw this.error('ERR_COAP_OPTION', `option ${number} cannot be`)
    }
    const length = this.#extended(first & 15)
    if (length > coapLimits.optionBytesMax) {
      throw this.error('ERR_COAP_OPTION', `option ${number} has ${length} bytes`)
    }
    return { number, value: this.#take(length) }
  }

  payload(): Uint8Array {
    this.#position++
    if (this.done) throw this.error('ERR_COAP_PAYLOAD', 'a marker without payload')
    return this.#take(this.#bytes.length - this.#position)
  }

  error(code: CoapErrorCode, what: string): Error {
    return coapError(code, `${what} (offset ${this.#position})`, this.#where, this.#details)
  }

  /** 15 is reserved, in either half (RFC 7252 §3.1). */
  #extended(half: number): number {
    if (half < oneByteMore) return half
    if (half === oneByteMore) return oneByteMore + this.#byte()
    if (half === twoBytesMore) return twoBytesBase + this.#byte() * 256 + this.#byte()
    throw this.error('ERR_COAP_OPTION', 'a reserved delta or length')
  }

  #byte(): number {
    return this.#take(1)[0] ?? 0
  }

  #take(length: number): Uint8Array {
    const end = this.#position + length
    if (end > this.#bytes.length) throw this.error('ERR_COAP_TRUNCATED', 'an option is cut')
    const taken = this.#bytes.subarray(this.#position, end)
    this.#position = end
    return taken
  }
}

function optionHead(delta: number, length: number): Uint8Array {
  const first = (halfOf(delta) << 4) | halfOf(length)
  return Uint8Array.of(first, ...extension(delta), ...extension(length))
}

function halfOf(value: number): number {
  if (value < oneByteMore) return value
  return value < twoBytesBase ? oneByteMore : twoBytesMore
}

function extension(value: number): readonly number[] {
  if (value < oneByteMore) return []
  if (value < twoBytesBase) return [value - oneByteMore]
  return [(value - twoBytesBase) >> 8, (value - twoBytesBase) & 0xff]
}

function misuse(what: string): Error {
  return useError('ERR_COAP_OPTION', what)
}
