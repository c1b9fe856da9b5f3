/**
 * A session that can be resumed (RFC 8446 §4.6.1): the ticket, its secret, and the chain that was
 * judged when it began, so that it is judged again when it is used. It is offered only as the client
 * and for the name of its own handshake. That it is used once (§C.4) is up to who keeps it.
 */
import { equalBytes } from '../codec/index.ts'
import type { Milliseconds, SecretKey } from '../ports.ts'
import type { SuiteName } from './registry.ts'
import type { PresentedChain } from './trust.ts'

export interface ResumableSession {
  readonly ticket: Uint8Array
  readonly psk: SecretKey
  readonly suite: SuiteName
  readonly ageAdd: number
  readonly receivedAt: Milliseconds
  /** Never more than seven days. */
  readonly lifetimeMs: Milliseconds
  readonly server: PresentedChain
  /** The server knows this client from the handshake that is resumed. */
  readonly isAuthenticated: boolean
  /** Who this client was: DER of its leaf; undefined for nobody. */
  readonly client: Uint8Array | undefined
  /** The name that was asked for (SNI). */
  readonly serverName: string | undefined
}

/** RFC 8446 §4.6.1: the same name; and never somebody else's session. */
export function belongsTo(
  session: ResumableSession,
  client: Uint8Array | undefined,
  serverName: string | undefined,
): boolean {
  if (session.serverName !== serverName) return false
  if (session.client === undefined || client === undefined) return session.client === client
  return equalBytes(session.client, client)
}

export function isFresh({ receivedAt, lifetimeMs }: ResumableSession, now: Milliseconds): boolean {
  // A clock that was set back does not make it younger.
  return now >= receivedAt && now < receivedAt + lifetimeMs
}

/** RFC 8446 §4.2.11.1: milliseconds since it came, hidden. */
export function obfuscatedAge({ receivedAt, ageAdd }: ResumableSession, now: Milliseconds): number {
  return (Math.floor(now - receivedAt) + ageAdd) % 2 ** 32
}
