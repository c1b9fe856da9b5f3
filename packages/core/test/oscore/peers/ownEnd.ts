/** Our end over UDP: an endpoint of CoAP on a socket, and OSCORE on it in either role. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import {
  CoapEndpoint,
  type CoapMessage,
  coapCode,
  optionNumber,
  type OutgoingResponse,
  valuesOf,
} from '@countersign/core/coap'
import { concat, fromUtf8, hex, utf8 } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import {
  type EchoIssuer,
  oscoreErrorAnswer,
  type OscoreErrorCode,
  protectRequest,
  recoverRequest,
  type SecurityContext,
} from '@countersign/core/oscore'
import { randomBytes } from '@countersign/element/nodeCrypto'

export interface OwnEnd {
  readonly endpoint: CoapEndpoint
  readonly port: number
  /** Everything that went out or came in. */
  readonly sent: Uint8Array[]
  readonly received: Uint8Array[]
}

type Serve = (request: CoapMessage) => OutgoingResponse

export async function ownEnd(t: TestContext, serve: Serve = refuseAll): Promise<OwnEnd> {
  const socket = createSocket('udp4')
  const [sent, received]: Uint8Array[][] = [[], []]
  const endpoint = new CoapEndpoint({
    clock: { now: () => performance.now() },
    random: randomBytes,
    timers: {
      after(milliseconds, run) {
        const timer = setTimeout(run, milliseconds)
        return { cancel: () => clearTimeout(timer) }
      },
    },
    send(datagram, to) {
      sent?.push(datagram)
      const [address, port] = to.split(':')
      socket.send(datagram, Number(port), address)
    },
    serve: (request, _, respond) => respond(serve(request)),
  })
  socket.on('message', (datagram, { address, port }) => {
    received?.push(Uint8Array.from(datagram))
    endpoint.receive(datagram, `${address}:${port}`)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => {
    endpoint.close()
    socket.close()
  })
  return { endpoint, port: socket.address().port, sent: sent ?? [], received: received ?? [] }
}

function refuseAll(): OutgoingResponse {
  return { code: coapCode.notFound, options: [], payload: new Uint8Array() }
}

/** Posts under OSCORE; gives the response, which may be a challenge. */
export async function ask(
  { endpoint }: OwnEnd,
  context: SecurityContext,
  request: CoapMessage,
  to: string,
): Promise<CoapMessage> {
  const { message, exchange } = protectRequest(context, request)
  let response: CoapMessage | undefined
  await endpoint.request({ ...message, type: 'CON' }, to, {
    accept(candidate) {
      try {
        response = exchange.unprotectResponse(candidate)
        return true
      } catch (error) {
        if (error instanceof PeerError) return false
        throw error
      }
    },
  })
  if (response === undefined) throw new Error('an answer that was not accepted')
  return response
}

export function post(path: string, payload: string): CoapMessage {
  const options = path.split('/').map((segment) => ({
    number: optionNumber.uriPath,
    value: utf8(segment),
  }))
  const token = new Uint8Array()
  return { type: 'CON', code: coapCode.post, messageId: 0, token, options, payload: utf8(payload) }
}

/** A server that says how often it was asked, and what it heard. */
export class OwnServer {
  /** Another one when it began again. */
  context: SecurityContext
  readonly #echo: EchoIssuer
  readonly heard: string[] = []
  /** Codes of what was refused without protection. */
  readonly refused: string[] = []
  challenges = 0

  constructor(context: SecurityContext, echo: EchoIssuer) {
    this.context = context
    this.#echo = echo
  }

  answer(message: CoapMessage): OutgoingResponse {
    try {
      return this.#answer(message)
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      this.refused.push(error.code)
      const { code, diagnostic } = oscoreErrorAnswer(error.code as OscoreErrorCode)
      return { code, options: [], payload: utf8(diagnostic) }
    }
  }

  #answer(message: CoapMessage): OutgoingResponse {
    const received = recoverRequest(this.context, message, this.#echo)
    if (received.kind === 'challenge') {
      this.challenges++
      return received.answer
    }
    const { request, exchange } = received
    const path = valuesOf(request.options, optionNumber.uriPath).map(fromUtf8)
    this.heard.push(`${path.join('/')} ${hex(request.payload)}`)
    const { window } = this.context.recipient
    window.stored(window.snapshot())
    const payload = concat(utf8(`${this.heard.length} `), request.payload)
    return exchange.protectResponse({ ...request, code: coapCode.changed, options: [], payload })
  }
}
