/**
 * A request under OSCORE and what answers it (RFC 8613 §8.1 to §8.4). The client's side and the
 * server's each remember the request's name, which binds the response to it. Everything is
 * synchronous: verifying a Partial IV and moving the replay window is one step, so is taking a
 * Sender Sequence Number. Leaves out: Observe (§8.3.1, §8.4.2): a registration is not protected, a
 * notification not taken; Outer Block options (§8.2.1): whoever has a message in blocks puts it
 * together before.
 *
 * @example const { message, exchange } = protectRequest(context, request)
 */
import type { CoapMessage } from '../coap/index.ts'
import { optionNumber } from '../coap/index.ts'
import { equalBytes } from '../codec/index.ts'
import { PeerError } from '../errors.ts'
import type { SecurityContext } from './context.ts'
import { type BoundRequest, boundRequest, nonceOf } from './derivation.ts'
import { oscoreError } from './errors.ts'
import { ciphertextOf, innerMessage, outerMessage, plaintextToProtect } from './fields.ts'
import { type OscoreOption, oscoreOptionOf } from './option.ts'

export interface SentRequest {
  /** The OSCORE message. */
  readonly message: CoapMessage
  readonly exchange: ClientExchange
}

export interface ReceivedRequest {
  readonly kind: 'request'
  /** As the client had it before it was protected. */
  readonly request: CoapMessage
  readonly exchange: ServerExchange
}

export interface ResponseOptions {
  /**
   * The response gets a Partial IV of its own (RFC 8613 §8.3). Without one it takes the nonce of
   * its request, which the first response alone can have: further ones get their own in any case.
   */
  readonly ownPartialIv?: boolean
}

/**
 * RFC 8613 §8.1. Throws CallerError: ERR_OSCORE_EXHAUSTED when new keys are due,
 * ERR_OSCORE_UNRESERVED when the caller has to write down a new bound first,
 * ERR_OSCORE_UNPROTECTABLE.
 */
export function protectRequest(context: SecurityContext, request: CoapMessage): SentRequest {
  const { sender, idContext } = context
  const plaintext = plaintextToProtect(request, 'request')
  requireSealable(context, plaintext)
  const name = { kid: sender.id, partialIv: sender.sequence.take() }
  const bound = boundRequest(context, name)
  const ciphertext = seal(context, bound, bound.nonce, plaintext)
  const option = { ...name, ...(idContext !== undefined && { kidContext: idContext }) }
  const message = outerMessage(request, 'request', option, ciphertext)
  return { message, exchange: new ClientExchange(context, bound) }
}

/**
 * RFC 8613 §8.2. Throws PeerError with an OscoreErrorCode: see oscoreErrorAnswer. For a request that
 * is returned the replay window has moved; its snapshot goes into the write that keeps what the
 * request caused.
 */
export function unprotectRequest(context: SecurityContext, message: CoapMessage): ReceivedRequest {
  const { window } = context.recipient
  const { bound, read } = openRequest(context, message, (number) => window.verify(number))
  window.accept(bound.partialIv)
  return receivedRequest(context, bound, read())
}

/** A request that has verified, and is not accepted yet. */
export interface OpenedRequest {
  readonly bound: BoundRequest
  /** Throws PeerError ERR_OSCORE_MESSAGE for one that its sender should not have protected. */
  readonly read: () => CoapMessage
}

/** RFC 8613 §8.2, steps 2 to 6; `verify` says whether the number may be looked at. */
export function openRequest(
  context: SecurityContext,
  message: CoapMessage,
  verify: (partialIv: number) => void,
): OpenedRequest {
  const option = oscoreOptionOf(message)
  const partialIv = requestNumberOf(option)
  checkNames(context, option)
  const name = { kid: context.recipient.id, partialIv }
  const ciphertext = ciphertextOf(message, 'request')
  verify(partialIv)
  const bound = boundRequest(context, name)
  const plaintext = open(context, bound, bound.nonce, ciphertext)
  return { bound, read: () => innerMessage(message, 'request', plaintext) }
}

export function receivedRequest(
  context: SecurityContext,
  bound: BoundRequest,
  request: CoapMessage,
): ReceivedRequest {
  return { kind: 'request', request, exchange: new ServerExchange(context, bound) }
}

/** A request at the client that sent it: what may answer it. */
export class ClientExchange {
  readonly #context: SecurityContext
  readonly #bound: BoundRequest
  #isAnswered = false

  constructor(context: SecurityContext, bound: BoundRequest) {
    this.#context = context
    this.#bound = bound
  }

  /**
   * RFC 8613 §8.4. One response is taken (§7.4); the caller has matched its token. Throws PeerError
   * with an OscoreErrorCode; after ERR_OSCORE_UNVERIFIED the true response may still come.
   */
  unprotectResponse(message: CoapMessage): CoapMessage {
    const context = this.#context
    if (this.#isAnswered) throw oscoreError('ERR_OSCORE_REPLAY', 'a second response')
    const option = oscoreOptionOf(message)
    checkNames(context, option)
    const ciphertext = ciphertextOf(message, 'response')
    const plaintext = open(context, this.#bound, this.#nonceOf(option), ciphertext)
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
    return partialIv === undefined ? this.#bound.nonce : nonceOf(commonIv, recipient.id, partialIv)
  }
}

/** A request at the server that got it: how its responses are protected. */
export class ServerExchange {
  readonly #context: SecurityContext
  readonly #bound: BoundRequest
  /** A nonce is used once with the server's key. */
  #isRequestNonceSpent = false

  constructor(context: SecurityContext, bound: BoundRequest) {
    this.#context = context
    this.#bound = bound
  }

  /** Of the request. */
  get partialIv(): number {
    return this.#bound.partialIv
  }

  /** From here on each response has a Partial IV of its own. */
  spendRequestNonce(): void {
    this.#isRequestNonceSpent = true
  }

  /**
   * RFC 8613 §8.3. Error responses of CoAP are protected too. In a context whose numbers are
   * reserved a response has a Partial IV of its own until the number of its request is written
   * down: after a crash the same request could come again, and its nonce must not.
   */
  protectResponse(
    response: CoapMessage,
    { ownPartialIv = false }: ResponseOptions = {},
  ): CoapMessage {
    const context = this.#context
    const plaintext = plaintextToProtect(response, 'response')
    requireSealable(context, plaintext)
    if (!ownPartialIv && this.#mayUseRequestNonce()) {
      this.spendRequestNonce()
      const bound = this.#bound
      return outerMessage(response, 'response', {}, seal(context, bound, bound.nonce, plaintext))
    }
    const { id, sequence } = context.sender
    const partialIv = sequence.take()
    const nonce = nonceOf(context.commonIv, id, partialIv)
    const ciphertext = seal(context, this.#bound, nonce, plaintext)
    return outerMessage(response, 'response', { partialIv }, ciphertext)
  }

  #mayUseRequestNonce(): boolean {
    if (this.#isRequestNonceSpent) return false
    const { isPersistent, recipient } = this.#context
    return !isPersistent || recipient.window.isStored(this.#bound.partialIv)
  }
}

function requestNumberOf({ kid, partialIv }: OscoreOption): number {
  if (kid === undefined) throw oscoreError('ERR_OSCORE_OPTION', 'a request without kid')
  if (partialIv === undefined) {
    throw oscoreError('ERR_OSCORE_OPTION', 'a request without Partial IV')
  }
  return partialIv
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

/** Before a number is taken for it. */
function requireSealable({ usage, algorithm }: SecurityContext, plaintext: Uint8Array): void {
  usage.requireSealable(plaintext.length + algorithm.tagLength)
}

function seal(
  { crypto, algorithm, sender, usage }: SecurityContext,
  { aad }: BoundRequest,
  nonce: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  usage.countSealed()
  return crypto.seal(algorithm.aead, sender.key, nonce, aad, plaintext)
}

function open(
  { crypto, algorithm, recipient, usage }: SecurityContext,
  { aad }: BoundRequest,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array {
  usage.requireOpenable(ciphertext.length)
  try {
    return crypto.open(algorithm.aead, recipient.key, nonce, aad, ciphertext)
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    usage.countFailed()
    throw oscoreError('ERR_OSCORE_UNVERIFIED', 'the message does not verify', error)
  }
}
