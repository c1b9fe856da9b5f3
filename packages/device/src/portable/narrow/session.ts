/**
 * The device's side of the narrow channel: CoAP under OSCORE (RFC 7252, RFC 8613) with keys of
 * EDHOC (RFC 9528) and the same certificates as TLS. The server is one peer; where it is, the link
 * knows, and the device's own address may change at any time. A context lives across sleep and
 * power cuts; a new handshake is made when there is none, when keys or the certificate are to be
 * replaced, or when the server seems to have lost it.
 *
 * @example
 * const session = await NarrowSession.open(parts)
 * socket.on('message', (datagram) => session.receive(datagram))
 * const { code } = await session.request({ code: coapCode.post, options, payload })
 */
import type { Cancellation, CoapMessage } from '@countersign/core/coap'
import type { Clock } from '@countersign/core/ports'
import { Awake, type Lasting } from './awake.ts'
import { HandshakeBudget } from './budget.ts'
import { closed } from './errors.ts'
import { RecordKeeper } from './keeper.ts'
import { type NarrowLimits, narrowLimits } from './limits.ts'
import type { DeviceCredential, NarrowParts, NarrowRequest } from './parts.ts'
import { NarrowTime } from './time.ts'

export interface RequestOptions {
  readonly signal?: Cancellation | undefined
}

export class NarrowSession {
  readonly #parts: NarrowParts
  readonly #limits: NarrowLimits
  readonly #lasting: Lasting
  #credential: DeviceCredential
  #awake: Awake | undefined

  /** Throws AdapterError ERR_NARROW_RECORD when what is stored is no record. */
  static async open(parts: NarrowParts): Promise<NarrowSession> {
    const keeper = await RecordKeeper.open(parts.crypto, parts.storage)
    return new NarrowSession(parts, keeper)
  }

  private constructor(parts: NarrowParts, keeper: RecordKeeper) {
    const { clock, random, hasClock = true, timeFloor = 0 } = parts
    this.#parts = parts
    this.#limits = { ...narrowLimits, ...parts.limits }
    this.#credential = parts.credential
    const time = new NarrowTime(clock, hasClock, Math.max(timeFloor, keeper.record.time))
    const budget = new HandshakeBudget({ time, random, hasClock }, keeper, this.#limits)
    this.#lasting = { keeper, time, budget }
    this.wake()
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
    return this.#lasting.time
  }

  /** Resolves when nothing is being written: with the record alone another session can go on. */
  async sleep(): Promise<void> {
    const awake = this.#awake
    this.#awake = undefined
    await awake?.end()
  }

  wake(): void {
    this.#awake ??= new Awake(this.#parts, this.#limits, this.#lasting, () => this.#credential)
  }
}
