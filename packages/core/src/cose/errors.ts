/** Limits of the COSE room and its error codes. */
import { PeerError } from '../errors.ts'

export type CoseErrorCode =
  | 'ERR_COSE_ALGORITHM'
  | 'ERR_COSE_HEADER'
  | 'ERR_COSE_CRITICAL'
  | 'ERR_COSE_MESSAGE'
  | 'ERR_COSE_CREDENTIAL'
  | 'ERR_COSE_UNVERIFIED'

export interface CoseLimits {
  readonly messageBytesMax: number
  readonly headersMax: number
  readonly identifierBytesMax: number
  readonly certificateBytesMax: number
  readonly chainLengthMax: number
  readonly uriBytesMax: number
}

export const coseLimits: CoseLimits = {
  /** What CCM with a nonce of 13 bytes seals (RFC 3610 §2.1), and headers. */
  messageBytesMax: 65_536,
  /** Of one map. A message has seven common ones and four that name its credential. */
  headersMax: 16,
  /** Of a key identifier, an IV, a Partial IV; the longest hash that names a key has 64. */
  identifierBytesMax: 64,
  /** Of one certificate by value. A device certificate with P-256 has under 1000. */
  certificateBytesMax: 16_384,
  /** The leaf and the CAs above it; nobody here has more than a root and two below it. */
  chainLengthMax: 4,
  uriBytesMax: 512,
}

const hints: Readonly<Record<CoseErrorCode, string>> = {
  ERR_COSE_ALGORITHM: 'Use an algorithm that both sides know, and one that fits its key.',
  ERR_COSE_HEADER:
    'Encode the headers by RFC 9052 §3: each label once, known values by their type.',
  ERR_COSE_CRITICAL: 'Send no critical header that the receiver has no use for (RFC 9052 §3.1).',
  ERR_COSE_MESSAGE: 'Send the message that is expected here (RFC 9052 §2).',
  ERR_COSE_CREDENTIAL: 'Name the credential by kid, x5t, x5chain or x5u, within their limits.',
  ERR_COSE_UNVERIFIED: 'Compare key, algorithm and external data of both sides.',
}

/** `where` is the path of what was wrong. */
export function coseError(
  code: CoseErrorCode,
  what: string,
  where: string,
): PeerError<CoseErrorCode> {
  return new PeerError(code, `${where}: ${what}`, {}, { where, hint: hints[code] })
}
