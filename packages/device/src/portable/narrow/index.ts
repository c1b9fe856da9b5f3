/** The narrow channel of a device, for firmware: imports core alone. */
export type { NarrowErrorCode } from './errors.ts'
export { type NarrowFacts, readNarrowFacts } from './facts.ts'
export { type NarrowLimits, narrowLimits } from './limits.ts'
export type {
  DeviceCredential,
  NarrowParts,
  NarrowRequest,
  NarrowResponse,
  NarrowStorage,
  ServeServer,
  ShownCertificate,
  TrustInServer,
} from './parts.ts'
export type { ServerCredential } from './record.ts'
export { NarrowSession, type RequestOptions } from './session.ts'
export { type NarrowTrustErrorCode, trustPinnedIssuer } from './trust.ts'
