/** Limits of the CoAP room and its error codes. */
import { CallerError, type ErrorDetails, PeerError } from '../errors.ts'

export type CoapErrorCode =
  | 'ERR_COAP_TRUNCATED'
  | 'ERR_COAP_SIZE'
  | 'ERR_COAP_VERSION'
  | 'ERR_COAP_TYPE'
  | 'ERR_COAP_TOKEN'
  | 'ERR_COAP_CODE'
  | 'ERR_COAP_EMPTY'
  | 'ERR_COAP_OPTION'
  | 'ERR_COAP_PAYLOAD'
  | 'ERR_COAP_BLOCK'

export interface CoapLimits {
  readonly messageBytesMax: number
  readonly tokenBytesMax: number
  readonly optionsMax: number
  readonly optionBytesMax: number
  readonly optionNumberMax: number
  readonly uintBytesMax: number
}

export const coapLimits: CoapLimits = {
  /** What goes through any path without fragments (RFC 7252 §4.6): more travels in blocks. */
  messageBytesMax: 1152,
  /** RFC 7252 §3; longer ones are of RFC 8974, which is left out. */
  tokenBytesMax: 8,
  /** Of one message. A path of sixteen segments and as many queries leave room for the others. */
  optionsMax: 64,
  /** Of the longest option that is defined, Proxy-Uri (RFC 7252 §5.10). */
  optionBytesMax: 1034,
  /** Numbers are registered with 16 bits (RFC 7252 §12.2). */
  optionNumberMax: 65_535,
  /** Of the longest uint that an option here has (RFC 7252 §5.10). */
  uintBytesMax: 4,
}

/** What whoever sends can do about it: the peer, or the caller. */
const hints: Readonly<Record<CoapErrorCode, string>> = {
  ERR_COAP_TRUNCATED: 'Send the whole of it.',
  ERR_COAP_SIZE: 'Send what is larger in blocks (RFC 7959).',
  ERR_COAP_VERSION: 'Send version 1 (RFC 7252 §3); is this CoAP at all?',
  ERR_COAP_TYPE: 'Send each kind of message by a type that may carry it (RFC 7252 §4.3, Table 1).',
  ERR_COAP_TOKEN: 'Send a token of at most 8 bytes.',
  ERR_COAP_CODE: 'Send a code of class 0, 2, 4 or 5.',
  ERR_COAP_EMPTY: 'End an Empty message behind its Message ID.',
  ERR_COAP_OPTION: 'Encode options by RFC 7252 §3.1 and within the lengths of §5.10.',
  ERR_COAP_PAYLOAD: 'Leave out the marker where there is no payload.',
  ERR_COAP_BLOCK: 'Send the blocks of one body in order, each of 16 to 1024 bytes (RFC 7959 §2).',
}

/** `where` is the path of what was wrong. */
export function coapError(
  code: CoapErrorCode,
  what: string,
  where: string,
  details: ErrorDetails = {},
  cause?: unknown,
): PeerError<CoapErrorCode> {
  return new PeerError(code, `${where}: ${what}`, details, { where, hint: hints[code], cause })
}

/** What this side asked to be sent and no receiver would take. */
export function useError(
  code: CoapErrorCode,
  what: string,
  hint: string = hints[code],
): CallerError<CoapErrorCode> {
  return new CallerError(code, `CoAP: ${what}`, {}, { where: 'CoAP', hint })
}
