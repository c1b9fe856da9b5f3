/**
 * One TLS connection as the https door sees it: who is at the other end, and the times that the
 * sweep compares with the limits. There is no timer of its own: the door has one for all.
 */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { Milliseconds } from '@countersign/core/ports'
import type { Admitted } from '../ports.ts'
import type { DoorLimits } from './limits.ts'
import type { PeerChain } from './peerChain.ts'

/** What a peer has shown so far. */
export type Standing =
  /** No client certificate. */
  | { readonly kind: 'anonymous' }
  /** Being judged, for the first time or again: requests wait. */
  | { readonly kind: 'pending'; readonly settled: Promise<void> }
  | { readonly kind: 'admitted'; readonly peer: VerifiedPeer; readonly admitted: Admitted }
  /** A valid maker's certificate of no admitted device: it may enrol, nothing else. */
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

/** Why the sweep closes a session. */
export type Overdue = 'lifetime' | 'headers' | 'body' | 'answer' | 'idle'

export class Session {
  readonly socket: TLSSocket
  readonly address: string
  /** What the peer showed; undefined: no certificate. */
  readonly chain: PeerChain | undefined
  standing: Standing = { kind: 'anonymous' }
  /** Id of the admitted device; it stays while the session is judged again. */
  device: string | undefined
  /** No session lives beyond it, whatever it does. */
  deadline: Milliseconds
  /** Requests that have no answer yet. */
  inFlight = 0
  #receiving: IncomingMessage | undefined
  #receivingSince: Milliseconds = 0
  #quietSince: Milliseconds
  #quietBytes = 0
  #headerSince: Milliseconds | undefined

  constructor(socket: TLSSocket, chain: PeerChain | undefined, now: Milliseconds) {
    this.socket = socket
    this.address = socket.remoteAddress ?? 'unknown'
    this.chain = chain
    this.deadline = Number.POSITIVE_INFINITY
    this.#quietSince = now
    this.#quietBytes = socket.bytesRead
  }

  /** The header of a request has arrived; HTTP/1.1 sends one body at a time. */
  requestStarted(request: IncomingMessage, now: Milliseconds): void {
    this.inFlight += 1
    this.#headerSince = undefined
    this.#receiving = request
    this.#receivingSince = now
  }

  requestEnded(now: Milliseconds): void {
    this.inFlight -= 1
    this.#quietSince = now
    this.#quietBytes = this.socket.bytesRead
  }

  /** The peer takes an answer that goes on: its bound begins anew. */
  answering(now: Milliseconds): void {
    this.#quietSince = now
  }

  /**
   * Called by the sweep alone. Says which bound of time is broken. RFC 5280 §4.1.2.5: notAfter
   * itself is still inside.
   */
  overdue(now: Milliseconds, limits: DoorLimits): Overdue | undefined {
    if (now > this.deadline) return 'lifetime'
    if (this.#receiving?.complete === true) this.#receiving = undefined
    if (this.#receiving !== undefined)
      return now - this.#receivingSince >= limits.requestMsMax ? 'body' : undefined
    if (this.inFlight > 0) {
      const since = Math.max(this.#receivingSince, this.#quietSince)
      return now - since >= limits.answerMsMax ? 'answer' : undefined
    }
    // Bytes since the last request that make no request yet: a header on its way, however slowly.
    if (this.socket.bytesRead !== this.#quietBytes) this.#headerSince ??= now
    if (this.#headerSince !== undefined)
      return now - this.#headerSince >= limits.headersMsMax ? 'headers' : undefined
    return now - this.#quietSince >= limits.idleMsMax ? 'idle' : undefined
  }
}
