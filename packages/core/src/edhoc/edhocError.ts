/** What can go wrong with the other end of EDHOC, and with those who use this room. */
import { CallerError, type ErrorDetails, PeerError } from '../errors.ts'

/** The other end's doing; what is no CBOR at all is a PeerError of the codec. */
export type EdhocErrorCode =
  | 'ERR_EDHOC_MESSAGE'
  | 'ERR_EDHOC_METHOD'
  | 'ERR_EDHOC_SUITE'
  | 'ERR_EDHOC_POINT'
  | 'ERR_EDHOC_EAD'
  | 'ERR_EDHOC_CREDENTIAL'
  | 'ERR_EDHOC_PROOF'
  | 'ERR_EDHOC_PEER'

/** The side that uses EDHOC. */
export type EdhocUseErrorCode = 'ERR_EDHOC_LENGTH' | 'ERR_EDHOC_CREDENTIAL' | 'ERR_EDHOC_IDENTIFIER'

export function edhocError(
  code: EdhocErrorCode,
  message: string,
  details: ErrorDetails = {},
): PeerError<EdhocErrorCode> {
  return new PeerError(code, message, details)
}

export function useError(
  code: EdhocUseErrorCode,
  message: string,
  hint: string,
): CallerError<EdhocUseErrorCode> {
  return new CallerError(code, message, {}, { hint })
}
