/** What is encrypted and what stays in sight, and how responses are bound: RFC 8613 §4, §8. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import {
  type CoapMessage,
  coapCode,
  encodeBody,
  encodeMessage,
  parseMessage,
} from '../../src/coap/index.ts'
import { fromHex, hex, utf8 } from '../../src/codec/index.ts'
import { CallerError, PeerError } from '../../src/errors.ts'
import { additionalData, nonceOf } from '../../src/oscore/derivation.ts'
import {
  deriveContext,
  oscoreErrorAnswer,
  protectRequest,
  unprotectRequest,
} from '../../src/oscore/index.ts'
import { contextOf } from './vectors.ts'

const none = new Uint8Array()
const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))
const response = parseMessage(fromHex('64455d1f00003974ff48656c6c6f20576f726c6421'))

function option(number: number, text = '') {
  return { number, value: utf8(text) }
}

function numbersOf({ options }: CoapMessage): readonly number[] {
  return options.map(({ number }) => number)
}

function assertSame(actual: CoapMessage, expected: CoapMessage): void {
  assert.equal(hex(encodeMessage(actual)), hex(encodeMessage(expected)))
}

/** A client and a server that have one context; the client has sent, the server has read. */
function open(message: CoapMessage = request) {
  const client = contextOf('C.1', 'Client')
  const server = contextOf('C.1', 'Server')
  const sent = protectRequest(client, message)
  return { client, server, sent, received: unprotectRequest(server, sent.message) }
}

test('host, port, scheme and EDHOC stay in sight, all other options are encrypted', () => {
  // RFC 8613 Figure 5, without Observe and Proxy-Uri; 65001 is registered for experiments.
  const inner = [1, 4, 5, 8, 11, 11, 12, 14, 15, 17, 20, 23, 27, 28, 60, 252, 258, 292, 65_001]
  const outer = [3, 7, 21, 39]
  const options = [...outer, ...inner]
    .toSorted((a, b) => a - b)
    .map((number) => option(number, 'x'))
  const message = { ...request, code: coapCode.put, options, payload: utf8('secret') }
  const { sent, received } = open(message)
  assert.deepEqual(numbersOf(sent.message), [3, 7, 9, 21, 39])
  assert.equal(sent.message.code, coapCode.post)
  const read = options.filter(({ number }) => number !== 21 && number !== 39)
  assertSame(received.request, { ...message, options: read })
})

// Under OSCORE a critical option would be refused by an answer that the peer believes.
test('what somebody on the path adds does not come to be part of what was verified', () => {
  const client = contextOf('C.1', 'Client')
  const server = contextOf('C.1', 'Server')
  const { message, exchange } = protectRequest(client, request)
  const added = [option(21), option(35, 'coap://other'), option(39, 'coap')]
  const bent = (one: CoapMessage): CoapMessage => ({
    ...one,
    options: [...one.options, ...added].toSorted((a, b) => a.number - b.number),
  })
  const received = unprotectRequest(server, bent(message))
  assertSame(received.request, request)
  const answer = bent(received.exchange.protectResponse(response))
  assertSame(exchange.unprotectResponse(answer), response)
})

test('an Outer option of class E is not looked at', () => {
  const client = contextOf('C.1', 'Client')
  const { message } = protectRequest(client, request)
  const options = [...message.options, option(11, 'other'), option(14), option(65_001)]
  const server = contextOf('C.1', 'Server')
  assertSame(unprotectRequest(server, { ...message, options }).request, request)
})

test('the Outer code is not looked at, so long as a request stays one', () => {
  const server = contextOf('C.1', 'Server')
  const { message } = protectRequest(contextOf('C.1', 'Client'), request)
  assert.throws(() => unprotectRequest(server, { ...message, code: coapCode.content }), {
    code: 'ERR_OSCORE_MESSAGE',
  })
  const { request: read } = unprotectRequest(server, { ...message, code: coapCode.fetch })
  assert.equal(read.code, coapCode.get)
})

test('a response tells only that it is one, and errors of CoAP are protected too', () => {
  for (const code of [coapCode.content, coapCode.notFound, coapCode.internalServerError]) {
    const { sent, received } = open()
    const protectedResponse = received.exchange.protectResponse({ ...response, code })
    assert.equal(protectedResponse.code, coapCode.changed)
    assertSame(sent.exchange.unprotectResponse(protectedResponse), { ...response, code })
  }
})

test('the nonce of a request is used for one response, the next has a Partial IV', () => {
  const { server, received } = open()
  const values = [0, 1, 2].map(
    () => received.exchange.protectResponse(response).options.map(({ value }) => hex(value))[0],
  )
  assert.deepEqual(values, ['', '0100', '0101'])
  assert.equal(server.sender.sequence.next, 2)
})

test('a request has one response', () => {
  const { sent, received } = open()
  const first = received.exchange.protectResponse(response)
  const second = received.exchange.protectResponse(response)
  sent.exchange.unprotectResponse(first)
  for (const again of [first, second]) {
    assert.throws(() => sent.exchange.unprotectResponse(again), { code: 'ERR_OSCORE_REPLAY' })
  }
})

test('a response that does not verify leaves room for the one that does', () => {
  const { sent, received } = open()
  const good = received.exchange.protectResponse(response)
  const wrong = { ...good, payload: good.payload.subarray(1) }
  assert.throws(() => sent.exchange.unprotectResponse(wrong), { code: 'ERR_OSCORE_UNVERIFIED' })
  assertSame(sent.exchange.unprotectResponse(good), response)
})

test('the response of another request is refused, with a Partial IV of its own too', () => {
  const { client, server, sent } = open()
  const other = unprotectRequest(server, protectRequest(client, request).message)
  for (const ownPartialIv of [false, true]) {
    const answer = other.exchange.protectResponse(response, { ownPartialIv })
    assert.throws(() => sent.exchange.unprotectResponse(answer), { code: 'ERR_OSCORE_UNVERIFIED' })
  }
})

test('a request is no response to itself', () => {
  const { sent } = open()
  const reflected = { ...sent.message, code: coapCode.changed }
  assert.throws(() => sent.exchange.unprotectResponse(reflected), { code: 'ERR_OSCORE_CONTEXT' })
})

test('another kid, another ID Context, and one that we have not, are not ours', () => {
  const { message } = protectRequest(contextOf('C.1', 'Client'), request)
  const withContext = protectRequest(contextOf('C.3', 'Client'), request).message
  const other = deriveContext(nodeCrypto, {
    masterSecret: nodeCrypto.importSecret(fromHex('0102030405060708090a0b0c0d0e0f10')),
    senderId: fromHex('01'),
    recipientId: none,
    idContext: fromHex('37cbf3210017a2d4'),
  })
  const cases = [
    [contextOf('C.2', 'Server'), message],
    [contextOf('C.1', 'Server'), withContext],
    [other, withContext],
  ] as const
  for (const [context, received] of cases) {
    assert.throws(() => unprotectRequest(context, received), { code: 'ERR_OSCORE_CONTEXT' })
  }
})

test('a context with an ID Context takes a request that leaves it out', () => {
  const { message } = protectRequest(contextOf('C.3', 'Client'), request)
  const options = message.options.map(({ number, value }) =>
    number === 9 ? { number, value: fromHex('0900') } : { number, value },
  )
  const { request: read } = unprotectRequest(contextOf('C.3', 'Server'), { ...message, options })
  assertSame(read, request)
})

test('what OSCORE has no form for is not protected', () => {
  const client = contextOf('C.1', 'Client')
  const { received } = open()
  for (const number of [6, 9, 35]) {
    const message = { ...request, options: [option(number)] }
    assert.throws(
      () => protectRequest(client, message),
      (error) => error instanceof CallerError && error.code === 'ERR_OSCORE_UNPROTECTABLE',
    )
  }
  assert.throws(() => protectRequest(client, response), { code: 'ERR_OSCORE_UNPROTECTABLE' })
  assert.throws(() => received.exchange.protectResponse(request), {
    code: 'ERR_OSCORE_UNPROTECTABLE',
  })
  assert.equal(client.sender.sequence.next, 0)
})

/** A request whose plaintext no honest client would send, sealed with the right key. */
function sealed(plaintext: Uint8Array): CoapMessage {
  const { sender, commonIv } = contextOf('C.1', 'Client')
  const nonce = nonceOf(commonIv, sender.id, 0)
  const aad = additionalData(10, { kid: sender.id, partialIv: 0 })
  const payload = nodeCrypto.seal('aes-ccm-16-64-128', sender.key, nonce, aad, plaintext)
  return { ...request, code: 2, options: [{ number: 9, value: fromHex('0900') }], payload }
}

test('a client that has the key and encrypts nonsense is refused', () => {
  const nonsense = {
    nothing: '',
    'an Empty message': '00',
    'a response': '45',
    'a reserved code': '20',
    'an OSCORE option': '0190',
    'a host': '01316c',
    'a marker without payload': '01ff',
    'a cut option': '01b3',
  }
  for (const [what, plaintext] of Object.entries(nonsense)) {
    const server = contextOf('C.1', 'Server')
    const message = sealed(fromHex(plaintext))
    assert.throws(() => unprotectRequest(server, message), { code: 'ERR_OSCORE_MESSAGE' }, what)
    // It did verify: its number is spent.
    assert.throws(() => unprotectRequest(server, message), { code: 'ERR_OSCORE_REPLAY' }, what)
  }
  assert.equal(unprotectRequest(contextOf('C.1', 'Server'), sealed(fromHex('01'))).request.code, 1)
})

test('a notification that nobody asked for is refused', () => {
  const { server, sent } = open()
  const body = encodeBody({ options: [option(6)], payload: none })
  const nonce = nonceOf(server.commonIv, none, 0)
  const aad = additionalData(10, { kid: none, partialIv: 0 })
  const payload = nodeCrypto.seal(
    'aes-ccm-16-64-128',
    server.sender.key,
    nonce,
    aad,
    Uint8Array.of(0x45, ...body),
  )
  const message = { ...response, code: coapCode.content, options: [option(9)], payload }
  assert.throws(() => sent.exchange.unprotectResponse(message), { code: 'ERR_OSCORE_MESSAGE' })
})

test('identifiers have at most 7 bytes, and both sides have different ones', () => {
  const masterSecret = nodeCrypto.importSecret(new Uint8Array(16))
  const make = (senderId: string, recipientId: string, contextBytes = 0) =>
    deriveContext(nodeCrypto, {
      masterSecret,
      senderId: fromHex(senderId),
      recipientId: fromHex(recipientId),
      idContext: new Uint8Array(contextBytes),
    })
  assert.equal(make('01020304050607', '', 241).sender.id.length, 7)
  for (const [sender, recipient, contextBytes] of [
    ['0102030405060708', '', 0],
    ['', '0102030405060708', 0],
    ['01', '01', 0],
    ['', '', 0],
    ['', '01', 242],
  ] as const) {
    assert.throws(() => make(sender, recipient, contextBytes), { code: 'ERR_OSCORE_PARAMETER' })
  }
})

test('a context with the longest names and the last number still has room in its option', () => {
  const names = { senderId: fromHex('01020304050607'), recipientId: none }
  const client = deriveContext(nodeCrypto, {
    ...names,
    masterSecret: nodeCrypto.importSecret(new Uint8Array(16)),
    idContext: new Uint8Array(241),
    senderSequenceNumber: 2 ** 40 - 1,
  })
  const server = deriveContext(nodeCrypto, {
    masterSecret: nodeCrypto.importSecret(new Uint8Array(16)),
    senderId: names.recipientId,
    recipientId: names.senderId,
    idContext: new Uint8Array(241),
  })
  const { message } = protectRequest(client, request)
  assert.equal(message.options[1]?.value.length, 255)
  assertSame(unprotectRequest(server, message).request, request)
})

// RFC 8613 §8.2.
test('each refusal has the answer of the text', () => {
  const lines = (
    [
      'ERR_OSCORE_OPTION',
      'ERR_OSCORE_CONTEXT',
      'ERR_OSCORE_REPLAY',
      'ERR_OSCORE_UNVERIFIED',
      'ERR_OSCORE_MESSAGE',
    ] as const
  ).map((code) => {
    const answer = oscoreErrorAnswer(code)
    return `${answer.code} ${answer.diagnostic}`
  })
  assert.deepEqual(lines, [
    '130 Failed to decode COSE',
    '129 Security context not found',
    '129 Replay detected',
    '128 Decryption failed',
    '130 Failed to decode COSE',
  ])
})

test('an error of the provider that is no tag is not taken for a forgery', () => {
  const { sender, ...server } = contextOf('C.1', 'Server')
  const crypto = {
    ...nodeCrypto,
    open: () => {
      throw new TypeError('no key')
    },
  }
  const { message } = protectRequest(contextOf('C.1', 'Client'), request)
  assert.throws(
    () => unprotectRequest({ ...server, sender, crypto }, message),
    (error) => error instanceof TypeError && !(error instanceof PeerError),
  )
})
