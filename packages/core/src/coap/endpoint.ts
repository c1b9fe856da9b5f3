/**
 * An endpoint of CoAP over datagrams: the message layer of RFC 7252 §4 and requests and responses
 * of §5, as client and server at once. Blocks are of blockwise.ts, above it; options are judged by
 * whoever serves (§5.4.1). Leaves out: Observe, multicast, proxies, ICMP.
 *
 * @example
 * const endpoint = new CoapEndpoint({ clock, random, timers, send, serve })
 * socket.on('message', (datagram, { address, port }) => endpoint.receive(datagram, `${address}:${port}`))
 * const response = await endpoint.request({ code: coapCode.get, options, payload }, '192.0.2.1:5683')
 */
import { PeerError } from '../errors.ts'
import { ClientSide } from './clientSide.ts'
import {
  closed,
  type EndpointParts,
  type OutgoingRequest,
  type RequestOptions,
} from './endpointParts.ts'
import { type Ground, groundOf } from './ground.ts'
import { type CoapMessage, parseMessage } from './message.ts'
import { Moderation } from './moderation.ts'
import { codeKind } from './numbers.ts'
import { emptyMessage, ServerSide } from './serverSide.ts'

/** What it holds at a time: never more than its limits. */
export interface EndpointLoad {
  /** Requests of others being served, and answers to them under way. */
  readonly serving: number
  /** Requests of its own, under way and waiting. */
  readonly requests: number
  /** Messages that it would know again, and their bytes. */
  readonly exchanges: number
  readonly exchangeBytes: number
}

export class CoapEndpoint {
  readonly #ground: Ground
  readonly #client: ClientSide
  readonly #server: ServerSide
  readonly #moderation: Moderation
  #isClosed = false

  constructor(parts: EndpointParts) {
    this.#ground = groundOf(parts)
    this.#client = new ClientSide(this.#ground)
    this.#server = new ServerSide(this.#ground, parts.serve)
    this.#moderation = new Moderation(this.#ground.clock, this.#ground.limits)
  }

  /** A datagram of the link; never throws for what came. */
  receive(datagram: Uint8Array, from: string): void {
    if (this.#isClosed) return
    const message = this.#parse(datagram, from)
    if (message === undefined) return
    const kind = codeKind(message.code)
    if (kind === 'empty') this.#signal(message, from)
    else if (kind === 'request') this.#server.receive(message, datagram, from)
    else this.#response(message, datagram, from)
  }

  /**
   * Resolves with the response, whatever its code. Rejects with AdapterError ERR_COAP_TIMEOUT,
   * ERR_COAP_CLOSED, ERR_COAP_BUSY, with PeerError ERR_COAP_RESET, with CallerError for what cannot
   * be sent, with the reason of the signal.
   */
  async request(
    request: OutgoingRequest,
    to: string,
    options: RequestOptions = {},
  ): Promise<CoapMessage> {
    if (this.#isClosed) throw closed()
    return await this.#client.request(request, to, options)
  }

  get load(): EndpointLoad {
    const { size, bytes } = this.#server.remembered
    return {
      serving: this.#server.size,
      requests: this.#client.size,
      exchanges: size,
      exchangeBytes: bytes,
    }
  }

  /** Requests under way fail; what comes in later is not heard. */
  close(): void {
    this.#isClosed = true
    this.#client.close()
    this.#server.close()
  }

  /** RFC 7252 §4.2: a Confirmable message that cannot be read is rejected, the others ignored. */
  #parse(datagram: Uint8Array, from: string): CoapMessage | undefined {
    try {
      return parseMessage(datagram)
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      const { type, messageId } = error.details
      if (type === 'CON' && typeof messageId === 'number') this.#reject(messageId, from)
      return undefined
    }
  }

  /** An Empty message: a ping, an acknowledgement, a Reset (RFC 7252 §4.2, §4.3). */
  #signal({ type, messageId }: CoapMessage, from: string): void {
    if (type === 'CON') return this.#reject(messageId, from)
    if (type === 'ACK') this.#client.acknowledged(messageId, from)
    else this.#client.reset(messageId, from)
    this.#server.delivered(messageId, from)
  }

  #response(message: CoapMessage, datagram: Uint8Array, from: string): void {
    const isConfirmable = message.type === 'CON'
    if (isConfirmable && this.#server.repeated(datagram, from)) return
    const reception = this.#client.receive(message, from)
    if (!isConfirmable || reception === 'refused' || this.#isClosed) return
    if (reception === 'accepted') this.#server.acknowledge(message, datagram, from)
    // RFC 7252 §5.3.2: nobody waits for it.
    else this.#reject(message.messageId, from)
  }

  #reject(messageId: number, to: string): void {
    if (this.#moderation.allows(to)) this.#ground.send(emptyMessage('RST', messageId), to)
  }
}
