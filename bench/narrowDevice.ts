/**
 * A device on the narrow channel, step by step, for loads: each step is one datagram out of what came
 * before. It sends CoAP of its own making and believes its server without a judge, because devices
 * are not what is measured.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import {
  combine,
  contextParameters,
  edhocContentFormat,
  edhocPath,
  encodeStart,
} from '@countersign/core/channel'
import {
  type CoapMessage,
  coapCode,
  codeText,
  contentFormatOption,
  encodeMessage,
  optionNumber,
  parseMessage,
  sortedOptions,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import { cbor, fromUtf8, utf8 } from '@countersign/core/codec'
import { hashAlgorithm, thumbprint } from '@countersign/core/cose'
import { parseCertificate } from '@countersign/core/credential'
import {
  Initiator,
  methods,
  offer,
  type OwnCredential,
  suitesOf,
  type TrustedCredential,
  type WaitMessage2,
} from '@countersign/core/edhoc'
import {
  type ContextParameters,
  deriveContext,
  protectRequest,
  type SecurityContext,
  type SentRequest,
} from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareCoseSigner } from '@countersign/element/softwareSigner'
import type { ShownDevice } from './load.ts'

type Asked = Pick<CoapMessage, 'code' | 'options' | 'payload'>

/** 32 bytes of JSON. */
const body = utf8('{"celsius":21.5,"at":1764190800}')
const sha256Truncated = -15

export interface Prepared {
  readonly datagram: Uint8Array
  /** Throws unless it was taken. */
  readonly took: (answer: Uint8Array) => void
}

export class NarrowDevice {
  readonly #own: OwnCredential
  readonly #server: TrustedCredential
  #waiting: WaitMessage2 | undefined
  #sent: SentRequest['exchange'] | undefined
  #context: SecurityContext | undefined
  readonly #token: Uint8Array
  #messageId = 0
  #number: number

  /** `number`: of its first reading. `name`: what its tokens are; its answers come back by it. */
  constructor(
    { cert, key }: Pick<ShownDevice, 'cert' | 'key'>,
    serverLeaf: Uint8Array,
    number = 0,
    name = 0,
  ) {
    this.#token = Uint8Array.of(name >> 8, name & 0xff)
    const leaf = new Uint8Array(new X509Certificate(cert).raw)
    const x5t = thumbprint(nodeCrypto, hashAlgorithm(sha256Truncated, 'device'), leaf)
    const privateKey: KeyObject = createPrivateKey(key)
    const credential = cbor.byteString(leaf)
    const signer = softwareCoseSigner(privateKey)
    this.#own = { kind: 'signature', reference: { x5t }, credential, signer }
    this.#server = trusted(serverLeaf)
    this.#number = number
  }

  /** message_1. */
  start(): Uint8Array {
    const [method, suites] = [methods.get(0), suitesOf(nodeCrypto)]
    if (method === undefined) throw new Error('method 0 is gone')
    const offered = offer(suites.filter(({ number }) => number === 2))
    const parts = {
      crypto: nodeCrypto,
      method,
      offer: offered,
      own: this.#own,
      cI: Uint8Array.of(7),
    }
    const { message1, next } = new Initiator(parts).send()
    this.#waiting = next
    const format = contentFormatOption(edhocContentFormat.withIdentifier)
    return this.#datagram({
      code: coapCode.post,
      options: [...uriPath(...edhocPath), format],
      payload: encodeStart(message1),
    })
  }

  /** message_3 with the first reading. */
  async complete(answer: Uint8Array): Promise<Uint8Array> {
    const { code, payload } = parseMessage(answer)
    if (code !== coapCode.changed || this.#waiting === undefined) throw new Error('no message_2')
    const judge = await this.#waiting.receive(payload)
    const composeMessage3 = await judge.accept(this.#server)
    const { message3, next } = await composeMessage3.send()
    this.#context = deriveContext(nodeCrypto, contextParameters(next.session, 'initiator'))
    return this.#datagram(combine(message3, this.#protected()))
  }

  /** As after a sleep; the parameters of a context that the server has too. */
  resume(parameters: ContextParameters): void {
    this.#context = deriveContext(nodeCrypto, parameters)
  }

  reading(): Uint8Array {
    return this.#datagram(this.#protected())
  }

  /** One to send later. */
  prepared(): Prepared {
    const datagram = this.reading()
    const exchange = this.#sent
    return { datagram, took: (answer) => requireTaken(exchange, answer) }
  }

  /** Of the last one. Throws unless it was taken. */
  confirm(answer: Uint8Array): void {
    requireTaken(this.#sent, answer)
  }

  #protected(): CoapMessage {
    if (this.#context === undefined) throw new Error('no context')
    const { message, exchange } = protectRequest(this.#context, {
      type: 'CON',
      code: coapCode.post,
      messageId: 0,
      token: new Uint8Array(),
      options: sortedOptions([
        ...uriPath('m', 'boiler', 'temperature'),
        contentFormatOption(50),
        ...uriQuery(`n=${this.#number++}`),
      ]),
      payload: body,
    })
    this.#sent = exchange
    return message
  }

  #datagram({ code, options, payload }: Asked): Uint8Array {
    const messageId = this.#messageId++ & 0xffff
    const token = this.#token
    const sorted = sortedOptions(options)
    return encodeMessage({ type: 'CON', code, messageId, token, options: sorted, payload })
  }
}

function trusted(leaf: Uint8Array): TrustedCredential {
  const { spki, der } = parseCertificate(leaf)
  const key = nodeCrypto.importPublicKey(spki.der, { kind: 'ec', curve: 'P-256' })
  return { kind: 'signature', credential: cbor.byteString(der), key }
}

function requireTaken(sent: SentRequest['exchange'] | undefined, answer: Uint8Array): void {
  const outer = parseMessage(answer)
  const isProtected = outer.options.some(({ number }) => number === optionNumber.oscore)
  const { code, payload } = (isProtected && sent?.unprotectResponse(outer)) || outer
  if (isProtected && code === coapCode.changed) return
  throw new Error(`a reading was answered ${codeText(code)} ${fromUtf8(payload)}`)
}
