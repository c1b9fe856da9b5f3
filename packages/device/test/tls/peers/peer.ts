/** What the foreign TLS 1.3 servers have in common: what one wishes of them, and what one gets. */
import type { GroupName } from '@countersign/core/ports'
import type { Credential, Pki } from './pki.ts'

/** RFC 8446 Appendix B.4. */
export type SuiteName =
  | 'TLS_AES_128_GCM_SHA256'
  | 'TLS_AES_256_GCM_SHA384'
  | 'TLS_CHACHA20_POLY1305_SHA256'
  | 'TLS_AES_128_CCM_8_SHA256'

export interface ServerWish {
  readonly clientCertificate: 'required' | 'none'
  /** The groups that it takes. One alone is how to make it ask for another key share. */
  readonly groups?: readonly GroupName[]
  /** The cipher suites that it takes. */
  readonly suites?: readonly SuiteName[]
  /** False: it sends no ticket. */
  readonly tickets?: boolean
  /** What it speaks (RFC 7301). */
  readonly alpn?: readonly string[]
  /** A file with the OCSP response that it staples. */
  readonly staple?: string
  /** What it shows; the P-256 leaf if nothing is said. */
  readonly credential?: Credential
}

/** What a peer can be told; a wish beyond it is refused by `start`. */
export interface Abilities {
  readonly groups: readonly GroupName[]
  /** None: they are not for its user to choose. */
  readonly suites: readonly SuiteName[]
  readonly alpn: boolean
  readonly staple: boolean
  /** Whether it can be told to send no tickets. */
  readonly noTickets: boolean
}

/**
 * How it refuses a client's certificate, when the client has already finished its handshake.
 * `alert`: RFC 8446 §6.2. `close`: without a word. `page`: the handshake is completed, and HTTP's
 * 400 is the answer to a GET.
 */
export interface Refusal {
  readonly by: 'alert' | 'close' | 'page'
  /** Whether a certificate that is for servers is refused. */
  readonly ofPurpose: boolean
}

/**
 * What its application does. `report`: a line of JSON (see `Report`) comes first, then everything
 * comes back. `echo`: everything comes back. `reversed`: every line comes back, its characters in
 * reverse order. `http`: a GET is answered with what the server knows of the connection.
 */
export type Speech = 'report' | 'echo' | 'reversed' | 'http' | 'mqtt'

export interface Peer {
  readonly name: string
  readonly speaks: Speech
  readonly abilities: Abilities
  readonly refusal: Refusal
  /** For `skip`: false when it can run here. */
  missing(): string | false
  start(pki: Pki, wish: ServerWish): Promise<ForeignServer>
}

export interface ForeignServer {
  readonly name: string
  readonly host: string
  readonly port: number
  /** What it has printed so far. */
  output(): string
  /** Resolves when it has printed this, rejects when it ended without. */
  prints(what: RegExp): Promise<RegExpExecArray>
  stop(): Promise<void>
}

/** What a server that reports knows of its connection. */
export interface Report {
  readonly resumed: boolean
  /** By its registered name; null: the server does not know. */
  readonly group: string | null
  readonly suite: string
  readonly alpn: string | null
  /** DER of the client's leaf as hex; null: it showed none. */
  readonly client: string | null
}

/** Throws when the peer cannot be told this. */
export function checkWish({ name, abilities }: Peer, wish: ServerWish): void {
  const { groups = [], suites = [] } = wish
  const beyond: readonly unknown[] = [
    ...groups.filter((group) => !abilities.groups.includes(group)),
    ...suites.filter((suite) => !abilities.suites.includes(suite)),
    ...(wish.alpn !== undefined && !abilities.alpn ? ['ALPN'] : []),
    ...(wish.staple !== undefined && !abilities.staple ? ['a stapled response'] : []),
    ...(wish.tickets === false && !abilities.noTickets ? ['no tickets'] : []),
  ]
  if (beyond.length > 0) throw new Error(`${name} cannot be told: ${beyond.join(', ')}`)
}

/** The names of OpenSSL, also in nginx, mosquitto and Node. */
export const opensslGroups: Readonly<Record<GroupName, string>> = {
  x25519: 'X25519',
  secp256r1: 'P-256',
  X25519MLKEM768: 'X25519MLKEM768',
}

/** Every suite of OpenSSL; that of constrained devices is off until it is asked for. */
export const allSuites: readonly SuiteName[] = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_CCM_8_SHA256',
]
