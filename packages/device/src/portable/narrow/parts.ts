/** What firmware hands to the narrow channel. Nothing here is specific to a platform. */
import type { CoapMessage, CoapOption, Transmission } from '@countersign/core/coap'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { HandshakeKey, UsableSuite } from '@countersign/core/edhoc'
import type {
  ChannelCrypto,
  Clock,
  Milliseconds,
  Random,
  Signer,
  Timers,
} from '@countersign/core/ports'
import type { NarrowLimits } from './limits.ts'

/** One record, replaced as a whole. Whoever stores it keeps it secret: there are keys in it. */
export interface NarrowStorage {
  load(): Promise<Uint8Array | undefined>
  /** Durable when it resolves: a power cut leaves the old record or this one. */
  save(record: Uint8Array): Promise<void>
}

/** How the device shows itself: by a signature of its element. */
export interface DeviceCredential {
  /** DER. */
  readonly leaf: Uint8Array
  /** Of the leaf's key; ECDSA answers as r || s. */
  readonly signer: Signer
}

/** What a certificate of the server is judged by. */
export interface ShownCertificate {
  /** DER. */
  readonly leaf: Uint8Array
  /** DER of the CA above it; undefined when it neither came along nor is stored. */
  readonly issuer: Uint8Array | undefined
  readonly purpose: 'serverEdhocSign' | 'serverEdhocDh'
  readonly at: Milliseconds
}

/** Returns the proof, or throws why it is not the server. */
export type TrustInServer = (shown: ShownCertificate) => VerifiedPeer

/** A request in either direction, without the message layer (type, Message ID, token). */
export interface NarrowRequest {
  readonly code: number
  readonly options: readonly CoapOption[]
  readonly payload: Uint8Array
}

export type NarrowResponse = NarrowRequest

/** A verified request of the server. */
export type ServeServer = (request: CoapMessage) => Promise<NarrowResponse>

export interface NarrowParts {
  readonly crypto: ChannelCrypto
  readonly clock: Clock
  readonly random: Random
  readonly timers: Timers
  /** To the server. Never throws: what is lost is sent again. */
  readonly send: (datagram: Uint8Array) => void
  readonly storage: NarrowStorage
  readonly credential: DeviceCredential
  readonly trust: TrustInServer
  readonly serve: ServeServer
  /** 0: the server signs. 1: it has a static key, and its messages are shorter. */
  readonly method?: 0 | 1
  /** Best first; by default those of suites 2 and 3 that the provider has. No other is accepted. */
  readonly suites?: readonly UsableSuite[]
  /**
   * Makes the ephemeral key of each handshake, where the element shall do that; `crypto` by default.
   * What it throws, or its key, ends the handshake.
   */
  readonly ephemeral?: (suite: UsableSuite, agreements: number) => Promise<HandshakeKey>
  /** Waits for message_4 before anything is sent: for devices whose readings are not answered. */
  readonly demandMessage4?: boolean
  /**
   * False: `clock` counts and knows no date. The channel takes the last authenticated time then,
   * and a command is acted upon when the server has shown that it is new.
   */
  readonly hasClock?: boolean
  /** It is not earlier than this: the date of the firmware, for example. */
  readonly timeFloor?: Milliseconds
  /** What goes wrong while a request of the server is served: the storage, the handler. */
  readonly fault: (error: unknown) => void
  readonly limits?: Partial<NarrowLimits>
  /** Transmission parameters (RFC 7252 §4.8), for links slower than the Internet. */
  readonly transmission?: Partial<Transmission>
}
