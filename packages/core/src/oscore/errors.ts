/** Error codes of the OSCORE room, and what a server answers to a request that does not verify. */
import { coapCode } from '../coap/index.ts'
import { CallerError, PeerError } from '../errors.ts'

/** They sent it. */
export type OscoreErrorCode =
  | 'ERR_OSCORE_OPTION'
  | 'ERR_OSCORE_CONTEXT'
  | 'ERR_OSCORE_REPLAY'
  | 'ERR_OSCORE_UNVERIFIED'
  | 'ERR_OSCORE_MESSAGE'
  /** The replay window was lost, and the request does not show that it is new. */
  | 'ERR_OSCORE_FRESHNESS'
  /** The keys are used up: nothing is opened any more. */
  | 'ERR_OSCORE_LIMIT'

/** We asked for it. */
export type OscoreUseErrorCode =
  /** Sender Sequence Numbers or keys are used up: nothing more goes out without new keys. */
  | 'ERR_OSCORE_EXHAUSTED'
  /** The next Sender Sequence Number is not written down yet. */
  | 'ERR_OSCORE_UNRESERVED'
  | 'ERR_OSCORE_PARAMETER'
  | 'ERR_OSCORE_UNPROTECTABLE'

/** Sent as it is, without OSCORE (RFC 8613 §8.2, §8.3). */
export interface OscoreErrorAnswer {
  readonly code: number
  readonly diagnostic: string
}

const newKeys = 'Make a new security context with new keys.'

const hints: Readonly<Record<OscoreErrorCode, string>> = {
  ERR_OSCORE_OPTION: 'Encode the OSCORE option by RFC 8613 §6.1.',
  ERR_OSCORE_CONTEXT: 'Use a security context that both sides have.',
  ERR_OSCORE_REPLAY: 'Send each message once; a new attempt has a new Partial IV.',
  ERR_OSCORE_UNVERIFIED: 'Compare the security contexts of both sides.',
  ERR_OSCORE_MESSAGE: 'Protect a CoAP request or response by RFC 8613 §8.',
  ERR_OSCORE_FRESHNESS: 'Answer with an Echo and take the request that brings it back (RFC 9175).',
  ERR_OSCORE_LIMIT: newKeys,
}

/**
 * RFC 8613 §8.2, the steps 2, 3 and 6; the last two are ours. Responses are never answered (§8.4).
 */
const answers: Readonly<Record<OscoreErrorCode, OscoreErrorAnswer>> = {
  ERR_OSCORE_OPTION: { code: coapCode.badOption, diagnostic: 'Failed to decode COSE' },
  ERR_OSCORE_CONTEXT: { code: coapCode.unauthorized, diagnostic: 'Security context not found' },
  ERR_OSCORE_REPLAY: { code: coapCode.unauthorized, diagnostic: 'Replay detected' },
  ERR_OSCORE_UNVERIFIED: { code: coapCode.badRequest, diagnostic: 'Decryption failed' },
  ERR_OSCORE_MESSAGE: { code: coapCode.badOption, diagnostic: 'Failed to decode COSE' },
  ERR_OSCORE_FRESHNESS: { code: coapCode.unauthorized, diagnostic: 'Replay detected' },
  ERR_OSCORE_LIMIT: { code: coapCode.unauthorized, diagnostic: 'Security context not found' },
}

export function oscoreErrorAnswer(code: OscoreErrorCode): OscoreErrorAnswer {
  return answers[code]
}

export function oscoreError(
  code: OscoreErrorCode,
  what: string,
  cause?: unknown,
): PeerError<OscoreErrorCode> {
  return new PeerError(code, `OSCORE: ${what}`, {}, { where: 'OSCORE', hint: hints[code], cause })
}

const useHints: Readonly<Record<OscoreUseErrorCode, string>> = {
  ERR_OSCORE_EXHAUSTED: newKeys,
  ERR_OSCORE_UNRESERVED: 'Write a new bound down, then reserve up to it.',
  ERR_OSCORE_PARAMETER: 'Give parameters of RFC 8613 §3.2, §3.3, and state as it was written down.',
  ERR_OSCORE_UNPROTECTABLE: 'Protect a CoAP message without OSCORE and Observe (RFC 8613 §4.1).',
}

export function useError(
  code: OscoreUseErrorCode,
  what: string,
  hint: string = useHints[code],
): CallerError<OscoreUseErrorCode> {
  return new CallerError(code, `OSCORE: ${what}`, {}, { where: 'OSCORE', hint })
}
