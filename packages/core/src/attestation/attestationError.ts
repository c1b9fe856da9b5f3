/** Why evidence is refused. What is merely vouched for by nobody we know is no error: see verdict.ts. */
import { type ErrorOptions, PeerError } from '../errors.ts'

export type AttestationErrorCode =
  /** Not the bytes of its format. */
  | 'ERR_ATTESTATION_MALFORMED'
  /** Not the verifier's nonce. */
  | 'ERR_ATTESTATION_NONCE'
  /** It speaks of another key than the one that is asked about. */
  | 'ERR_ATTESTATION_KEY'
  /** What was signed is no statement about the key of that slot. */
  | 'ERR_ATTESTATION_STATEMENT'
  /** The slot is configured so that its key proves nothing. */
  | 'ERR_ATTESTATION_CONFIG'
  | 'ERR_ATTESTATION_SIGNATURE'
  /** The certificates of the key that signed do not hold. */
  | 'ERR_ATTESTATION_CHAIN'

const hints: Readonly<Record<AttestationErrorCode, string>> = {
  ERR_ATTESTATION_MALFORMED: 'Send the evidence as docs/element/attestation.md describes it.',
  ERR_ATTESTATION_NONCE: 'Ask for a nonce and let the element sign over that one, each time anew.',
  ERR_ATTESTATION_KEY: 'Let the element speak about the key that the request carries.',
  ERR_ATTESTATION_STATEMENT:
    'The sequence is Nonce (pass-through), GenKey (digest), Sign (internal, with the serial number).',
  ERR_ATTESTATION_CONFIG:
    'Use a slot for a private key of P-256 that is secret and takes no key from outside.',
  ERR_ATTESTATION_SIGNATURE: 'It was changed under way or is a forgery: examine the device.',
  ERR_ATTESTATION_CHAIN:
    "Send the certificate of the element's attestation key and those above it.",
}

export function attestationError(
  code: AttestationErrorCode,
  message: string,
  where: string,
  cause?: unknown,
): PeerError<AttestationErrorCode> {
  const options: ErrorOptions = { where, hint: hints[code] }
  return new PeerError(code, message, {}, cause === undefined ? options : { ...options, cause })
}
