/**
 * CoAP messages (RFC 7252 §3): header, token, options, payload, each message with one encoding.
 * Parses strictly: a message that its receiver would have to reject or ignore (§3, §4.1 to §4.3) is
 * refused. Leaves out: the form for TCP (RFC 8323), long tokens (RFC 8974), retransmission.
 *
 * @example parseMessage(fromHex('40017d34bb74656d7065726174757265')).code // 1, GET
 */
import { concat } from '../codec/index.ts'
import { type CoapErrorCode, coapError, coapLimits, useError } from './errors.ts'
import { codeKind, codeText } from './numbers.ts'
import { type CoapBody, encodeBody, isWithin, parseBody } from './options.ts'

/** Confirmable, Non-confirmable, Acknowledgement, Reset. */
export type CoapType = 'CON' | 'NON' | 'ACK' | 'RST'

export interface CoapMessage extends CoapBody {
  readonly type: CoapType
  readonly code: number
  readonly messageId: number
  readonly token: Uint8Array
}

type Header = Omit<CoapMessage, keyof CoapBody>

interface Fault {
  readonly code: CoapErrorCode
  readonly what: string
}

const where = 'CoAP'
const headerBytes = 4
const version = 1
/** By their number (RFC 7252 §3). */
const types: readonly CoapType[] = ['CON', 'NON', 'ACK', 'RST']

/**
 * Throws PeerError. Behind the header its details have `type` and `messageId`: the sender of a CON
 * is owed a Reset (RFC 7252 §4.2).
 */
export function parseMessage(bytes: Uint8Array): CoapMessage {
  const header = parseHeader(bytes)
  const { type, messageId, token } = header
  const details = { type, messageId }
  const fault = faultOf(header)
  if (fault !== undefined) throw coapError(fault.code, fault.what, where, details)
  const rest = bytes.subarray(headerBytes + token.length)
  if (codeKind(header.code) === 'empty' && rest.length > 0) {
    throw coapError('ERR_COAP_EMPTY', `${rest.length} bytes in an Empty message`, where, details)
  }
  return { ...header, ...parseBody(rest, where, details) }
}

/** Throws CallerError for what no receiver would take. */
export function encodeMessage(message: CoapMessage): Uint8Array {
  const { type, code, messageId, token, options, payload } = message
  const fault = faultOf(message)
  if (fault !== undefined) throw useError(fault.code, fault.what)
  if (codeKind(code) === 'empty' && options.length + payload.length > 0) {
    throw useError('ERR_COAP_EMPTY', 'an Empty message is empty')
  }
  const first = (version << 6) | (types.indexOf(type) << 4) | token.length
  const header = Uint8Array.of(first, code, messageId >> 8, messageId & 0xff)
  const bytes = concat(header, token, encodeBody(message))
  if (bytes.length <= coapLimits.messageBytesMax) return bytes
  throw useError('ERR_COAP_SIZE', `${bytes.length} bytes in one message`)
}

function parseHeader(bytes: Uint8Array): Header {
  // By index: taking an array apart goes through its iterator.
  const first = bytes[0]
  const code = bytes[1]
  const idHigh = bytes[2]
  const idLow = bytes[3]
  if (first === undefined || code === undefined || idHigh === undefined || idLow === undefined) {
    throw coapError('ERR_COAP_TRUNCATED', `${bytes.length} bytes are no header`, where)
  }
  if (first >> 6 !== version) throw coapError('ERR_COAP_VERSION', `version ${first >> 6}`, where)
  const type = types[(first >> 4) & 3] ?? 'RST'
  const messageId = idHigh * 256 + idLow
  if (bytes.length > coapLimits.messageBytesMax) {
    const details = { type, messageId }
    throw coapError('ERR_COAP_SIZE', `${bytes.length} bytes in one message`, where, details)
  }
  const tokenLength = first & 15
  const token = bytes.subarray(headerBytes, headerBytes + tokenLength)
  if (tokenLength <= coapLimits.tokenBytesMax && token.length < tokenLength) {
    throw coapError('ERR_COAP_TRUNCATED', 'the token is cut', where, { type, messageId })
  }
  if (tokenLength > coapLimits.tokenBytesMax) {
    throw coapError('ERR_COAP_TOKEN', `a token of ${tokenLength}`, where, { type, messageId })
  }
  return { type, code, messageId, token }
}

/** What is wrong with a header, whoever made it. */
function faultOf({ type, code, messageId, token }: Header): Fault | undefined {
  const kind = codeKind(code)
  if (!isWithin(code, 0xff) || kind === 'reserved') {
    return { code: 'ERR_COAP_CODE', what: `code ${codeText(code)}` }
  }
  if (!isWithin(messageId, 0xffff)) {
    return { code: 'ERR_COAP_CODE', what: `Message ID ${messageId}` }
  }
  if (token.length > coapLimits.tokenBytesMax) {
    return { code: 'ERR_COAP_TOKEN', what: `a token of ${token.length} bytes` }
  }
  if (kind === 'empty' && token.length > 0) {
    return { code: 'ERR_COAP_EMPTY', what: 'an Empty message with a token' }
  }
  return mayCarry(type, kind)
    ? undefined
    : { code: 'ERR_COAP_TYPE', what: `${type} with code ${codeText(code)}` }
}

/** RFC 7252 §4.3, Table 1. An Empty CON is a ping. */
function mayCarry(type: CoapType, kind: ReturnType<typeof codeKind>): boolean {
  if (type === 'RST') return kind === 'empty'
  if (type === 'ACK') return kind !== 'request'
  return type === 'CON' || kind !== 'empty'
}
