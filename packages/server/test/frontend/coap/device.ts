/**
 * A device as the tests need one: the states of EDHOC and OSCORE, driven step by step, so that each step
 * can be changed. What it sends goes over the memory link; it answers the server's requests.
 */
import { createPrivateKey } from 'node:crypto'
import {
  coldStartItem,
  combine,
  contextParameters,
  edhocContentFormat,
  edhocPath,
  encodeContinued,
  encodeStart,
  type ByValue,
} from '@countersign/core/channel'
import {
  CoapEndpoint,
  type CoapMessage,
  type CoapOption,
  coapCode,
  contentFormatOption,
  encodeMessage,
  type OutgoingRequest,
  type OutgoingResponse,
  optionNumber,
  sendInBlocks,
  sortedOptions,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import { cbor, utf8 } from '@countersign/core/codec'
import { type CredentialReference, hashAlgorithm, thumbprint } from '@countersign/core/cose'
import type { Certificate } from '@countersign/core/credential'
import {
  type EadItem,
  Initiator,
  isErrorMessage,
  methods,
  offer,
  type OwnCredential,
  parseError,
  suitesOf,
  type TrustedCredential,
  type Unconfirmed,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import {
  deriveContext,
  protectRequest,
  repeatedWithEcho,
  type ReceivedRequest,
  type SecurityContext,
  unprotectRequest,
} from '@countersign/core/oscore'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { softwareCoseSigner } from '@countersign/element/softwareSigner'
import { parseCertificate } from '@countersign/core/credential'
import type { EdhocCredentials } from '../../../src/ports.ts'
import type { ManualClock, ManualTimers } from '../../support/world.ts'
import type { TestDevice } from '../house.ts'
import type { Link } from './net.ts'

export interface NarrowOptions {
  readonly address?: string
  readonly link?: Link
  readonly method?: 0 | 1
  readonly suite?: 2 | 3
  /** ID_CRED_I in the place of x5t. */
  readonly reference?: CredentialReference
  readonly cI?: Uint8Array
  readonly ead1?: readonly EadItem[]
  readonly ead3?: readonly EadItem[]
  readonly wanted?: ByValue
  /** Answers the server's requests; 2.04 where nothing is said. */
  readonly serve?: (request: CoapMessage) => OutgoingResponse | 'silent'
}

interface NarrowParts extends NarrowOptions {
  readonly link: Link
  readonly timers: ManualTimers
  readonly clock: ManualClock
  readonly address: string
  readonly identity: TestDevice
  readonly credentials: EdhocCredentials
}

/** What EDHOC of the server said instead of going on. */
export class Refused extends Error {
  readonly response: CoapMessage
  constructor(response: CoapMessage) {
    super(`refused with ${response.code.toString(16)}`)
    this.response = response
  }
  /** The EDHOC error in it. */
  get error(): ReturnType<typeof parseError> {
    return parseError(this.response.payload)
  }
}

export interface Posted {
  readonly number?: number | string
  readonly format?: number
  readonly body?: string | Uint8Array
  readonly options?: readonly CoapOption[]
  readonly code?: number
}

/** A handshake whose message_3 has not been sent. */
export interface Begun {
  readonly message3: Uint8Array
  readonly next: Unconfirmed
}

const none = new Uint8Array()

export class NarrowDevice {
  readonly parts: NarrowParts
  readonly identity: TestDevice
  readonly endpoint: CoapEndpoint
  address: string
  context: SecurityContext | undefined
  /** Requests of the server, as they were verified. */
  readonly served: CoapMessage[] = []
  /** Responses as they came, before anything was verified. */
  readonly received: CoapMessage[] = []
  /** Datagrams of this device, in order. */
  readonly sent: Uint8Array[] = []

  constructor(parts: NarrowParts) {
    this.parts = parts
    this.identity = parts.identity
    this.address = parts.address
    const { clock, timers, link } = parts
    this.endpoint = new CoapEndpoint({
      clock,
      timers,
      random: randomBytes,
      send: (datagram) => {
        this.sent.push(datagram.slice())
        link.deliver(datagram, this.address)
      },
      serve: (request, _from, respond) => this.#serve(request, respond),
    })
    this.moveTo(parts.address)
  }

  /** The device is somewhere else from now on. */
  moveTo(address: string): void {
    this.parts.link.detach(this.address)
    this.address = address
    this.parts.link.attach(address, (datagram) => this.endpoint.receive(datagram, 'door'))
  }

  /** Unprotected, as it is. */
  async ask(request: OutgoingRequest): Promise<CoapMessage> {
    const response = await this.endpoint.request(request, 'door')
    this.received.push(response)
    return response
  }

  /** Up to message_3, which is not sent. Throws Refused. */
  async begin(): Promise<Begun> {
    const { method = 0, suite = 2, cI = Uint8Array.of(0x07), wanted, ead1 = [] } = this.parts
    const ways = required(methods.get(method))
    const initiator = new Initiator({
      crypto: nodeCrypto,
      method: ways,
      offer: offer(suitesOf(nodeCrypto).filter(({ number }) => number === suite)),
      own: this.own(),
      cI,
    })
    const ead = wanted === undefined ? ead1 : [coldStartItem(wanted), ...ead1]
    const { message1, next } = initiator.send(ead)
    const response = await this.edhoc(encodeStart(message1))
    const judge = await next.receive(response.payload)
    const compose = await judge.accept(this.server(ways.responder))
    return await compose.send(this.parts.ead3)
  }

  /** A message_1 that is not sent. */
  message1(): Uint8Array {
    const { method = 0, suite = 2, cI = Uint8Array.of(0x07), ead1 = [] } = this.parts
    const initiator = new Initiator({
      crypto: nodeCrypto,
      method: required(methods.get(method)),
      offer: offer(suitesOf(nodeCrypto).filter(({ number }) => number === suite)),
      own: this.own(),
      cI,
    })
    return initiator.send(ead1).message1
  }

  /** A request to /.well-known/edhoc; an Echo that is asked for is brought. Throws Refused. */
  async edhoc(payload: Uint8Array): Promise<CoapMessage> {
    const options = [
      ...uriPath(...edhocPath),
      contentFormatOption(edhocContentFormat.withIdentifier),
    ]
    const request = { code: coapCode.post, options, payload }
    let response = await this.ask(request)
    const again = repeatedWithEcho(request, response)
    if (again !== undefined) response = await this.ask(again)
    const isError = response.code !== coapCode.changed || isErrorMessage(response.payload)
    if (isError) throw new Refused(response)
    return response
  }

  /** A whole handshake, confirmed by message_4. */
  async handshake(): Promise<SecurityContext> {
    const { message3, next } = await this.begin()
    const response = await this.edhoc(encodeContinued(next.session.cR, message3))
    const { session } = next.receive(response.payload)
    return this.use(deriveContext(nodeCrypto, contextParameters(session, 'initiator')))
  }

  use(context: SecurityContext): SecurityContext {
    this.context = context
    return context
  }

  /** A handshake whose message_3 travels with the first reading. */
  async first(topic: string, posted: Posted = {}): Promise<CoapMessage> {
    return await this.combined(await this.begin(), this.reading(topic, posted))
  }

  /** message_3 and a request in one. */
  async combined({ message3, next }: Begun, request: CoapMessage): Promise<CoapMessage> {
    const context = deriveContext(nodeCrypto, contextParameters(next.session, 'initiator'))
    const { message, exchange } = protectRequest(context, request)
    const before = this.context
    // The server may ask for something as soon as it has answered.
    this.use(context)
    const response = await this.ask(asRequest(combine(message3, message)))
    if (isProtected(response)) return exchange.unprotectResponse(response)
    this.context = before
    throw new Refused(response)
  }

  reading(
    topic: string,
    { number, format = 0, body = 'x', options = [], code }: Posted,
  ): CoapMessage {
    const query = number === undefined ? [] : uriQuery(`n=${number}`)
    const all = [...uriPath('m', ...topic.split('/')), contentFormatOption(format), ...query]
    return innerMessage({
      code: code ?? coapCode.post,
      options: [...all, ...options],
      payload: typeof body === 'string' ? utf8(body) : body,
    })
  }

  /** The verified response. */
  post(topic: string, posted: Posted = {}): Promise<CoapMessage> {
    return this.exchange(this.reading(topic, posted))
  }

  async exchange(request: CoapMessage): Promise<CoapMessage> {
    const { message: outer, exchange } = protectRequest(required(this.context), request)
    const response = await this.ask(asRequest(outer))
    if (!isProtected(response)) throw new Refused(response)
    return exchange.unprotectResponse(response)
  }

  /** As large as it is: in blocks inside OSCORE. */
  postInBlocks(topic: string, posted: Posted): Promise<CoapMessage> {
    const request = this.reading(topic, posted)
    const exchange = (part: OutgoingRequest): Promise<CoapMessage> =>
      this.exchange(innerMessage(part))
    return sendInBlocks(asRequest(request), exchange, { random: randomBytes })
  }

  /** The datagram that a request would be, on the context, and never sent by the device itself. */
  datagram(request: CoapMessage, messageId: number): Uint8Array {
    const { message: outer } = protectRequest(required(this.context), request)
    return encodeMessage({ ...outer, messageId, token: Uint8Array.of(1, messageId & 0xff) })
  }

  /** As a device does that is asked to show that it is alive. */
  async exchangeWithEcho(request: CoapMessage): Promise<CoapMessage> {
    const response = await this.exchange(request)
    const again = repeatedWithEcho(request, response)
    return again === undefined ? response : await this.exchange(again)
  }

  own(): OwnCredential {
    const { leaf, key } = this.identity
    return {
      kind: 'signature',
      reference: this.parts.reference ?? { x5t: x5tOf(leaf.der) },
      credential: cbor.byteString(leaf.der),
      signer: softwareCoseSigner(createPrivateKey(key)),
    }
  }

  /** The server's credential, as a device that has been told of it knows it. */
  server(kind: 'signature' | 'static key'): TrustedCredential {
    const { der } = this.parts.credentials.current(kind)
    return trustedOf(parseCertificate(der), kind)
  }

  #serve(outer: CoapMessage, respond: (response: OutgoingResponse | undefined) => void): void {
    const received = this.#verified(outer)
    if (received === undefined) return respond(undefined)
    const { request, exchange } = received
    this.served.push(request)
    const changed = { code: coapCode.changed, options: [], payload: none }
    const response = this.parts.serve?.(request) ?? changed
    // The message layer must not answer it a second time with nothing.
    if (response === 'silent') return
    respond(exchange.protectResponse({ ...request, ...response }))
  }

  /** Undefined: under keys that it has no more. */
  #verified(outer: CoapMessage): ReceivedRequest | undefined {
    try {
      return unprotectRequest(required(this.context), outer)
    } catch (error) {
      if (error instanceof PeerError) return undefined
      throw error
    }
  }
}

export function x5tOf(der: Uint8Array, id = -15): NonNullable<CredentialReference['x5t']> {
  return thumbprint(nodeCrypto, hashAlgorithm(id, 'test'), der)
}

function trustedOf(
  { der, spki }: Certificate,
  kind: 'signature' | 'static key',
): TrustedCredential {
  const credential = cbor.byteString(der)
  if (kind === 'static key') return { kind, credential, g: spki.keyBytes.slice(1, 33) }
  const key = nodeCrypto.importPublicKey(spki.der, { kind: 'ec', curve: 'P-256' })
  return { kind, credential, key }
}

export function innerMessage(body: Pick<CoapMessage, 'code' | 'options' | 'payload'>): CoapMessage {
  return { ...body, options: sortedOptions(body.options), type: 'CON', messageId: 0, token: none }
}

export function asRequest({ code, options, payload }: CoapMessage): OutgoingRequest {
  return { code, options, payload }
}

export function isProtected({ options }: CoapMessage): boolean {
  return options.some(({ number }) => number === optionNumber.oscore)
}

export async function refusedBy(attempt: Promise<unknown>): Promise<Refused> {
  const error = await attempt.then(
    () => new Error('it was taken'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof Refused)) throw error
  return error
}

export function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('the test has no such value')
  return value
}
