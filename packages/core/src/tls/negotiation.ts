/** What the states of a handshake hand on to each other. */
import type { VerifiedPeer } from '../credential/index.ts'
import type { ChannelCrypto, Clock, GroupName, Random, SecretKey, Signer } from '../ports.ts'
import type { EarlySecrets, HandshakeSecrets } from './keySchedule.ts'
import type { Policy } from './policy.ts'
import type { Suite } from './registry.ts'
import type { ResumableSession } from './resumable.ts'
import type { Transcript } from './transcript.ts'
import type { PresentedChain, ServerTrust } from './trust.ts'

export interface ClientCredential {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
  /** Of the leaf's key. Called once in a full handshake whose server asks, never in a resumed one. */
  readonly signer: Signer
}

export interface HandshakeOptions {
  readonly crypto: ChannelCrypto
  readonly random: Random
  readonly clock: Clock
  readonly policy: Policy
  readonly trust: ServerTrust
  readonly serverName: string | undefined
  readonly credential: ClientCredential | undefined
  readonly session: ResumableSession | undefined
}

/** A ticket that is offered, and who its server was found to be, now. */
export interface Resuming {
  readonly session: ResumableSession
  readonly peer: VerifiedPeer
  /** Of the ticket's secret: binds the offer, and begins the schedule if it is taken. */
  readonly early: EarlySecrets
}

/** From ServerHello on. */
export interface Negotiation {
  readonly options: HandshakeOptions
  readonly suite: Suite
  readonly group: GroupName
  readonly transcript: Transcript
  readonly secrets: HandshakeSecrets
  readonly traffic: { readonly client: SecretKey; readonly server: SecretKey }
  /** Extensions of our last ClientHello. */
  readonly asked: ReadonlySet<number>
  /** Undefined in a full handshake. */
  readonly resumed: Resuming | undefined
}

/** What an open connection keeps. */
export interface Established {
  readonly suite: Suite
  readonly group: GroupName
  readonly alpn: string | undefined
  readonly peer: VerifiedPeer
  /** What it showed, in this handshake or in the one that is resumed. */
  readonly server: PresentedChain
  readonly isResumed: boolean
  /** The server asked who we are, and was told. */
  readonly isAuthenticated: boolean
  readonly exporter: SecretKey
  readonly resumption: SecretKey
}
