/**
 * The device's side of the narrow channel: CoAP under OSCORE (RFC 7252, RFC 8613) with keys of EDHOC
 * (RFC 9528) and the same certificates as TLS. The server is one peer; where it is, the link knows, and
 * the device's own address may change at any time. A context lives across sleep and power cuts; a new
 * handshake is made when there is none, when keys or the certificate are to be replaced, or when the
 * server seems to have lost it.
 *
 * @example
 * const session = await NarrowSession.open(parts)
 * socket.on('message', (datagram) => session.receive(datagram))
 * const { code } = await session.request({ code: coapCode.post, options, payload })
 */
import type { Cancellation, CoapMessage } from '@countersign/core/coap'
import type { Clock } from '@countersign/core/ports'
import { Awake } from './awake.ts'
import { closed } from './errors.ts'
import { RecordKeeper } from './keeper.ts'
import { type NarrowLimits, narrowLimits } from './limits.ts'
import type { DeviceCredential, NarrowParts, NarrowRequest } from './parts.ts'

export interface RequestOptions {
  readonly signal?: Cancellation | undefined
}

export class NarrowSession {
  readonly #parts: NarrowParts
  readonly #limits: NarrowLimits
  #credential: DeviceCredential
  #awake: Awake | undefined

  /** Throws AdapterError ERR_NARROW_RECORD when what is stored is no record. */
  static async open(parts: NarrowParts): Promise<NarrowSession> {
    const session = new NarrowSession(parts)
    await session.wake()
    return session
  }

  private constructor(parts: NarrowParts) {
    this.#parts = parts
    this.#limits = { ...narrowLimits, ...parts.limits }
    this.#credential = parts.credential
  }

  /** A datagram from where the server is. Never throws for what came. */
  receive(datagram: Uint8Array): void {
    this.#awake?.receive(datagram)
  }

  /**
   * The verified response, whatever its code. Throws AdapterError (no answer, no handshake allowed
   * yet, the storage) and PeerError (not the right server, or it refuses). Sent again under a new
   * context where the old one was lost: what must not happen twice has a number of its own.
   */
  async request(request: NarrowRequest, { signal }: RequestOptions = {}): Promise<CoapMessage> {
    if (this.#awake === undefined) throw closed()
    return await this.#awake.inTurn(request, signal)
  }

  /** The device has a new certificate: the next request makes a new handshake with it. */
  changeCredential(credential: DeviceCredential): void {
    this.#credential = credential
  }

  /** As the channel knows it, for whoever judges by time. */
  get time(): Clock {
    return { now: () => (this.#awake?.time ?? this.#parts.clock).now() }
  }

  /** Resolves when nothing is being written. Nothing but the record is needed to wake again. */
  async sleep(): Promise<void> {
    const awake = this.#awake
    this.#awake = undefined
    await awake?.end()
  }

  async wake(): Promise<void> {
    if (this.#awake !== undefined) return
    const keeper = await RecordKeeper.open(this.#parts.crypto, this.#parts.storage)
    this.#awake = new Awake(this.#parts, this.#limits, keeper, () => this.#credential)
  }
}
