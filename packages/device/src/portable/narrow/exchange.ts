/** Requests under a context that is in use: numbers written down before, responses that verify. */
import type { Cancellation, CoapMessage } from '@countersign/core/coap'
import { PeerError } from '@countersign/core/errors'
import { type ClientExchange, protectRequest, repeatedWithEcho } from '@countersign/core/oscore'
import type { Milliseconds } from '@countersign/core/ports'
import type { Contexts, LiveContext } from './contexts.ts'
import { neverFresh } from './errors.ts'
import { echoesMax } from './limits.ts'
import type { NarrowRequest } from './parts.ts'
import type { Answer, Wire } from './wire.ts'

export interface ExchangeParts {
  readonly wire: Wire
  readonly contexts: Contexts
  /** How long a hint has to wait still, because no handshake may begin: see Question of wire.ts. */
  readonly believeInMs: () => Milliseconds
}

/** Throws AdapterError ERR_NARROW_TIMEOUT, ERR_NARROW_BUSY, CallerError ERR_OSCORE_EXHAUSTED. */
export async function exchangeUnder(
  live: LiveContext,
  request: NarrowRequest,
  parts: ExchangeParts,
  signal: Cancellation | undefined,
): Promise<Answer<CoapMessage>> {
  let asked = request
  for (let echoes = 0; ; echoes++) {
    const answer = await once(live, asked, parts, signal)
    if (answer.kind === 'hint') return answer
    // RFC 9175 §2.3, RFC 8613 Appendix B.1.2: the same request, under a new number.
    const again = repeatedWithEcho(asked, answer.value)
    if (again === undefined) return answer
    if (echoes === echoesMax) throw neverFresh()
    asked = again
  }
}

async function once(
  live: LiveContext,
  request: NarrowRequest,
  { wire, contexts, believeInMs }: ExchangeParts,
  signal: Cancellation | undefined,
): Promise<Answer<CoapMessage>> {
  while (contexts.needsNumbers(live)) await contexts.reserve(live)
  const { message, exchange } = protectRequest(live.context, protectable(request))
  const { code, options, payload } = message
  const verify = verifiedBy(exchange)
  const outer = { code, options, payload }
  return await wire.ask({ what: 'the request', request: outer, verify, believeInMs, signal })
}

/** The message layer is the endpoint's. */
export function protectable(request: NarrowRequest): CoapMessage {
  return { ...request, type: 'CON', messageId: 0, token: new Uint8Array() }
}

/** The response that was protected; undefined for everything else. */
export function verifiedBy(
  exchange: ClientExchange,
): (response: CoapMessage) => CoapMessage | undefined {
  return (response) => {
    try {
      return exchange.unprotectResponse(response)
    } catch (error) {
      if (error instanceof PeerError) return undefined
      throw error
    }
  }
}
