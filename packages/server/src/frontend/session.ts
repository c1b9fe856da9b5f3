/**
 * One TLS connection as the front end sees it, whatever it carries: who is at the other end, and
 * until when. What is spoken on it, and which silence is too long, belongs to the road
 * (httpSession.ts, mqtt/connection.ts). There is no timer of its own: a door has one for all.
 */
import type { TLSSocket } from 'node:tls'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { Milliseconds } from '@countersign/core/ports'
import type { Admitted, AdmittedApplication } from '../ports.ts'
import type { PeerChain } from './peerChain.ts'

/** What a peer has shown so far. */
export type Standing =
  /** No client certificate. */
  | { readonly kind: 'anonymous' }
  /** Being judged, for the first time or again: requests wait. */
  | { readonly kind: 'pending'; readonly settled: Promise<void> }
  | { readonly kind: 'admitted'; readonly peer: VerifiedPeer; readonly admitted: Admitted }
  | {
      readonly kind: 'application'
      readonly peer: VerifiedPeer
      readonly admitted: AdmittedApplication
    }
  /**
   * A valid maker's certificate of no admitted device: it may enrol, nothing else. Or a device whose
   * messages take other roads: it may renew, nothing else.
   */
  | { readonly kind: 'enrolling'; readonly peer: VerifiedPeer; readonly refusal: RefusalReason }
  | { readonly kind: 'refused'; readonly refusal: RefusalReason }
  /** We could not tell: the store failed. The peer may try again. */
  | { readonly kind: 'unavailable' }

export interface RefusalReason {
  readonly code: string
  readonly message: string
  readonly where?: string
  readonly hint?: string
}

/** Why a connection ends that was let in before. */
export type Ending =
  /** Suspended, revoked, expired, no longer allowed. */
  | 'ended'
  /** The device has opened more connections than it may have. */
  | 'crowded'
  | 'unavailable'
  | 'closing'

export abstract class Session {
  readonly socket: TLSSocket
  readonly address: string
  /** What the peer showed; undefined: no certificate. */
  readonly chain: PeerChain | undefined
  standing: Standing = { kind: 'anonymous' }
  /** Id of the admitted device or application; it stays while the session is judged again. */
  holder: string | undefined
  /** No session lives beyond it, whatever it does. */
  deadline: Milliseconds = Number.POSITIVE_INFINITY
  /** It has had its last word: who does not read it is cut off by the next sweep. */
  isEnding = false

  constructor(socket: TLSSocket, chain: PeerChain | undefined) {
    this.socket = socket
    this.address = socket.remoteAddress ?? 'unknown'
    this.chain = chain
  }

  /** Says which bound of time is broken; asked by the sweep alone. */
  abstract overdue(now: Milliseconds): string | undefined

  /** Ends a connection; a road that has a word for the reason may say it first. */
  end(_why: Ending): void {
    this.socket.destroy()
  }
}
