/**
 * Fuzzes messages of CoAP and of OSCORE. A message that is read is written with the same bytes; what
 * is believed under OSCORE has the code, the path and the payload that were protected. `node
 * fuzz/oscore.ts --seconds N --seed S`
 */
import { readFileSync } from 'node:fs'
import {
  type CoapMessage,
  encodeMessage,
  optionNumber,
  parseMessage,
  valuesOf,
} from '@countersign/core/coap'
import { equalBytes, fromHex, hex } from '@countersign/core/codec'
import { deriveContext, protectRequest, unprotectRequest } from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { each, fuzz } from './fuzz.ts'

interface Vectors {
  readonly vectors: readonly { readonly parts: readonly { readonly v: Record<string, string> }[] }[]
}

const file = new URL('../vectors/oscore-rfc8613.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as Vectors
const corpus = vectors
  .flatMap(({ parts }) => parts.flatMap(({ v }) => Object.entries(v)))
  .filter(([label]) => label.includes('CoAP re'))
  .map(([, message]) => new Uint8Array(Buffer.from(message, 'hex')))

/** RFC 8613 C.4. */
const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))
const secret = {
  masterSecret: nodeCrypto.importSecret(fromHex('0102030405060708090a0b0c0d0e0f10')),
  masterSalt: nodeCrypto.importSecret(fromHex('9e7ca92223786340')),
}

const [clientId, serverId] = [new Uint8Array(), Uint8Array.of(1)]

fuzz('oscore', corpus, (input) =>
  each([
    () => {
      if (!equalBytes(encodeMessage(parseMessage(input)), input)) {
        throw new Error('two encodings of one message')
      }
    },
    () => {
      const ids = { senderId: serverId, recipientId: clientId }
      const context = deriveContext(nodeCrypto, { ...secret, ...ids })
      believed(unprotectRequest(context, parseMessage(input)).request, '1 747631 ')
    },
    () => {
      const ids = { senderId: clientId, recipientId: serverId, senderSequenceNumber: 20 }
      const { exchange } = protectRequest(deriveContext(nodeCrypto, { ...secret, ...ids }), request)
      believed(exchange.unprotectResponse(parseMessage(input)), '69  48656c6c6f20576f726c6421')
    },
  ]),
)

function believed({ code, options, payload }: CoapMessage, content: string): void {
  const path = valuesOf(options, optionNumber.uriPath).map(hex).join('/')
  if (`${code} ${path} ${hex(payload)}` !== content) throw new Error('a forgery was believed')
}
