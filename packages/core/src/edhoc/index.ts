/** The EDHOC room (RFC 9528): both sides of the handshake, its messages, suites and keys. */
export { trustedCertificate } from './certificate.ts'
export { type EadItem, encodeEad, knownEad } from './ead.ts'
export type { EdhocErrorCode, EdhocUseErrorCode } from './edhocError.ts'
export { answerTo, answerToMessage1 } from './errorAnswer.ts'
export {
  type ErrorMessage,
  encodeError,
  isErrorMessage,
  type OtherError,
  parseError,
} from './errorMessage.ts'
export {
  ComposeMessage3,
  Initiator,
  type InitiatorOptions,
  JudgeResponder,
  Unconfirmed,
  WaitMessage2,
} from './initiator.ts'
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
export { edhocLimits } from './limits.ts'
export {
  encodeMessage1,
  encodeMessage2,
  encodeSealed,
  type Message1,
  type Message2,
  parseMessage1,
  parseMessage2,
  parseMessage3,
  parseMessage4,
} from './messages.ts'
export { type Authentication, type Method, macLength, methods, proofLength } from './methods.ts'
export {
  encodePlaintext2,
  encodePlaintext3,
  type Plaintext2,
  type Plaintext3,
  parsePlaintext2,
  parsePlaintext3,
  parsePlaintext4,
} from './plaintexts.ts'
export { peerShare, shareOnWire } from './points.ts'
export type { OwnCredential, StaticKey, TrustedCredential } from './proof.ts'
export {
  type Answer,
  Authenticated,
  ComposeMessage2,
  JudgeInitiator,
  Responder,
  type ResponderOptions,
  WaitMessage3,
} from './responder.ts'
export { agreementsOf, type HandshakeKey, type Session, type SideOptions } from './session.ts'
export {
  acceptSelected,
  type Offer,
  offer,
  type Suite,
  suites,
  suitesInError,
  suitesOf,
  type UsableSuite,
} from './suites.ts'
