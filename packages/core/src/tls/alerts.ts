/** Alerts (RFC 8446 §6): their numbers, and the one map from an error to what the peer is told. */
import type { ChainErrorCode } from '../credential/index.ts'
import { CallerError, PeerError } from '../errors.ts'
import type { ChannelCryptoErrorCode } from '../ports.ts'
import type { TrustErrorCode } from './trust.ts'
import { isCanceled, type TlsErrorCode, tlsError } from './tlsError.ts'

export const alertNumbers = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
} as const

export type AlertName = keyof typeof alertNumbers

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(alertNumbers).map(([name, number]) => [number, name]),
)

/** An alert that we do not know keeps its number. */
export function alertName(number: number): string {
  return names.get(number) ?? `alert ${number}`
}

/** Codes whose errors say that the peer, or what it showed, is at fault. */
type PeerCode =
  | TlsErrorCode
  | ChainErrorCode
  | ChannelCryptoErrorCode
  | TrustErrorCode
  // `importPublicKey` of the crypto port.
  | 'ERR_KEY_INVALID'

/** `undefined`: nobody is left to be told. */
const alerts: Readonly<Record<PeerCode, AlertName | undefined>> = {
  ERR_TLS_DECODE: 'decode_error',
  ERR_TLS_RECORD_OVERFLOW: 'record_overflow',
  ERR_TLS_RECORD_MAC: 'bad_record_mac',
  ERR_TLS_UNEXPECTED_MESSAGE: 'unexpected_message',
  ERR_TLS_ILLEGAL_PARAMETER: 'illegal_parameter',
  ERR_TLS_MISSING_EXTENSION: 'missing_extension',
  ERR_TLS_UNSUPPORTED_EXTENSION: 'unsupported_extension',
  ERR_TLS_VERSION: 'protocol_version',
  // RFC 8446 §4.1.3
  ERR_TLS_DOWNGRADE: 'illegal_parameter',
  // RFC 8446 §4.4.2.4
  ERR_TLS_NO_CERTIFICATE: 'decode_error',
  ERR_TLS_SERVER_KEY: 'unsupported_certificate',
  ERR_TLS_SIGNATURE: 'decrypt_error',
  ERR_TLS_FINISHED: 'decrypt_error',
  ERR_TLS_NO_SCHEME: 'handshake_failure',
  // Not the protocol's but our own bound.
  ERR_TLS_LIMIT: 'internal_error',
  ERR_TLS_FLOOD: 'unexpected_message',
  ERR_TLS_TRUNCATED: undefined,
  ERR_TLS_ALERT: undefined,
  ERR_KEY_SHARE: 'illegal_parameter',
  ERR_AEAD_OPEN: 'bad_record_mac',
  // The key of a certificate: certified, and yet none.
  ERR_KEY_INVALID: 'bad_certificate',
  ERR_ANCHOR_MISMATCH: 'unknown_ca',
  ERR_CERT_MALFORMED: 'bad_certificate',
  ERR_CERT_EXPIRED: 'certificate_expired',
  ERR_CERT_NOT_YET_VALID: 'certificate_expired',
  ERR_CERT_REVOKED: 'certificate_revoked',
  ERR_CHAIN_EXPIRED: 'certificate_expired',
  ERR_CHAIN_UNKNOWN_ISSUER: 'unknown_ca',
  ERR_CHAIN_SIGNATURE: 'bad_certificate',
  // RFC 8446 §4.4.2.4, for MD5 and SHA-1.
  ERR_CHAIN_ALGORITHM: 'bad_certificate',
  ERR_CHAIN_NOT_A_CA: 'bad_certificate',
  ERR_CHAIN_PATH_LENGTH: 'bad_certificate',
  ERR_CHAIN_KEY_USAGE: 'unsupported_certificate',
  ERR_CHAIN_PURPOSE: 'unsupported_certificate',
  ERR_CHAIN_ROLE: 'unknown_ca',
  ERR_CHAIN_SCOPE: 'certificate_unknown',
  ERR_CHAIN_NAME: 'certificate_unknown',
  ERR_CHAIN_NAME_CONSTRAINTS: 'bad_certificate',
  ERR_CHAIN_CRITICAL_EXTENSION: 'unsupported_certificate',
  ERR_CHAIN_POLICY: 'certificate_unknown',
  ERR_CHAIN_LIMIT: 'certificate_unknown',
  ERR_CRL_UNUSABLE: 'certificate_unknown',
  ERR_CRL_STALE: 'certificate_unknown',
  ERR_OCSP_UNUSABLE: 'bad_certificate_status_response',
  ERR_OCSP_STALE: 'bad_certificate_status_response',
  // RFC 7633 §4.3.3: it said that it would bring one.
  ERR_OCSP_MISSING: 'certificate_unknown',
}

/** What the peer learns of an error: the minimum. Total: whatever is thrown has its answer. */
export function alertFor(error: unknown): AlertName | undefined {
  if (error instanceof PeerError) {
    return isPeerCode(error.code) ? alerts[error.code] : 'handshake_failure'
  }
  // This side's own wish, or its misuse: nothing about the protocol.
  return error instanceof CallerError || isCanceled(error) ? 'user_canceled' : 'internal_error'
}

function isPeerCode(code: string): code is PeerCode {
  return Object.hasOwn(alerts, code)
}

/** An alert that ended the connection, as the error that this side sees. */
export function alertReceived(number: number): Error {
  const name = alertName(number)
  return tlsError('ERR_TLS_ALERT', `the server ended the connection: ${name}`, {
    alert: name,
    number,
  })
}
