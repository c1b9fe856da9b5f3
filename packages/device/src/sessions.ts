/**
 * Tickets of one process, for connections that come back. Each is used once (RFC 8446 §C.4), and
 * only with the credential, the server and the protocol of the handshake that it came from.
 */
import type { ResumableSession, ServerTrust } from '@countersign/core/tls'
import type { TlsRequest } from './tlsWay.ts'

/** A server gives two at a time; older ones are the first to expire. */
const ticketsMax = 4
/** Credentials times servers times roads: a device has two or three. */
const partnersMax = 64

/** What is remembered of one partner. */
export class Partner {
  /** Keeps what the judge has verified: a server that is known costs one hash. */
  trust: ServerTrust | undefined
  #tickets: readonly ResumableSession[] = []

  /** The newest, which is then gone. */
  take(): ResumableSession | undefined {
    const newest = this.#tickets.at(-1)
    this.#tickets = this.#tickets.slice(0, -1)
    return newest
  }

  add(session: ResumableSession): void {
    this.#tickets = [...this.#tickets, session].slice(-ticketsMax)
  }
}

export class Sessions {
  readonly #partners: Map<string, Partner> = new Map()

  of({ target, credential, protocol }: TlsRequest): Partner {
    const { url, anchor } = target
    const key = [url, anchor, protocol, credential?.slot, credential?.certificates].join('\n')
    const partner = this.#partners.get(key) ?? new Partner()
    // The least recently used goes first.
    this.#partners.delete(key)
    this.#partners.set(key, partner)
    if (this.#partners.size > partnersMax) {
      const [oldest] = this.#partners.keys()
      if (oldest !== undefined) this.#partners.delete(oldest)
    }
    return partner
  }
}
