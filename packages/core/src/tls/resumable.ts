/**
 * A session that can be resumed (RFC 8446 §4.6.1): the ticket, its secret, and the chain that was
 * judged when it began, so that it is judged again when it is used. A value: whoever keeps it uses
 * it once, and only with the credential under which it was made.
 */
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
}

export function isFresh({ receivedAt, lifetimeMs }: ResumableSession, now: Milliseconds): boolean {
  // A clock that was set back does not make it younger.
  return now >= receivedAt && now < receivedAt + lifetimeMs
}

/** RFC 8446 §4.2.11.1: milliseconds since it came, hidden. */
export function obfuscatedAge({ receivedAt, ageAdd }: ResumableSession, now: Milliseconds): number {
  return (Math.floor(now - receivedAt) + ageAdd) % 2 ** 32
}
