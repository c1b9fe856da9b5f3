/**
 * Fuzzes messages and options of OSCORE. What is read is written with the same bytes; what is
 * believed has the code, the path and the payload that were protected. `node fuzz/oscore.ts
 * --seconds N --seed S`
 */
import {
  type CoapMessage,
  encodeMessage,
  optionNumber,
  parseMessage,
  valuesOf,
} from '@countersign/core/coap'
import { equalBytes, fromHex, hex } from '@countersign/core/codec'
import {
  deriveContext,
  parseOscoreOption,
  protectRequest,
  unprotectRequest,
} from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { encodeOscoreOption } from '../packages/core/src/oscore/option.ts'
import { oscoreMessages } from './coapMessages.ts'
import { each, fuzz } from './fuzz.ts'

/** RFC 8613 §6.3. */
const values = ['090525', '0900', '19050544616c656b', '0107'].map(fromHex)
/** RFC 8613 C.4. */
const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))
const secret = {
  masterSecret: nodeCrypto.importSecret(fromHex('0102030405060708090a0b0c0d0e0f10')),
  masterSalt: nodeCrypto.importSecret(fromHex('9e7ca92223786340')),
}

const [clientId, serverId] = [new Uint8Array(), Uint8Array.of(1)]

fuzz('oscore', [...oscoreMessages, ...values], (input) =>
  each([
    () => {
      if (!equalBytes(encodeOscoreOption(parseOscoreOption(input)), input)) {
        throw new Error('two encodings of one option')
      }
    },
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
