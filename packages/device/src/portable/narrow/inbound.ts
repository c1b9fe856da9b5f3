/**
 * Requests of the server. Each is verified, and what it was taken by, the replay window, is written
 * down before it causes anything: after a power cut it is not taken a second time. What is answered
 * before that has a Partial IV of its own (RFC 8613 §8.3). Nothing that does not verify is answered.
 */
import {
  type CoapMessage,
  coapCode,
  isCritical,
  optionNumber,
  type OutgoingResponse,
  type Respond,
  valuesOf,
} from '@countersign/core/coap'
import { fromHex, fromUtf8, utf8 } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import {
  challenge,
  EchoIssuer,
  isFresh,
  oscoreOptionOf,
  type ReceivedRequest,
  type ServerExchange,
  unprotectRequest,
} from '@countersign/core/oscore'
import type { ChannelCrypto, Clock, Random } from '@countersign/core/ports'
import type { Contexts, LiveContext } from './contexts.ts'
import type { RecordKeeper } from './keeper.ts'
import type { NarrowResponse, ServeServer } from './parts.ts'
import type { ServerCredentials } from './serverCredentials.ts'

export interface InboundParts {
  readonly crypto: ChannelCrypto
  readonly random: Random
  readonly clock: Clock
  readonly contexts: Contexts
  readonly keeper: RecordKeeper
  readonly servers: ServerCredentials
  /** A device that knows the time judges a command by it. */
  readonly hasClock: boolean
  readonly serve: ServeServer
  /** What went wrong here: the storage, or a mistake of ours. */
  readonly fault: (error: unknown) => void
}

/** RFC 7252 §5.4.1: what is not among them and critical is refused. */
const known: ReadonlySet<number> = new Set([
  optionNumber.uriHost,
  optionNumber.uriPort,
  optionNumber.uriPath,
  optionNumber.uriQuery,
  optionNumber.accept,
])

export class Inbound {
  readonly #parts: InboundParts
  readonly #echo: EchoIssuer

  constructor(parts: InboundParts) {
    this.#parts = parts
    const { crypto, random, clock } = parts
    const key = crypto.importSecret(random.bytes(32))
    this.#echo = new EchoIssuer({ crypto, clock, key })
  }

  /** For CoapEndpoint. */
  serve(message: CoapMessage, respond: Respond): void {
    this.#answer(message).then(respond, (error: unknown) => {
      respond(undefined)
      this.#parts.fault(error)
    })
  }

  async #answer(message: CoapMessage): Promise<OutgoingResponse | undefined> {
    const taken = this.#verified(message)
    if (taken === undefined) return undefined
    const { live, request, exchange } = taken
    const { contexts } = this.#parts
    // The server has the keys too: that is what a candidate waits for.
    await contexts.confirm(live)
    const objection = this.#objection(live, request)
    if (objection !== undefined) return await this.#protect(live, exchange, request, objection)
    await contexts.storeWindow(live)
    return await this.#protect(live, exchange, request, await this.#responseTo(request))
  }

  #verified(message: CoapMessage): (ReceivedRequest & { readonly live: LiveContext }) | undefined {
    try {
      const { kid } = oscoreOptionOf(message)
      const live = kid && this.#parts.contexts.byRecipient(kid)
      return live && { ...unprotectRequest(live.context, message), live }
    } catch (error) {
      if (error instanceof PeerError) return undefined
      throw error
    }
  }

  /** What is answered without being acted upon. */
  #objection({ context }: LiveContext, request: CoapMessage): NarrowResponse | undefined {
    const stranger = request.options.find(({ number }) => isCritical(number) && !known.has(number))
    if (stranger !== undefined) return plain(coapCode.badOption, `option ${stranger.number}`)
    if (this.#parts.hasClock || isFresh(context, request, this.#echo)) return undefined
    // RFC 9175 §2.2: without a clock nothing else tells an old command from a new one.
    return challenge(context, request, this.#echo)
  }

  async #responseTo(request: CoapMessage): Promise<NarrowResponse> {
    if (pathOf(request).join('/') === credentialPath) return await this.#pushed(request)
    try {
      return await this.#parts.serve(request)
    } catch (error) {
      this.#parts.fault(error)
      return plain(coapCode.internalServerError)
    }
  }

  /** The server's next certificate: it is judged as in a handshake. */
  async #pushed(request: CoapMessage): Promise<NarrowResponse> {
    if (request.code !== coapCode.post) return plain(coapCode.methodNotAllowed)
    try {
      const learned = this.#parts.servers.pushed(request.payload.slice(), kidOf(request))
      await this.#parts.keeper.change(learned)
      return plain(coapCode.changed)
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      return plain(coapCode.badRequest, error.code)
    }
  }

  async #protect(
    live: LiveContext,
    exchange: ServerExchange,
    request: CoapMessage,
    response: NarrowResponse,
  ): Promise<OutgoingResponse> {
    await this.#parts.contexts.ready(live)
    const { code, options, payload } = response
    const message = exchange.protectResponse({ ...request, type: 'ACK', code, options, payload })
    return { code: message.code, options: message.options, payload: message.payload }
  }
}

const credentialPath = 'k'
const kidQuery = /^kid=((?:[0-9a-f]{2}){1,8})$/

/** Throws PeerError for a text that is none. */
function kidOf({ options }: CoapMessage): Uint8Array {
  for (const value of valuesOf(options, optionNumber.uriQuery)) {
    const kid = kidQuery.exec(fromUtf8(value))?.[1]
    if (kid !== undefined) return fromHex(kid)
  }
  throw new PeerError('ERR_NARROW_CREDENTIAL', 'the server gives a certificate without its kid')
}

function pathOf({ options }: CoapMessage): readonly string[] {
  return valuesOf(options, optionNumber.uriPath).map((value) => {
    try {
      return fromUtf8(value)
    } catch (error) {
      if (error instanceof PeerError) return ''
      throw error
    }
  })
}

function plain(code: number, diagnostic = ''): NarrowResponse {
  return { code, options: [], payload: utf8(diagnostic) }
}
