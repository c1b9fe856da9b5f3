/**
 * A small server of the narrow channel, for tests: core's responder of EDHOC, OSCORE, an endpoint. It
 * keeps everything in memory and loses it when a test says so.
 */
import {
  type ByValue,
  contextParameters,
  edhocContentFormat,
  edhocPath,
  isCombined,
  parseEdhocPayload,
  separate,
  wantedByValue,
} from '@countersign/core/channel'
import {
  CoapEndpoint,
  type CoapMessage,
  coapCode,
  type OutgoingRequest,
  type OutgoingResponse,
  optionNumber,
  type Respond,
  sendInBlocks,
  sortedOptions,
  uintValue,
  uriPath,
  uriQuery,
  valuesOf,
} from '@countersign/core/coap'
import { cbor, fromUtf8, hex, utf8 } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import { type CredentialReference, hashAlgorithm, thumbprint } from '@countersign/core/cose'
import {
  answerTo,
  answerToMessage1,
  type Authenticated,
  encodeError,
  type OwnCredential,
  Responder,
  suitesOf,
  trustedCertificate,
  type UsableSuite,
  type WaitMessage3,
} from '@countersign/core/edhoc'
import { Judge, parseCertificate } from '@countersign/core/credential'
import {
  type ContextParameters,
  deriveContext,
  EchoIssuer,
  echoOf,
  echoOption,
  oscoreOptionOf,
  protectRequest,
  recoverRequest,
  type SecurityContext,
} from '@countersign/core/oscore'
import type { ChannelCrypto, Clock, Random, Timers } from '@countersign/core/ports'
import { type Authority, coseSigner, type Leaf, staticKey } from './pki.ts'

export interface ServerParts {
  readonly crypto: ChannelCrypto
  readonly time: Clock & Timers
  readonly random: Random
  readonly send: (datagram: Uint8Array, to: string) => void
  readonly ca: Authority
  /** Issues devices' certificates. */
  readonly owner: Authority
  readonly signs: Leaf
  readonly agrees: Leaf
}

interface HalfOpen {
  readonly cR: Uint8Array
  readonly next: WaitMessage3
}

interface Live {
  readonly context: SecurityContext
  readonly parameters: ContextParameters
  address: string
}

const none = new Uint8Array()

export interface Asked {
  readonly path: readonly string[]
  readonly queries?: readonly string[]
  readonly options?: CoapMessage['options']
  readonly payload?: Uint8Array
}

export class HonestServer {
  readonly endpoint: CoapEndpoint
  readonly parts: ServerParts
  /** Devices' leaves by their x5t, in hex. */
  readonly known: Map<string, Uint8Array> = new Map()
  /** By C_R. */
  readonly contexts: Map<string, Live> = new Map()
  /** What was stored: the payload by path and queries. */
  readonly stored: Map<string, string> = new Map()
  /** How often a request was carried out. */
  readonly requests: string[] = []
  readonly #halfOpen: Map<string, HalfOpen> = new Map()
  readonly #echo: EchoIssuer
  suites: readonly UsableSuite[]
  signs: Leaf
  agrees: Leaf
  kid: Uint8Array = Uint8Array.of(0x05)
  /** Echo on each message_1. */
  demandsEcho = false
  /** What a protected request is answered with; 2.04 by default. */
  answer: (request: CoapMessage) => OutgoingResponse
  /** Of the last handshake with it. */
  message4: Uint8Array | undefined
  counts = { message1: 0, message3: 0 }
  /** What each message_1 wanted by value. */
  readonly asked: (ByValue | undefined)[] = []
  /** What it shows as its issuer. */
  issuer: Uint8Array

  /** C_R, of whatever the device took as C_I. */
  drawIdentifier: (cI: Uint8Array) => Uint8Array

  constructor(parts: ServerParts) {
    this.parts = parts
    this.suites = suitesOf(parts.crypto).filter(({ number }) => number === 2 || number === 3)
    this.signs = parts.signs
    this.issuer = parts.ca.der
    this.agrees = parts.agrees
    const { crypto, time, random } = parts
    this.#echo = new EchoIssuer({
      crypto,
      clock: time,
      key: crypto.importSecret(random.bytes(32)),
    })
    this.drawIdentifier = () => random.bytes(3)
    this.answer = (request) => this.#ordinary(request)
    this.endpoint = new CoapEndpoint({
      clock: time,
      timers: time,
      random,
      send: parts.send,
      serve: (request, from, respond) => void this.#serve(request, from, respond),
    })
  }

  /** A request to the device, on its newest context. */
  async ask(asked: Asked): Promise<CoapMessage> {
    return await this.#exchange(requestOf(asked))
  }

  /** A body beyond one datagram (RFC 7959 inside OSCORE). */
  async askInBlocks(asked: Asked): Promise<CoapMessage> {
    return await sendInBlocks(requestOf(asked), (part) => this.#exchange(part), this.parts)
  }

  async #exchange(request: OutgoingRequest): Promise<CoapMessage> {
    const live = [...this.contexts.values()].at(-1)
    if (live === undefined) throw new Error('no context')
    const { message, exchange } = protectRequest(live.context, {
      ...request,
      type: 'CON',
      messageId: 0,
      token: none,
    })
    let response: CoapMessage | undefined
    const accept = (outer: CoapMessage): boolean => {
      try {
        response = exchange.unprotectResponse(outer)
        return true
      } catch {
        return false
      }
    }
    const { code, options, payload } = message
    await this.endpoint.request({ code, options, payload }, live.address, { accept })
    if (response === undefined) throw new Error('no response')
    return response
  }

  /** As after a backup was restored. */
  forget(): void {
    this.contexts.clear()
    this.#halfOpen.clear()
  }

  /** As after a crash: every context asks for Echo first (RFC 8613 Appendix B.1.2). */
  loseWindows(): void {
    for (const [id, { parameters, address, context }] of this.contexts) {
      const senderSequenceNumber = context.sender.sequence.next + 64
      const restored = { ...parameters, senderSequenceNumber, window: 'lost' } as const
      this.contexts.set(id, {
        context: deriveContext(this.parts.crypto, restored),
        parameters,
        address,
      })
    }
  }

  async #serve(request: CoapMessage, from: string, respond: Respond): Promise<void> {
    try {
      respond(await this.#answerTo(request, from))
    } catch (error) {
      if (error instanceof PeerError) {
        respond({ code: coapCode.badRequest, options: [], payload: none })
        return
      }
      // A mistake of the test: it must be seen.
      queueMicrotask(() => {
        throw error
      })
    }
  }

  async #answerTo(request: CoapMessage, from: string): Promise<OutgoingResponse> {
    if (isCombined(request)) return await this.#combined(request, from)
    if (valuesOf(request.options, optionNumber.oscore).length > 0)
      return this.#protected(request, from)
    const path = valuesOf(request.options, optionNumber.uriPath).map(fromUtf8)
    if (path.join('/') !== edhocPath.join('/'))
      return { code: coapCode.notFound, options: [], payload: none }
    const payload = parseEdhocPayload(request.payload)
    if (payload.kind === 'message_1') return await this.#message1(payload.message, request, from)
    const authenticated = this.#message3(payload.cR, payload.message, from)
    if ('code' in authenticated) return authenticated
    return edhocAnswer(authenticated.message4())
  }

  async #message1(
    message1: Uint8Array,
    request: CoapMessage,
    from: string,
  ): Promise<OutgoingResponse> {
    const { crypto } = this.parts
    this.counts.message1++
    try {
      const responder = new Responder({
        crypto,
        methods: [0, 1],
        suites: this.suites,
        eadLabels: new Set([32_768]),
      })
      const compose = responder.receive(message1)
      const byValue = wantedByValue(compose.ead)
      this.asked.push(byValue)
      const shown = echoOf(request)
      const isProven = shown !== undefined && this.#echo.verify(shown, utf8(from))
      if ((this.demandsEcho || byValue !== undefined) && !isProven) {
        const options = [echoOption(this.#echo.issue(utf8(from)))]
        return { code: coapCode.unauthorized, options, payload: none }
      }
      const cR = this.drawIdentifier(compose.cI)
      const own = this.#own(compose.method.responder, byValue)
      const { message2, next } = await compose.send({ own, cR })
      this.#halfOpen.set(hex(cR), { cR, next })
      return edhocAnswer(message2)
    } catch (error) {
      return edhocAnswer(encodeError(answerToMessage1(error, message1, this.suites)), true)
    }
  }

  #own(kind: 'signature' | 'static key', byValue: ByValue | undefined): OwnCredential {
    const { crypto } = this.parts
    const leaf = kind === 'signature' ? this.signs : this.agrees
    const credential = cbor.byteString(leaf.der)
    const named: CredentialReference =
      kind === 'signature' ? { x5t: x5t(crypto, leaf.der) } : { kid: this.kid }
    const chain = byValue === 'leaf' ? [leaf.der] : [leaf.der, this.issuer]
    const reference = byValue === undefined ? named : { x5chain: chain }
    return kind === 'signature'
      ? { kind, reference, credential, signer: coseSigner(leaf.key) }
      : { kind, reference, credential, key: staticKey(leaf.key) }
  }

  async #combined(request: CoapMessage, from: string): Promise<OutgoingResponse> {
    const { message3, request: inner } = separate(request)
    const { kid = none } = oscoreOptionOf(inner)
    // Sent again with another request: the handshake is over.
    if (!this.contexts.has(hex(kid))) {
      const authenticated = this.#message3(kid, message3, from)
      if ('code' in authenticated) return authenticated
    }
    return this.#protected(inner, from)
  }

  #message3(cR: Uint8Array, message3: Uint8Array, from: string): Authenticated | OutgoingResponse {
    const { crypto, owner, time } = this.parts
    this.counts.message3++
    const half = this.#halfOpen.get(hex(cR))
    if (half === undefined) return edhocAnswer(encodeError(answerTo(undefined)), true)
    this.#halfOpen.delete(hex(cR))
    try {
      const judge = half.next.receive(message3)
      const { x5t: name, x5chain } = judge.reference
      const leaf = name === undefined ? x5chain?.[0] : this.known.get(hex(name.value))
      if (leaf === undefined) return edhocAnswer(encodeError({ kind: 'unknown credential' }), true)
      const anchor = {
        role: 'owner',
        certificate: parseCertificate(owner.der),
        origin: 'house',
        scope: {},
      } as const
      const judged = new Judge({ crypto, clock: time, anchors: [anchor] }).judge(leaf, [], {
        role: 'owner',
        purpose: 'clientAuth',
      })
      const [suite] = this.suites
      if (suite === undefined) throw new Error('no suite')
      const authenticated = judge.accept(trustedCertificate(crypto, suite, 'signature', judged))
      // The device's older contexts end with the new one.
      this.contexts.clear()
      const parameters = contextParameters(authenticated.session, 'responder')
      const context = deriveContext(crypto, parameters)
      this.contexts.set(hex(half.cR), { context, parameters, address: from })
      return authenticated
    } catch (error) {
      return edhocAnswer(encodeError(answerTo(error)), true)
    }
  }

  #protected(request: CoapMessage, from: string): OutgoingResponse {
    const { kid = none } = oscoreOptionOf(request)
    const live = this.contexts.get(hex(kid))
    if (live === undefined) {
      const payload = utf8('Security context not found')
      return { code: coapCode.unauthorized, options: [], payload }
    }
    let received: ReturnType<typeof recoverRequest>
    try {
      received = recoverRequest(live.context, request, this.#echo)
    } catch {
      return { code: coapCode.badRequest, options: [], payload: utf8('Decryption failed') }
    }
    live.address = from
    if (received.kind === 'challenge') {
      const { code, options, payload } = received.answer
      return { code, options, payload }
    }
    const inner = this.answer(received.request)
    const { code, options, payload } = received.exchange.protectResponse({
      ...request,
      type: 'ACK',
      ...inner,
    })
    return { code, options, payload }
  }

  #ordinary({ options, payload }: CoapMessage): OutgoingResponse {
    const path = valuesOf(options, optionNumber.uriPath).map(fromUtf8)
    const queries = valuesOf(options, optionNumber.uriQuery).map(fromUtf8)
    const name = `${path.join('/')}?${queries.filter((one) => one !== 't').join('&')}`
    this.requests.push(name)
    this.stored.set(name, fromUtf8(payload))
    if (!queries.includes('t')) return { code: coapCode.changed, options: [], payload: none }
    const time = cbor.int(Math.floor(this.parts.time.now() / 1000))
    const format = { number: optionNumber.contentFormat, value: uintValue(60) }
    return { code: coapCode.changed, options: [format], payload: time }
  }
}

function requestOf({ path, queries = [], options = [], payload = none }: Asked): OutgoingRequest {
  return {
    code: coapCode.post,
    options: sortedOptions([...uriPath(...path), ...uriQuery(...queries), ...options]),
    payload,
  }
}

export function x5t(crypto: ChannelCrypto, der: Uint8Array): ReturnType<typeof thumbprint> {
  return thumbprint(crypto, hashAlgorithm(-15, 'x5t'), der)
}

function edhocAnswer(payload: Uint8Array, isError = false): OutgoingResponse {
  const format = {
    number: optionNumber.contentFormat,
    value: uintValue(edhocContentFormat.message),
  }
  return { code: isError ? coapCode.badRequest : coapCode.changed, options: [format], payload }
}
