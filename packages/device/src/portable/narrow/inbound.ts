/**
 * Requests of the server. Each is verified, and what it was taken by, the replay window, is written
 * down before it causes anything: after a power cut it is not taken a second time. What is answered
 * before that has a Partial IV of its own (RFC 8613 §8.3). Nothing that does not verify is
 * answered.
 */
import {
  BlockAssembler,
  blockIn,
  type CoapMessage,
  coapCode,
  isCritical,
  optionNumber,
  type OutgoingResponse,
  pathOf,
  queryOf,
  type Respond,
} from '@countersign/core/coap'
import { fromHex, hex, utf8 } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import {
  challenge,
  EchoIssuer,
  isFresh,
  oscoreOptionOf,
  type ReceivedRequest,
  unprotectRequest,
} from '@countersign/core/oscore'
import type { ChannelCrypto, Clock, Random } from '@countersign/core/ports'
import { type Contexts, hasEnded, type LiveContext } from './contexts.ts'
import { unknownCredential } from './errors.ts'
import type { RecordKeeper } from './keeper.ts'
import { inboundLimits, kidBytesMax } from './limits.ts'
import type { NarrowResponse, ServeServer } from './parts.ts'
import type { ServerCredentials } from './serverCredentials.ts'

export interface InboundParts {
  readonly crypto: ChannelCrypto
  readonly random: Random
  readonly clock: Clock
  /** As the channel knows it. */
  readonly time: Clock
  readonly contexts: Contexts
  readonly keeper: RecordKeeper
  readonly servers: ServerCredentials
  /** A device that knows the time judges a command by it. */
  readonly hasClock: boolean
  readonly serve: ServeServer
  /** What went wrong here: the storage, or a mistake of ours. */
  readonly fault: (error: unknown) => void
}

interface Taken extends ReceivedRequest {
  readonly live: LiveContext
}

const echoKeyBytes = 32
/** RFC 7252 §5.4.1: what is not among them and critical is refused. */
const known: ReadonlySet<number> = new Set([
  optionNumber.uriHost,
  optionNumber.uriPort,
  optionNumber.uriPath,
  optionNumber.uriQuery,
  optionNumber.accept,
  optionNumber.block1,
  optionNumber.block2,
])

export class Inbound {
  readonly #parts: InboundParts
  readonly #echo: EchoIssuer
  readonly #assembler: BlockAssembler

  constructor(parts: InboundParts) {
    this.#parts = parts
    const { crypto, random, clock } = parts
    const key = crypto.importSecret(random.bytes(echoKeyBytes))
    this.#echo = new EchoIssuer({ crypto, clock, key })
    this.#assembler = new BlockAssembler({ clock, random, limits: inboundLimits })
  }

  /** For CoapEndpoint. */
  serve(message: CoapMessage, respond: Respond): void {
    this.#answer(message).then(respond, (error: unknown) => {
      // Not answered, the server sends it again.
      respond(undefined)
      this.#parts.fault(error)
    })
  }

  async #answer(message: CoapMessage): Promise<OutgoingResponse | undefined> {
    const taken = this.#verified(message)
    if (taken === undefined) return undefined
    const { contexts } = this.#parts
    // The server has the keys too: that is what a candidate waits for.
    await contexts.confirm(taken.live)
    const response = this.#objection(taken) ?? (await this.#carriedOut(taken))
    while (contexts.needsNumbers(taken.live)) await contexts.reserve(taken.live)
    // Replaced meanwhile: the server has given it up too.
    if (!contexts.has(taken.live)) return undefined
    return protectedResponse(taken, response)
  }

  #verified(message: CoapMessage): Taken | undefined {
    try {
      const { kid } = oscoreOptionOf(message)
      const live = kid && this.#parts.contexts.byRecipient(kid)
      if (live === undefined || hasEnded(live, this.#parts.time)) return undefined
      return { ...unprotectRequest(live.context, message), live }
    } catch (error) {
      if (error instanceof PeerError) return undefined
      throw error
    }
  }

  /** What is answered without being acted upon. */
  #objection({ live, request }: Taken): NarrowResponse | undefined {
    const stranger = request.options.find(({ number }) => isCritical(number) && !known.has(number))
    if (stranger !== undefined) return plain(coapCode.badOption, `option ${stranger.number}`)
    if (this.#parts.hasClock || !isLast(request)) return undefined
    if (isFresh(live.context, request, this.#echo)) return undefined
    // RFC 9175 §2.3: without a clock nothing else tells an old command from a new one.
    return challenge(live.context, request, this.#echo)
  }

  async #carriedOut({ live, request }: Taken): Promise<NarrowResponse> {
    const { contexts } = this.#parts
    // Of one block, not of the body.
    const options = request.options.filter(({ number }) => number !== optionNumber.echo)
    const part = this.#assembler.take(hex(live.context.sender.id), { ...request, options })
    if (part.kind === 'answer') return part.response
    await contexts.storeWindow(live)
    return part.answer(await this.#responseTo(part.request))
  }

  async #responseTo(request: CoapMessage): Promise<NarrowResponse> {
    try {
      return pathOf(request).join('/') === credentialPath
        ? await this.#pushed(request)
        : await this.#parts.serve(request)
    } catch (error) {
      if (error instanceof PeerError) return plain(coapCode.badRequest, error.code)
      this.#parts.fault(error)
      return plain(coapCode.internalServerError)
    }
  }

  /** The server's next certificate: it is judged as in a handshake. */
  async #pushed(request: CoapMessage): Promise<NarrowResponse> {
    if (request.code !== coapCode.post) return plain(coapCode.methodNotAllowed)
    const kid = queryOf(request, 'kid')
    if (kid === undefined || !isKid(kid)) throw unknownCredential('the server gives no kid')
    const { servers, keeper } = this.#parts
    await keeper.change(servers.pushed(Uint8Array.from(request.payload), fromHex(kid)))
    return plain(coapCode.changed)
  }
}

const credentialPath = 'k'

function isKid(text: string): boolean {
  return text.length <= 2 * kidBytesMax && /^(?:[0-9a-f]{2})+$/.test(text)
}

/** The one that makes the body whole. */
function isLast(request: CoapMessage): boolean {
  try {
    return blockIn(request, 'block1')?.more !== true
  } catch (error) {
    if (error instanceof PeerError) return true
    throw error
  }
}

function protectedResponse(
  { request, exchange }: Taken,
  { code, options, payload }: NarrowResponse,
): OutgoingResponse {
  const message = exchange.protectResponse({ ...request, type: 'ACK', code, options, payload })
  return { code: message.code, options: message.options, payload: message.payload }
}

function plain(code: number, diagnostic = ''): NarrowResponse {
  return { code, options: [], payload: utf8(diagnostic) }
}
