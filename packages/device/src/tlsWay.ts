/** How a device comes to speak TLS with its server: the port of judgedSocket.ts. */
import type { Duplex } from 'node:stream'
import type { SecureElement } from '@countersign/element/ports'
import type { ServerTarget } from './target.ts'
import type { World } from './world.ts'

/** A key in its element and the certificates for it. */
export interface DeviceCredential {
  readonly element: SecureElement
  readonly slot: number
  /** PEM, leaf first. */
  readonly certificates: string
}

/** What is spoken behind the handshake (RFC 7301). */
export type Protocol = 'http/1.1' | 'mqtt'

export interface TlsRequest {
  readonly world: World
  readonly target: ServerTarget
  /** Undefined for a first enrolment. */
  readonly credential: DeviceCredential | undefined
  readonly protocol: Protocol
  /** Ends the handshake. */
  readonly closing: AbortSignal
}

/**
 * Resolves with a stream whose server the judge has accepted. Throws PeerError when it is the wrong
 * one, AdapterError when the way is broken.
 */
export type TlsWay = (request: TlsRequest) => Promise<Duplex>

export const tlsNames = ['own', 'openssl'] as const
/** `own`: core's client, whose key stays in any element. `openssl`: Node's, for software keys. */
export type TlsName = (typeof tlsNames)[number]
