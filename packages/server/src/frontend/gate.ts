/**
 * What every TLS door does before TLS costs anything: counts connections in all and by address, and
 * meters handshakes by address. Also the times and options of TLS that the doors share.
 */
import type { Socket } from 'node:net'
import type { Server, TlsOptions } from 'node:tls'
import type { Clock } from '@countersign/core/ports'
import { addressKey } from '../address.ts'
import { TokenBuckets } from '../rates.ts'
import { AddressCounts } from './address.ts'
import type { GateLimits } from './limits.ts'
import { ticketLifeSeconds } from './ticketKeys.ts'

/** What the door shows to devices: the server's leaf with its issuing CA, and the leaf's key. */
export interface ServerCredential {
  /** Leaf first, then the issuing CA; PEM. */
  readonly chainPem: string
  /** PEM. Handed to TLS and kept nowhere. */
  readonly keyPem: string | Buffer
}

/** What happened before anyone was judged: counted, since it is too much and too little to log. */
export interface GateCounters {
  connections: number
  overLimit: number
  tlsErrors: number
}

export class Gate {
  readonly #limits: GateLimits
  readonly #counters: GateCounters
  readonly #perAddress: AddressCounts = new AddressCounts()
  readonly #handshakes: TokenBuckets
  /** Every TCP connection, those in the middle of a handshake too. */
  readonly #raw: Set<Socket> = new Set()

  constructor(clock: Clock, limits: GateLimits, counters: GateCounters) {
    this.#limits = limits
    this.#counters = counters
    this.#handshakes = new TokenBuckets(clock, limits.ratesRememberedMax)
  }

  /**
   * Judges the bare TCP connection before TLS costs anything: the library's own listener runs
   * behind ours.
   */
  guard(server: Server): void {
    server.maxConnections = this.#limits.connectionsMax
    server.on('drop', () => void this.#counters.overLimit++)
    server.on('tlsClientError', (_error: Error, socket: Socket) => {
      this.#counters.tlsErrors++
      socket.destroy()
    })
    const startTls = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      const address = addressKey(socket.remoteAddress)
      if (this.#overLimit(address)) {
        this.#counters.overLimit++
        socket.destroy()
        return
      }
      this.#counters.connections++
      this.#perAddress.add(address)
      this.#raw.add(socket)
      socket.once('close', () => {
        this.#perAddress.remove(address)
        this.#raw.delete(socket)
      })
      for (const listener of startTls) Reflect.apply(listener, server, [socket])
    })
  }

  destroyAll(): void {
    for (const raw of this.#raw) raw.destroy()
  }

  #overLimit(address: string): boolean {
    const limits = this.#limits
    if (this.#perAddress.count(address) >= limits.connectionsPerAddressMax) return true
    const rate = {
      perSecond: limits.handshakesPerAddressPerSecond,
      burst: limits.handshakesPerAddressBurst,
    }
    return this.#handshakes.take(address, rate) > 0
  }
}

/** TLS 1.3 only (RFC 8446); a client certificate is asked for, and our own judge decides. */
export function tlsOptions(credential: ServerCredential, context: string): TlsOptions {
  return {
    cert: credential.chainPem,
    key: credential.keyPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // No anchor for the library, and so no list of names in the CertificateRequest that stock
    // clients would choose by.
    ca: [],
    // A ticket of one door is no use at another.
    sessionIdContext: context,
    sessionTimeout: ticketLifeSeconds,
  }
}
