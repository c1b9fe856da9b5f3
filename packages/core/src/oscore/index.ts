/** The OSCORE room (RFC 8613): security contexts, and the exchanges that they protect. */
export {
  type ContextParameters,
  deriveContext,
  idContextBytesMax,
  type OscoreCrypto,
  type SecurityContext,
} from './context.ts'
export { idBytesMax } from './derivation.ts'
export {
  type OscoreErrorAnswer,
  type OscoreErrorCode,
  type OscoreUseErrorCode,
  oscoreErrorAnswer,
} from './errors.ts'
export {
  type ClientExchange,
  protectRequest,
  type ReceivedRequest,
  type ResponseOptions,
  type SentRequest,
  type ServerExchange,
  unprotectRequest,
} from './exchange.ts'
export { type OscoreOption, oscoreOptionOf, parseOscoreOption } from './option.ts'
export { type SenderSequence, sequenceNumberMax } from './partialIv.ts'
export { type ReplayWindow, replayWindowSize } from './replayWindow.ts'
