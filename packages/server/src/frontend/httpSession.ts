/** A connection of the https door, and the times that the sweep compares with the limits. */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Milliseconds } from '@countersign/core/ports'
import type { DoorLimits } from './limits.ts'
import type { PeerChain } from './peerChain.ts'
import { Session } from './session.ts'

/** Why the sweep closes a session. */
export type Overdue = 'lifetime' | 'headers' | 'body' | 'answer' | 'idle'

export class HttpSession extends Session {
  /** Requests that have no answer yet. */
  inFlight = 0
  readonly #limits: DoorLimits
  #receiving: IncomingMessage | undefined
  #receivingSince: Milliseconds = 0
  #quietSince: Milliseconds
  #quietBytes = 0
  #headerSince: Milliseconds | undefined

  constructor(
    socket: TLSSocket,
    chain: PeerChain | undefined,
    now: Milliseconds,
    limits: DoorLimits,
  ) {
    super(socket, chain)
    this.#limits = limits
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

  /** RFC 5280 §4.1.2.5: notAfter itself is still inside. */
  overdue(now: Milliseconds): Overdue | undefined {
    const limits = this.#limits
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
