/**
 * What EST puts on HTTP (RFC 7030 §3.2, clarified by RFC 8951): Base64 bodies whatever
 * Content-Transfer-Encoding says, Basic authentication, and the one function that turns an error
 * into a status and a problem document (RFC 9457).
 */
import { fromBase64, parsePemOne } from '@countersign/core/codec'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { EstResponse } from '../ports.ts'

export type EstErrorCode =
  | 'ERR_EST_OPERATION'
  | 'ERR_EST_METHOD'
  | 'ERR_EST_MEDIA_TYPE'
  | 'ERR_EST_BODY'
  | 'ERR_EST_BODY_SIZE'
  | 'ERR_EST_AUTHENTICATION'
  | 'ERR_EST_CERTIFICATE'
  | 'ERR_EST_SUBJECT'
  | 'ERR_EST_RATE'

/** A request of the largest size that we parse (32 KiB), in Base64 with line breaks. */
export const bodyLengthMax: number = 48 * 1024

/**
 * Of 64 characters: what tools that read Base64 line by line take, and others ignore (RFC 8951
 * §3.1).
 */
const linePattern = /.{1,64}/g

/** What tools write on a request: RFC 7468 §7, and the older label that it asks to be read. */
const requestLabels = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']

/**
 * The DER in a body (RFC 8951 §3.1: Base64 of it). White space anywhere is ignored. One PEM block is
 * taken too, since it is what `openssl req` writes and says nothing else; bare DER is told what to
 * do instead.
 */
export function decodeBody(body: Uint8Array): Uint8Array {
  if (body.length > bodyLengthMax) {
    throw refuse(
      'ERR_EST_BODY_SIZE',
      `the body is longer than ${bodyLengthMax} bytes`,
      'Send one request.',
    )
  }
  const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1')
  if (text.startsWith('-----BEGIN'))
    return decoded(() => parsePemOne(text, ...requestLabels), 'PEM')
  if (body[0] === 0x30 && body[1] !== undefined && body[1] >= 0x80) {
    throw refuse('ERR_EST_BODY', 'the body is bare DER', 'Encode it: "openssl base64 -in csr.der".')
  }
  const packed = text.replace(/[ \t\r\n]+/g, '')
  if (packed.length === 0)
    throw refuse('ERR_EST_BODY', 'the body is empty', 'Send a request (PKCS#10) in Base64.')
  return decoded(() => fromBase64(packed), 'Base64')
}

function decoded(decode: () => Uint8Array, form: string): Uint8Array {
  try {
    return decode()
  } catch (cause) {
    if (!(cause instanceof PeerError)) throw cause
    throw refuse(
      'ERR_EST_BODY',
      `the body is not ${form} of one request: ${cause.message}`,
      'Send what "openssl req -new" writes, or its DER through "openssl base64".',
      cause,
    )
  }
}

export function requireMediaType(contentType: string | undefined, wanted: string): void {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === wanted) return
  throw refuse(
    'ERR_EST_MEDIA_TYPE',
    `the body is ${type ?? 'of no stated type'}, not ${wanted}`,
    `Send it with "Content-Type: ${wanted}".`,
  )
}

export interface BasicCredentials {
  readonly user: string
  readonly password: string
}

/** RFC 7617. Undefined when there is no header; malformed or of another scheme is refused. */
export function parseBasic(header: string | undefined): BasicCredentials | undefined {
  if (header === undefined) return undefined
  const match = /^basic +([A-Za-z0-9+/=]{1,512})$/i.exec(header)
  const text = Buffer.from(match?.[1] ?? '', 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (match === null || colon < 0) {
    throw refuse(
      'ERR_EST_AUTHENTICATION',
      'the Authorization header is not Basic',
      'Give the token as password of the user "token": "curl -u token:<token>".',
    )
  }
  return { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** A 200 whose body is DER in Base64. */
export function derAnswer(contentType: string, der: Uint8Array): EstResponse {
  const text = Buffer.from(der).toString('base64')
  const lines = text.match(linePattern) ?? []
  return {
    status: 200,
    // RFC 8951 §3.1 makes the encoding header meaningless; clients of RFC 7030 alone still look for
    // it.
    headers: { 'content-type': contentType, 'content-transfer-encoding': 'base64' },
    body: `${lines.join('\n')}\n`,
  }
}

/**
 * What a peer is told of an error: status, code, reason, hint. Faults of ours say nothing but that
 * they are.
 */
export function problemAnswer(
  error: unknown,
  headers: Readonly<Record<string, string>>,
): EstResponse {
  const status = statusOf(error)
  const told = isCountersignError(error) && status < 500
  const problem = {
    type: 'about:blank',
    title: titles[status] ?? 'Refused',
    status,
    ...(isCountersignError(error) && status !== 500 ? { code: error.code } : {}),
    ...(told ? { detail: error.message, where: error.where, hint: error.hint } : {}),
  }
  return {
    status,
    headers: { 'content-type': 'application/problem+json', ...statusHeaders[status], ...headers },
    body: `${JSON.stringify(problem)}\n`,
  }
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Authentication required',
  403: 'Refused',
  404: 'No such operation',
  405: 'Method not allowed',
  409: 'Already in use',
  413: 'Too large',
  415: 'Unsupported media type',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Not available now',
}

const statusHeaders: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { 'www-authenticate': 'Basic realm="enrolment", charset="UTF-8"' },
  429: { 'retry-after': '3600' },
  503: { 'retry-after': '60' },
}

const statuses: Readonly<Record<string, number>> = {
  ERR_EST_OPERATION: 404,
  ERR_EST_METHOD: 405,
  ERR_EST_MEDIA_TYPE: 415,
  ERR_EST_BODY: 400,
  ERR_EST_BODY_SIZE: 413,
  ERR_EST_AUTHENTICATION: 401,
  ERR_EST_SUBJECT: 400,
  ERR_EST_RATE: 429,
  ERR_ATTESTATION_RATE: 429,
  ERR_TOKEN_UNKNOWN: 401,
  ERR_KEY_USED: 409,
  ERR_SERIAL_USED: 409,
  ERR_EUI64_USED: 409,
  ERR_ELEMENT_USED: 409,
  ERR_EUI64_INVALID: 400,
  // Until an operator gives the product a new block: to come again soon is of no use.
  ERR_EUI64_EXHAUSTED: 403,
  ERR_RESERVATION_VOID: 503,
  ERR_STORE_FULL: 503,
  ERR_CONFLICT: 503,
  ERR_CA_TOKEN: 503,
}

export function statusOf(error: unknown): number {
  if (!isCountersignError(error)) return 500
  const status = statuses[error.code]
  if (status !== undefined) return status
  if (error.code.startsWith('ERR_CSR_')) return 400
  // The registry refuses a peer; whatever else is thrown is a fault of ours.
  return error instanceof PeerError ? 403 : 500
}

export function refuse(
  code: EstErrorCode,
  message: string,
  hint: string,
  cause?: unknown,
): PeerError<EstErrorCode> {
  return new PeerError(code, message, {}, { hint, cause })
}
