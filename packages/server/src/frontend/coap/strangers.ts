/**
 * What the door says to whom it cannot verify: little, seldom, and never much more than it was
 * sent, so that nobody is flooded through it (RFC 7252 §11.3). Whoever asks for more has to show by
 * Echo that it is where it says it is (RFC 9175 §2.4, item 3).
 */
import { type CoapMessage, coapCode, encodeMessage } from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { type EchoIssuer, echoOf, echoOption } from '@countersign/core/oscore'
import type { Clock } from '@countersign/core/ports'
import { TokenBuckets } from '../../rates.ts'
import { type Answer, answer } from './answers.ts'
import type { CoapLimits } from './limits.ts'
import { hostKey } from './udpAddress.ts'

type Limits = Pick<
  CoapLimits,
  'strangerAnswersPerAddress' | 'strangerAnswers' | 'amplificationMax' | 'ratesRememberedMax'
>

export class Strangers {
  readonly #limits: Limits
  readonly #echo: EchoIssuer
  readonly #perAddress: TokenBuckets
  readonly #all: TokenBuckets

  constructor(clock: Clock, echo: EchoIssuer, limits: Limits) {
    this.#limits = limits
    this.#echo = echo
    this.#perAddress = new TokenBuckets(clock, limits.ratesRememberedMax)
    this.#all = new TokenBuckets(clock, 1)
  }

  /** Undefined: nothing is said. */
  may(request: CoapMessage, from: string, wanted: Answer): Answer | undefined {
    const { strangerAnswersPerAddress, strangerAnswers } = this.#limits
    // The address first: what it may not have does not use up what others may.
    if (this.#perAddress.take(hostKey(from), strangerAnswersPerAddress) > 0) return undefined
    if (this.#all.take('', strangerAnswers) > 0) return undefined
    return this.fits(request, wanted) ? wanted : { ...wanted, payload: new Uint8Array() }
  }

  /** Whether the answer is short enough for an address that nobody has proven. */
  fits(request: CoapMessage, wanted: Answer): boolean {
    const { amplificationMax } = this.#limits
    return sizeOf({ ...request, ...wanted, type: 'NON' }) <= amplificationMax * sizeOf(request)
  }

  /** Whether the sender has shown that it receives what is sent to this address. */
  isProven(request: CoapMessage, from: string): boolean {
    const value = echoOf(request)
    return value !== undefined && this.#echo.verify(value, bindingOf(from))
  }

  /**
   * 4.01 with what has to come back. It is made and forgotten, and no longer than what asks for it, so no
   * budget holds it back: under a flood from made-up addresses it is how honest ones get in. Undefined: it
   * would be longer, and nobody who begins a handshake is so short.
   */
  challenge(request: CoapMessage, from: string): Answer | undefined {
    const echo = echoOption(this.#echo.issue(bindingOf(from)))
    const wanted = answer(coapCode.unauthorized, undefined, [echo])
    const isShort = sizeOf({ ...request, ...wanted }) <= sizeOf(request)
    return isShort ? wanted : undefined
  }
}

function sizeOf(message: CoapMessage): number {
  return encodeMessage(message).length
}

function bindingOf(from: string): Uint8Array {
  return utf8(`address ${from}`)
}
