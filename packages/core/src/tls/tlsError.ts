/** What can go wrong with the other end of TLS, and with those who use this client. */
import { AdapterError, CallerError, type ErrorDetails, PeerError } from '../errors.ts'

/** The other end's doing. Each has its alert in alerts.ts. */
export type TlsErrorCode =
  | 'ERR_TLS_DECODE'
  | 'ERR_TLS_RECORD_OVERFLOW'
  | 'ERR_TLS_RECORD_MAC'
  | 'ERR_TLS_UNEXPECTED_MESSAGE'
  | 'ERR_TLS_ILLEGAL_PARAMETER'
  | 'ERR_TLS_MISSING_EXTENSION'
  | 'ERR_TLS_UNSUPPORTED_EXTENSION'
  | 'ERR_TLS_VERSION'
  | 'ERR_TLS_DOWNGRADE'
  | 'ERR_TLS_NO_CERTIFICATE'
  | 'ERR_TLS_SERVER_KEY'
  | 'ERR_TLS_SIGNATURE'
  | 'ERR_TLS_FINISHED'
  | 'ERR_TLS_NO_SCHEME'
  | 'ERR_TLS_LIMIT'
  | 'ERR_TLS_FLOOD'
  | 'ERR_TLS_TRUNCATED'
  | 'ERR_TLS_ALERT'

/** The side that uses this client, or what it was given. */
export type TlsUseErrorCode = 'ERR_TLS_POLICY' | 'ERR_TLS_STATE' | 'ERR_TLS_CREDENTIAL'

/** The element did not sign. */
export type TlsAdapterErrorCode = 'ERR_TLS_SIGNER' | 'ERR_TLS_CANCELED'

export function tlsError(
  code: TlsErrorCode,
  message: string,
  details: ErrorDetails = {},
  cause?: unknown,
): PeerError<TlsErrorCode> {
  return new PeerError(code, message, details, cause === undefined ? {} : { cause })
}

export function useError(
  code: TlsUseErrorCode,
  message: string,
  hint: string,
): CallerError<TlsUseErrorCode> {
  return new CallerError(code, message, {}, { hint })
}

export function signerError(cause: unknown): AdapterError<TlsAdapterErrorCode> {
  const said = cause instanceof Error ? cause.message : 'no reason given'
  return new AdapterError(
    'ERR_TLS_SIGNER',
    `the element did not sign the handshake: ${said}`,
    {},
    { hint: 'Look at the element: it is busy, gone, or its slot holds no key.', cause },
  )
}

export function canceled(): AdapterError<TlsAdapterErrorCode> {
  return new AdapterError('ERR_TLS_CANCELED', 'this side ended the handshake')
}

export function isCanceled(error: unknown): boolean {
  return error instanceof AdapterError && error.code === 'ERR_TLS_CANCELED'
}
