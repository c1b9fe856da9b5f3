/**
 * A client and a server of EDHOC over CoAP, made of the channel room's functions and nothing more:
 * no retransmission, no block, claims sets for certificates, method 3.
 */
import assert from 'node:assert/strict'
import {
  combine,
  contextParameters,
  edhocPath,
  encodeContinued,
  encodeStart,
  isCombined,
  parseEdhocPayload,
  separate,
} from '@countersign/core/channel'
import {
  type CoapMessage,
  coapCode,
  codeKind,
  encodeMessage,
  optionNumber,
  parseMessage,
  valuesOf,
} from '@countersign/core/coap'
import { fromHex, hex, utf8 } from '@countersign/core/codec'
import {
  type Authenticated,
  Initiator,
  methods,
  offer,
  Responder,
  suitesOf,
  type WaitMessage3,
} from '@countersign/core/edhoc'
import {
  deriveContext,
  protectRequest,
  type SecurityContext,
  unprotectRequest,
} from '@countersign/core/oscore'
import { nodeCrypto as crypto } from '@countersign/element/nodeCrypto'
import { ephemeralKey, type Side } from '../../edhoc/parties.ts'
import type { Keys } from '../../edhoc/peers/claims.ts'
import { node } from '../../providers.ts'

/** What goes to and comes from the other end. */
export interface Datagrams {
  send(datagram: Uint8Array): void
  next(): Promise<Uint8Array>
}

export interface Known {
  readonly ours: Side
  readonly theirs: Side
  readonly keys: Keys
}

const method = methods.get(3) ?? assert.fail()
const suite = suitesOf(crypto).find(({ number }) => number === 2) ?? assert.fail()
const none = new Uint8Array()

type Request = Pick<CoapMessage, 'options' | 'payload'>

export function post(path: readonly string[], payload: Uint8Array): Request {
  const options = path.map((part) => ({ number: optionNumber.uriPath, value: utf8(part) }))
  return { options, payload }
}

export class OwnClient {
  readonly #wire: Datagrams
  readonly #known: Known
  #messageId = 0

  constructor(wire: Datagrams, known: Known) {
    this.#wire = wire
    this.#known = known
  }

  /** message_3 goes alone and message_4 comes, or the first request has it in front. */
  async open(first: 'message_4' | Request): Promise<{
    readonly context: SecurityContext
    readonly response: CoapMessage | undefined
  }> {
    const { ours, theirs, keys } = this.#known
    const initiator = new Initiator({
      crypto,
      method,
      offer: offer([suite]),
      cI: fromHex('0e'),
      own: ours.own,
      ephemeral: (of, agreements) => ephemeralKey(node, of, keys('ephemeral'), agreements),
    })
    const { message1, next: wait2 } = initiator.send()
    const { payload: message2 } = await this.send(post(edhocPath, encodeStart(message1)))
    const judgeR = await wait2.receive(message2)
    const { message3, next } = await (await judgeR.accept(theirs.trusted)).send()
    const context = deriveContext(crypto, contextParameters(next.session, 'initiator'))
    if (first !== 'message_4') {
      const response = await this.protected(context, first, (request) => combine(message3, request))
      return { context, response }
    }
    const alone = post(edhocPath, encodeContinued(next.session.cR, message3))
    next.receive((await this.send(alone)).payload)
    return { context, response: undefined }
  }

  async protected(
    context: SecurityContext,
    request: Request,
    change: (request: CoapMessage) => CoapMessage = (same) => same,
  ): Promise<CoapMessage> {
    const { message, exchange } = protectRequest(context, this.#message(request))
    return exchange.unprotectResponse(await this.#exchange(change(message)))
  }

  async send(request: Request): Promise<CoapMessage> {
    return this.#exchange(this.#message(request))
  }

  #message(request: Request): CoapMessage {
    const messageId = ++this.#messageId
    const token = Uint8Array.of(messageId)
    return { ...request, type: 'CON', code: coapCode.post, messageId, token }
  }

  /** RFC 7252 §5.2: the response comes with the acknowledgement or after it. */
  async #exchange(message: CoapMessage): Promise<CoapMessage> {
    this.#wire.send(encodeMessage(message))
    for (;;) {
      const answer = parseMessage(Uint8Array.from(await this.#wire.next()))
      if (codeKind(answer.code) === 'empty') continue
      if (answer.type === 'CON') this.#wire.send(encodeMessage(empty('ACK', answer.messageId)))
      assert.equal(hex(answer.token), hex(message.token))
      return answer
    }
  }
}

function empty(type: CoapMessage['type'], messageId: number): CoapMessage {
  return { type, code: 0, messageId, token: none, options: [], payload: none }
}

/** One handshake after the other; requests under OSCORE are answered with what they said. */
export class OwnServer {
  readonly #known: Known
  readonly #waiting = new Map<string, WaitMessage3>()
  readonly #contexts = new Map<string, SecurityContext>()
  #last: { readonly datagram: string; readonly answer: Uint8Array } | undefined
  /** In the order in which they came. */
  readonly heard: string[] = []

  constructor(known: Known) {
    this.#known = known
  }

  /** A datagram that comes again is answered the same. */
  async answer(datagram: Uint8Array): Promise<Uint8Array> {
    if (this.#last?.datagram === hex(datagram)) return this.#last.answer
    const message = parseMessage(Uint8Array.from(datagram))
    const answer = encodeMessage(await this.#answerTo(message))
    this.#last = { datagram: hex(datagram), answer }
    return answer
  }

  async #answerTo(message: CoapMessage): Promise<CoapMessage> {
    if (isCombined(message)) {
      const { message3, request } = separate(message)
      this.#authenticated(kidOf(request), message3)
      return this.#protected(request)
    }
    if (valuesOf(message.options, optionNumber.oscore).length > 0) return this.#protected(message)
    const edhoc = parseEdhocPayload(message.payload)
    const payload =
      edhoc.kind === 'message_1'
        ? await this.#message2(edhoc.message)
        : this.#authenticated(hex(edhoc.cR), edhoc.message).message4()
    return { ...message, type: 'ACK', code: coapCode.changed, options: [], payload }
  }

  async #message2(message1: Uint8Array): Promise<Uint8Array> {
    const { ours, keys } = this.#known
    const responder = new Responder({
      crypto,
      methods: [3],
      suites: [suite],
      ephemeral: (of, agreements) => ephemeralKey(node, of, keys('ephemeral'), agreements),
    })
    const cR = Uint8Array.of(0xc0, 0xff, this.#waiting.size)
    const { message2, next } = await responder.receive(message1).send({ own: ours.own, cR })
    this.#waiting.set(hex(cR), next)
    return message2
  }

  #authenticated(cR: string, message3: Uint8Array): Authenticated {
    const wait3 = this.#waiting.get(cR) ?? assert.fail(`no handshake ${cR}`)
    const authenticated = wait3.receive(message3).accept(this.#known.theirs.trusted)
    const parameters = contextParameters(authenticated.session, 'responder')
    this.#contexts.set(cR, deriveContext(crypto, parameters))
    return authenticated
  }

  #protected(message: CoapMessage): CoapMessage {
    const context = this.#contexts.get(kidOf(message)) ?? assert.fail('no context')
    const { request, exchange } = unprotectRequest(context, message)
    const path = valuesOf(request.options, optionNumber.uriPath).map((part) =>
      Buffer.from(part).toString(),
    )
    this.heard.push(`${path.join('/')} ${hex(request.payload)}`)
    const payload = Buffer.concat([Buffer.from('heard '), request.payload])
    const response = {
      ...request,
      type: 'ACK',
      code: coapCode.changed,
      options: [],
      payload,
    } as const
    return exchange.protectResponse(response)
  }
}

/** RFC 8613 §6.1: flags, Partial IV, kid. No client here sends a kid context. */
function kidOf(message: CoapMessage): string {
  const option = valuesOf(message.options, optionNumber.oscore)[0] ?? assert.fail('not OSCORE')
  const flags = option[0] ?? 0
  assert.equal(flags & 0x18, 0x08, 'a kid, and no kid context')
  return hex(option.subarray(1 + (flags & 7)))
}
