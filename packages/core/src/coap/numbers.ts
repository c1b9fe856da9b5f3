/**
 * Numbers of CoAP as they are registered: options, codes (RFC 7252 §12.1, §12.2, and the documents
 * named below). What is not in these tables still parses; whoever uses a message judges it.
 */

/** RFC 7252 §5.10; the others name their source. */
export const optionNumber = {
  ifMatch: 1,
  uriHost: 3,
  etag: 4,
  ifNoneMatch: 5,
  /** RFC 7641 §2. */
  observe: 6,
  uriPort: 7,
  locationPath: 8,
  /** RFC 8613 §2. */
  oscore: 9,
  uriPath: 11,
  contentFormat: 12,
  maxAge: 14,
  uriQuery: 15,
  accept: 17,
  locationQuery: 20,
  /** RFC 9668 §3.1. */
  edhoc: 21,
  /** RFC 7959 §2.1, as Block1 and Size2. */
  block2: 23,
  block1: 27,
  size2: 28,
  proxyUri: 35,
  proxyScheme: 39,
  size1: 60,
  /** RFC 9175 §2.2.1. */
  echo: 252,
  /** RFC 7967 §2. */
  noResponse: 258,
  /** RFC 9175 §3.2.1. */
  requestTag: 292,
} as const

/** Class and detail in one byte: 2.05 is 2 * 32 + 5 (RFC 7252 §3). */
export const coapCode = {
  empty: 0x00,
  get: 0x01,
  post: 0x02,
  put: 0x03,
  delete: 0x04,
  /** RFC 8132 §4. */
  fetch: 0x05,
  patch: 0x06,
  ipatch: 0x07,
  created: 0x41,
  deleted: 0x42,
  valid: 0x43,
  changed: 0x44,
  content: 0x45,
  /** RFC 7959 §2.9. */
  continue: 0x5f,
  badRequest: 0x80,
  unauthorized: 0x81,
  badOption: 0x82,
  forbidden: 0x83,
  notFound: 0x84,
  methodNotAllowed: 0x85,
  notAcceptable: 0x86,
  requestEntityIncomplete: 0x88,
  preconditionFailed: 0x8c,
  requestEntityTooLarge: 0x8d,
  unsupportedContentFormat: 0x8f,
  /** RFC 8516 §3. */
  tooManyRequests: 0x9d,
  internalServerError: 0xa0,
  notImplemented: 0xa1,
  badGateway: 0xa2,
  serviceUnavailable: 0xa3,
  gatewayTimeout: 0xa4,
  proxyingNotSupported: 0xa5,
} as const

export type CodeKind = 'empty' | 'request' | 'response' | 'reserved'

/** The class of a code: 0 requests, 2 success, 4 and 5 errors (RFC 7252 §3, §12.1). */
export function codeClass(code: number): number {
  return code >> 5
}

/** A response of class 2.xx. */
export function isSuccess(code: number): boolean {
  return codeClass(code) === 2
}

/** A response of class 5.xx: it speaks of the server, not of the request (RFC 7252 §5.9.3). */
export function isServerError(code: number): boolean {
  return codeClass(code) === 5
}

/** What a code's class makes of a message (RFC 7252 §3); 0.00 alone is the Empty message. */
export function codeKind(code: number): CodeKind {
  if (code === coapCode.empty) return 'empty'
  const found = codeClass(code)
  if (found === 0) return 'request'
  return found === 2 || found === 4 || found === 5 ? 'response' : 'reserved'
}

/** As people write it: 69 is `2.05`. */
export function codeText(code: number): string {
  return `${codeClass(code)}.${String(code & 31).padStart(2, '0')}`
}

/** Whoever does not know it must not act on the message (RFC 7252 §5.4.1, §5.4.6). */
export function isCritical(option: number): boolean {
  return (option & 1) === 1
}

/** A proxy that does not know it must not forward the message (RFC 7252 §5.4.2, §5.4.6). */
export function isUnsafe(option: number): boolean {
  return (option & 2) === 2
}
