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
  challengeIn,
  EchoIssuer,
  echoLimits,
  echoOf,
  echoOption,
  type EchoParts,
  repeatedWithEcho,
} from './echo.ts'
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
export {
  challenge,
  type ChallengedRequest,
  isFresh,
  recoverRequest,
  type VerifiedRequest,
  verifyRequest,
} from './freshness.ts'
export { type OscoreOption, oscoreOptionOf, parseOscoreOption } from './option.ts'
export { type SenderSequence, sequenceNumberMax } from './partialIv.ts'
export {
  type ContextRecord,
  type ContextState,
  decodeContext,
  encodeContext,
  parametersOf,
  recordLimits,
  stateOf,
} from './record.ts'
export {
  mergeWindows,
  type ReplayWindow,
  replayWindowSize,
  type WindowSnapshot,
  type WindowState,
} from './replayWindow.ts'
export { type KeyUsage, type UsageLimits, usageLimits, type UsageSnapshot } from './usage.ts'
