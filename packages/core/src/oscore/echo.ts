/**
 * The Echo option (RFC 9175 §2): a server has a request sent again with a value that it has just
 * made, and so knows that the request is new, or that its sender is where it seems to be. The value
 * is a time and a MAC over it and over what it is bound to (Appendix A, item 2): nothing is kept
 * for it. What is bound is an address where amplification is the worry (§2.4, item 3), a security
 * context where freshness is. A value is good as often as it is shown within its life. Leaves out:
 * values in successful responses, and events instead of time.
 *
 * @example const echo = new EchoIssuer({ crypto, clock, key }); echo.issue(utf8('192.0.2.1:5683'))
 */
import {
  type CoapMessage,
  type CoapOption,
  coapCode,
  optionNumber,
  sortedOptions,
  valuesOf,
} from '../coap/index.ts'
import {
  bigEndian,
  cbor,
  concat,
  equalBytes,
  equalSecretBytes,
  fromBigEndian,
} from '../codec/index.ts'
import type { ChannelCrypto, Clock, SecretKey } from '../ports.ts'
import { useError } from './errors.ts'

export interface EchoParts {
  readonly crypto: Pick<ChannelCrypto, 'hmac'>
  /** Of any origin, so long as it goes on evenly: RFC 9175 Appendix A. */
  readonly clock: Clock
  /**
   * For this alone, and drawn anew each time the process begins (RFC 9175 Appendix A, item 2): a
   * value of an earlier life would prove a request of that life fresh in this one.
   */
  readonly key: SecretKey
  /** `echoLimits.lifetimeMs` where nothing is said. */
  readonly lifetimeMs?: number
}

export const echoLimits = {
  /** Two round trips of a slow link with a retransmission each (RFC 7252 §4.8.2) stay inside. */
  lifetimeMs: 60_000,
  /** RFC 9175 §2.2.1. */
  valueBytesMax: 40,
} as const

const timeBytes = 4
const macBytes = 8
const keyBytesMin = 16

export class EchoIssuer {
  readonly #parts: EchoParts
  readonly #lifetimeSeconds: number

  constructor(parts: EchoParts) {
    if (parts.key.length < keyBytesMin) {
      throw useError('ERR_OSCORE_PARAMETER', `a key for Echo has ${keyBytesMin} bytes or more`)
    }
    this.#parts = parts
    this.#lifetimeSeconds = (parts.lifetimeMs ?? echoLimits.lifetimeMs) / 1000
  }

  /** 12 bytes. */
  issue(binding: Uint8Array): Uint8Array {
    return this.#valueOf(this.#now(), binding)
  }

  /** Whether `issue` made it for this binding within its life. */
  verify(value: Uint8Array, binding: Uint8Array): boolean {
    if (value.length !== timeBytes + macBytes) return false
    const time = fromBigEndian(value.subarray(0, timeBytes))
    if (!equalSecretBytes(this.#valueOf(time, binding), value)) return false
    const age = this.#now() - time
    return age >= 0 && age <= this.#lifetimeSeconds
  }

  /** Seconds, as many as 32 bits count (to 2106 where the clock counts from 1970). */
  #now(): number {
    return Math.floor(this.#parts.clock.now() / 1000) % 256 ** timeBytes
  }

  #valueOf(time: number, binding: Uint8Array): Uint8Array {
    const { crypto, key } = this.#parts
    const bound = cbor.array(cbor.textString('Echo'), cbor.int(time), cbor.byteString(binding))
    const mac = crypto.hmac('sha256', key, bound).subarray(0, macBytes)
    return concat(bigEndian(time, timeBytes), mac)
  }
}

/** Options of the 4.01 that has its request sent again with this value. */
export function echoOption(value: Uint8Array): CoapOption {
  return { number: optionNumber.echo, value }
}

/** What a message shows; undefined where there is none, or none that can be. */
export function echoOf({ options }: Pick<CoapMessage, 'options'>): Uint8Array | undefined {
  const [value, ...more] = valuesOf(options, optionNumber.echo)
  if (value === undefined || more.length > 0) return undefined
  return value.length > 0 && value.length <= echoLimits.valueBytesMax ? value : undefined
}

/** What a 4.01 asks for: RFC 9175 §2.3. Under OSCORE, of the response that was verified. */
export function challengeIn(
  response: Pick<CoapMessage, 'code' | 'options'>,
): Uint8Array | undefined {
  return response.code === coapCode.unauthorized ? echoOf(response) : undefined
}

/**
 * The same request with the value of its challenge; undefined where the response is no challenge,
 * or asks for what it was shown already. The caller sends it as a new request, under OSCORE with a
 * new number, to the same server alone (RFC 9175 §2.3).
 */
export function repeatedWithEcho<Request extends Pick<CoapMessage, 'options'>>(
  request: Request,
  response: Pick<CoapMessage, 'code' | 'options'>,
): Request | undefined {
  const value = challengeIn(response)
  if (value === undefined) return undefined
  const shown = echoOf(request)
  if (shown !== undefined && equalBytes(shown, value)) return undefined
  const others = request.options.filter(({ number }) => number !== optionNumber.echo)
  return { ...request, options: sortedOptions([...others, echoOption(value)]) }
}
