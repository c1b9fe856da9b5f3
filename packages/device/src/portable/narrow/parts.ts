/** What a firmware hands to the narrow channel. Nothing here is of one platform. */
import type { CoapMessage, CoapOption, Transmission } from '@countersign/core/coap'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { UsableSuite } from '@countersign/core/edhoc'
import type {
  ChannelCrypto,
  Clock,
  EphemeralKey,
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
  readonly leaf: Uint8Array
  /** Undefined: neither came with it nor is known. */
  readonly issuer: Uint8Array | undefined
  readonly purpose: 'serverEdhocSign' | 'serverEdhocDh'
  readonly at: Milliseconds
}

/** Returns the proof, or throws why it is not the server. */
export type TrustInServer = (shown: ShownCertificate) => VerifiedPeer

/** What the session asks of the server, or the server of the device; without message layer. */
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
  /** Best first; what the provider has of suites 2 and 3 where nothing is said. None is taken besides. */
  readonly suites?: readonly UsableSuite[]
  /** Of the element, where that makes them. */
  readonly ephemeral?: (suite: UsableSuite, agreements: number) => EphemeralKey
  /** message_4 before anything is sent: for devices whose readings are not answered. */
  readonly demandMessage4?: boolean
  /**
   * False: `clock` counts and knows no date. The channel takes the last authenticated time then, and a
   * command is acted upon when the server has shown that it is new.
   */
  readonly hasClock?: boolean
  /** The least time that it can be; of the device's making, say. */
  readonly timeFloor?: Milliseconds
  /** What goes wrong while a request of the server is served: the storage, the handler. */
  readonly fault: (error: unknown) => void
  readonly limits?: Partial<NarrowLimits>
  /** RFC 7252 §4.8, where the link is slower than the Internet. */
  readonly transmission?: Partial<Transmission>
}
