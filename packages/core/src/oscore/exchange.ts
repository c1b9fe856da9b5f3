/**
 * A request under OSCORE and what answers it (RFC 8613 §8.1 to §8.4). The client's side and the
 * server's each remember the request's name, which binds the response to it. Everything is
 * synchronous: verifying a Partial IV and moving the replay window is one step, so is taking a
 * Sender Sequence Number. Leaves out: Observe (§8.3.1, §8.4.2), Outer Block options (§8.2.1): who
 * has a message in blocks puts it together before.
 *
 * @example const { message, exchange } = protectRequest(context, request)
 */
import type { CoapMessage } from '../coap/index.ts'
import { optionNumber } from '../coap/index.ts'
import { equalBytes } from '../codec/index.ts'
import { PeerError } from '../errors.ts'
import type { SecurityContext } from './context.ts'
import { additionalData, nonceOf, type RequestName } from './derivation.ts'
import { oscoreError } from './errors.ts'
import { ciphertextOf, innerMessage, outerMessage, plaintextToProtect } from './fields.ts'
import { type OscoreOption, oscoreOptionOf } from './option.ts'

export interface SentRequest {
  /** The OSCORE message. */
  readonly message: CoapMessage
  readonly exchange: ClientExchange
}

export interface ReceivedRequest {
  /** As the client had it before it was protected. */
  readonly request: CoapMessage
  readonly exchange: ServerExchange
}

export interface ResponseOptions {
  /**
   * The response gets a Partial IV of its own (RFC 8613 §8.3). Without one it takes the nonce of its
   * request, which the first response alone can have: further ones get their own in any case.
   */
  readonly ownPartialIv?: boolean
}

/** RFC 8613 §8.1. Throws CallerError ERR_OSCORE_EXHAUSTED when new keys are due. */
export function protectRequest(context: SecurityContext, request: CoapMessage): SentRequest {
  const { sender, idContext } = context
  const plaintext = plaintextToProtect(request, 'request')
  const name = { kid: sender.id, partialIv: sender.sequence.take() }
  const nonce = nonceOf(context.commonIv, name.kid, name.partialIv)
  const ciphertext = seal(context, name, nonce, plaintext)
  const option = { ...name, ...(idContext !== undefined && { kidContext: idContext }) }
  const message = outerMessage(request, 'request', option, ciphertext)
  return { message, exchange: new ClientExchange(context, name) }
}

/** RFC 8613 §8.2. Throws PeerError with an OscoreErrorCode: see oscoreErrorAnswer. */
export function unprotectRequest(context: SecurityContext, message: CoapMessage): ReceivedRequest {
  const { recipient } = context
  const option = oscoreOptionOf(message)
  const name = requestNameOf(option)
  checkNames(context, option)
  const ciphertext = ciphertextOf(message, 'request')
  recipient.window.verify(name.partialIv)
  const nonce = nonceOf(context.commonIv, name.kid, name.partialIv)
  const plaintext = open(context, name, nonce, ciphertext)
  recipient.window.accept(name.partialIv)
  const request = innerMessage(message, 'request', plaintext)
  return { request, exchange: new ServerExchange(context, name) }
}

/** Of whoever sent a request. */
export class ClientExchange {
  readonly #context: SecurityContext
  readonly #name: RequestName
  #isAnswered = false

  constructor(context: SecurityContext, name: RequestName) {
    this.#context = context
    this.#name = name
  }

  /** RFC 8613 §8.4. One response is taken (§7.4); the caller has matched its token. */
  unprotectResponse(message: CoapMessage): CoapMessage {
    const context = this.#context
    if (this.#isAnswered) throw oscoreError('ERR_OSCORE_REPLAY', 'a second response')
    const option = oscoreOptionOf(message)
    checkNames(context, option)
    const ciphertext = ciphertextOf(message, 'response')
    const plaintext = open(context, this.#name, this.#nonceOf(option), ciphertext)
    this.#isAnswered = true
    const response = innerMessage(message, 'response', plaintext)
    // RFC 8613 §4.1.3.5.2: this request was no registration.
    if (response.options.some(({ number }) => number === optionNumber.observe)) {
      throw oscoreError('ERR_OSCORE_MESSAGE', 'a notification that nobody asked for')
    }
    return response
  }

  #nonceOf({ partialIv }: OscoreOption): Uint8Array {
    const { commonIv, recipient } = this.#context
    return partialIv === undefined
      ? nonceOf(commonIv, this.#name.kid, this.#name.partialIv)
      : nonceOf(commonIv, recipient.id, partialIv)
  }
}

/** Of whoever got a request. */
export class ServerExchange {
  readonly #context: SecurityContext
  readonly #name: RequestName
  /** A nonce is used once with the server's key. */
  #isRequestNonceUsed = false

  constructor(context: SecurityContext, name: RequestName) {
    this.#context = context
    this.#name = name
  }

  /** RFC 8613 §8.3. Error responses of CoAP are protected too. */
  protectResponse(
    response: CoapMessage,
    { ownPartialIv = false }: ResponseOptions = {},
  ): CoapMessage {
    const context = this.#context
    const { commonIv, sender } = context
    const plaintext = plaintextToProtect(response, 'response')
    if (!ownPartialIv && !this.#isRequestNonceUsed) {
      this.#isRequestNonceUsed = true
      const nonce = nonceOf(commonIv, this.#name.kid, this.#name.partialIv)
      return outerMessage(response, 'response', {}, seal(context, this.#name, nonce, plaintext))
    }
    const partialIv = sender.sequence.take()
    const nonce = nonceOf(commonIv, sender.id, partialIv)
    const ciphertext = seal(context, this.#name, nonce, plaintext)
    return outerMessage(response, 'response', { partialIv }, ciphertext)
  }
}

function requestNameOf({ kid, partialIv }: OscoreOption): RequestName {
  if (kid === undefined) throw oscoreError('ERR_OSCORE_OPTION', 'a request without kid')
  if (partialIv === undefined) {
    throw oscoreError('ERR_OSCORE_OPTION', 'a request without Partial IV')
  }
  return { kid: Uint8Array.from(kid), partialIv }
}

/** What a message names must be of this context; a response names nothing as a rule. */
function checkNames(
  { recipient, idContext }: SecurityContext,
  { kid, kidContext }: OscoreOption,
): void {
  if (kid !== undefined && !equalBytes(kid, recipient.id)) {
    throw oscoreError('ERR_OSCORE_CONTEXT', 'another kid')
  }
  if (kidContext === undefined) return
  if (idContext === undefined || !equalBytes(kidContext, idContext)) {
    throw oscoreError('ERR_OSCORE_CONTEXT', 'another ID Context')
  }
}

function seal(
  { crypto, algorithm, sender }: SecurityContext,
  request: RequestName,
  nonce: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const aad = additionalData(algorithm.id, request)
  return crypto.seal(algorithm.aead, sender.key, nonce, aad, plaintext)
}

function open(
  { crypto, algorithm, recipient }: SecurityContext,
  request: RequestName,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array {
  const aad = additionalData(algorithm.id, request)
  try {
    return crypto.open(algorithm.aead, recipient.key, nonce, aad, ciphertext)
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    throw oscoreError('ERR_OSCORE_UNVERIFIED', 'the message does not verify', error)
  }
}
