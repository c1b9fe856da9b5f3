/** A NewSessionTicket becomes a session that can be resumed (RFC 8446 §4.6.1). */
import { ticketKey } from './keySchedule.ts'
import type { Established, HandshakeOptions } from './negotiation.ts'
import type { ResumableSession } from './resumable.ts'
import type { NewSessionTicket } from './serverMessages.ts'

/** RFC 8446 §4.6.1: never longer, whatever the server says. */
const lifetimeSecondsMax = 7 * 24 * 3600

type SessionOwner = Pick<HandshakeOptions, 'crypto' | 'clock' | 'credential' | 'serverName'>

/** Undefined for a ticket that is not to be used (a lifetime of 0). */
export function resumableFrom(
  { ticket, lifetimeSeconds, ageAdd, nonce }: NewSessionTicket,
  { suite, resumption, server, isAuthenticated }: Established,
  { crypto, clock, credential, serverName }: SessionOwner,
): ResumableSession | undefined {
  if (lifetimeSeconds === 0) return undefined
  return {
    // Out of the record it came in, which need not live as long.
    ticket: new Uint8Array(ticket),
    psk: ticketKey(crypto, suite, resumption, nonce),
    suite: suite.name,
    ageAdd,
    receivedAt: clock.now(),
    lifetimeMs: Math.min(lifetimeSeconds, lifetimeSecondsMax) * 1000,
    server,
    isAuthenticated,
    client: credential?.chain[0],
    serverName,
  }
}
