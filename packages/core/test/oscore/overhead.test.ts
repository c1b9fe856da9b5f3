/** What OSCORE adds to a message: names of one byte, tags of 8 bytes, numbers of up to two bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex } from '@countersign/core/codec'
import { type CoapMessage, coapCode, encodeMessage, uriPath } from '@countersign/core/coap'
import {
  deriveContext,
  protectRequest,
  type SecurityContext,
  unprotectRequest,
} from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'

const common = { type: 'CON', messageId: 1, token: Uint8Array.of(1) } as const
const payload = new Uint8Array(32)
const request: CoapMessage = { ...common, code: coapCode.post, options: [...uriPath('m')], payload }
const response: CoapMessage = { ...common, code: coapCode.content, options: [], payload }

function contextOf(senderId: string, recipientId: string, number: number): SecurityContext {
  return deriveContext(nodeCrypto, {
    masterSecret: nodeCrypto.importSecret(new Uint8Array(16).fill(1)),
    senderId: fromHex(senderId),
    recipientId: fromHex(recipientId),
    senderSequenceNumber: number,
  })
}

function added(outer: CoapMessage, inner: CoapMessage): number {
  return encodeMessage(outer).length - encodeMessage(inner).length
}

// RFC 8613 §5.3, §6.1: the code inside 1, the tag 8, the option 1 + 1 + number + kid. The marker of the
// payload moves inside, and another one stands in front of the ciphertext.
for (const [number, ofRequest] of [
  [20, 14],
  [0xffff, 15],
] as const)
  test(`number ${number}: ${ofRequest} bytes on a request, 11 on its response`, () => {
    const { message } = protectRequest(contextOf('01', '02', number), request)
    assert.equal(added(message, request), ofRequest)
    const { exchange } = unprotectRequest(contextOf('02', '01', 0), message)
    assert.equal(added(exchange.protectResponse(response), response), 11)
  })
