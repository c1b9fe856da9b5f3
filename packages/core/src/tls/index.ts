/** The TLS room: a client of TLS 1.3 whose key may be anywhere. */
export { alertFor, alertName } from './alerts.ts'
export { type ClientOptions, type Outlet, type Secured, TlsClient } from './client.ts'
export type { ClientCredential } from './negotiation.ts'
export type { PolicyOptions } from './policy.ts'
export type { SuiteName } from './registry.ts'
export type { ResumableSession } from './resumable.ts'
export type { TlsAdapterErrorCode, TlsErrorCode, TlsUseErrorCode } from './tlsError.ts'
export {
  type Pin,
  type PresentedChain,
  type ServerTrust,
  type TrustErrorCode,
  trustAnchors,
  trustPinned,
} from './trust.ts'
