/** The EDHOC room (RFC 9528): cipher suites, methods, the key schedule. */
export type { EdhocErrorCode, EdhocUseErrorCode } from './edhocError.ts'
export {
  context2,
  context3,
  type MacFields,
  type MessageKey,
  nextTranscriptHash,
  oscoreSecrets,
  Prk2e,
  Prk3e2m,
  Prk4e3m,
  PrkOut,
  th2,
} from './keySchedule.ts'
export { type Authentication, type Method, macLength, methods, proofLength } from './methods.ts'
export { peerShare, shareOnWire } from './points.ts'
export {
  acceptSelected,
  offer,
  type Suite,
  suites,
  suitesInError,
  suitesOf,
  type UsableSuite,
} from './suites.ts'
