/** How much the keys of a context may be used: draft-ietf-core-oscore-key-limits-06 §2.1.1. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CoapMessage, parseMessage } from '../../src/coap/index.ts'
import { fromHex } from '../../src/codec/index.ts'
import { CallerError, PeerError } from '../../src/errors.ts'
import {
  deriveContext,
  protectRequest,
  type SecurityContext,
  unprotectRequest,
  type UsageSnapshot,
  usageLimits,
} from '../../src/oscore/index.ts'
import { node } from '../providers.ts'
import { parametersOf } from './vectors.ts'

const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))
const response = parseMessage(fromHex('64455d1f00003974ff48656c6c6f20576f726c6421'))

function contextWith(
  side: 'Client' | 'Server',
  usage: Partial<UsageSnapshot> = {},
  algorithm = 10,
): SecurityContext {
  const used = { sealed: 0, failed: 0, ...usage }
  return deriveContext(node.crypto, { ...parametersOf('C.1', side), usage: used, algorithm })
}

function forged(message: CoapMessage): CoapMessage {
  const payload = message.payload.map((byte, at) => (at === 0 ? byte ^ 1 : byte))
  return { ...message, payload }
}

test('the limits are those of the draft, but for the failures of a short tag', () => {
  const long = { sealedMax: 1_048_576, failedMax: 1_048_576, ciphertextBytesMax: 16_384 }
  assert.deepEqual(usageLimits({ tagLength: 16 }), { ...long, failedWanted: 786_432 })
  const short = { ...long, ciphertextBytesMax: 4096 }
  assert.deepEqual(usageLimits({ tagLength: 8 }), { ...short, failedWanted: 16_384 })
})

test('each message that is sealed and each that does not verify is counted, and nothing else', () => {
  const [client, server] = [contextWith('Client'), contextWith('Server')]
  const { message, exchange } = protectRequest(client, request)
  assert.throws(() => unprotectRequest(server, forged(message)), PeerError)
  const received = unprotectRequest(server, message)
  // Replayed ones and those of others do not reach the key.
  assert.throws(() => unprotectRequest(server, message), { code: 'ERR_OSCORE_REPLAY' })
  const other = { number: 9, value: fromHex('091401') }
  assert.throws(() => unprotectRequest(server, { ...message, options: [other] }), {
    code: 'ERR_OSCORE_CONTEXT',
  })
  const answers = [0, 1].map(() => received.exchange.protectResponse(response))
  const [answer] = answers
  assert.ok(answer)
  assert.throws(() => exchange.unprotectResponse(forged(answer)), PeerError)
  exchange.unprotectResponse(answer)
  assert.deepEqual(client.usage.snapshot(), { sealed: 1, failed: 1 })
  assert.deepEqual(server.usage.snapshot(), { sealed: 2, failed: 1 })
})

test('a hundred thousand forgeries do not end a context, and make it want new keys', () => {
  const server = contextWith('Server')
  const client = contextWith('Client')
  const forgery = forged(protectRequest(client, request).message)
  assert.equal(server.wantsRekey, false)
  let wantedAt: number | undefined
  for (let attempt = 1; attempt <= 100_000; attempt++) {
    assert.throws(() => unprotectRequest(server, forgery), { code: 'ERR_OSCORE_UNVERIFIED' })
    if (server.wantsRekey) wantedAt ??= attempt
  }
  assert.equal(wantedAt, 16_384)
  const received = unprotectRequest(server, protectRequest(client, request).message)
  received.exchange.protectResponse(response)
})

test('at the limit of what a key seals nothing goes out, and nothing is opened', () => {
  const last = usageLimits({ tagLength: 8 }).sealedMax - 1
  const client = contextWith('Client', { sealed: last })
  const sent = protectRequest(client, request)
  const answer = unprotectRequest(contextWith('Server'), sent.message).exchange.protectResponse(
    response,
  )
  const { next } = client.sender.sequence
  assert.throws(
    () => protectRequest(client, request),
    (error) => error instanceof CallerError && error.code === 'ERR_OSCORE_EXHAUSTED',
  )
  assert.equal(client.sender.sequence.next, next)
  assert.throws(
    () => sent.exchange.unprotectResponse(answer),
    (error) => error instanceof PeerError && error.code === 'ERR_OSCORE_LIMIT',
  )
})

test('at the limit of forgeries nothing is opened, and nothing goes out', () => {
  const last = usageLimits({ tagLength: 8 }).failedMax - 1
  const server = contextWith('Server', { failed: last })
  const client = contextWith('Client')
  const received = unprotectRequest(server, protectRequest(client, request).message)
  const { message } = protectRequest(client, request)
  assert.throws(() => unprotectRequest(server, forged(message)), { code: 'ERR_OSCORE_UNVERIFIED' })
  assert.throws(() => unprotectRequest(server, message), { code: 'ERR_OSCORE_LIMIT' })
  assert.throws(() => received.exchange.protectResponse(response), {
    code: 'ERR_OSCORE_EXHAUSTED',
  })
})

test('new keys are wanted while a quarter of the old ones is left', () => {
  for (const [usage, isWanted] of [
    [{ sealed: 786_431 }, false],
    [{ sealed: 786_432 }, true],
    [{ failed: 16_383 }, false],
    [{ failed: 16_384 }, true],
  ] as const) {
    assert.equal(contextWith('Client', usage).wantsRekey, isWanted, JSON.stringify(usage))
  }
  const parameters = parametersOf('C.1', 'Client')
  for (const [senderSequenceNumber, isWanted] of [
    [3 * 2 ** 38 - 1, false],
    [3 * 2 ** 38, true],
  ] as const) {
    const context = deriveContext(node.crypto, { ...parameters, senderSequenceNumber })
    assert.equal(context.wantsRekey, isWanted)
  }
})

test('a message is as long as the limit lets it be, with its tag, in either direction', () => {
  for (const [algorithm, tagLength, ciphertextBytesMax] of [
    [10, 8, 4096],
    [30, 16, 16_384],
  ] as const) {
    const client = contextWith('Client', {}, algorithm)
    // Around it: the code, the path in four bytes, the marker.
    const payload = new Uint8Array(ciphertextBytesMax - tagLength - 6)
    const { message } = protectRequest(client, { ...request, payload })
    assert.equal(message.payload.length, ciphertextBytesMax)
    unprotectRequest(contextWith('Server', {}, algorithm), message)
    const longer = { ...request, payload: new Uint8Array(payload.length + 1) }
    assert.throws(() => protectRequest(client, longer), { code: 'ERR_OSCORE_UNPROTECTABLE' })
    const received = { ...message, payload: new Uint8Array(ciphertextBytesMax + 1) }
    const server = contextWith('Server', {}, algorithm)
    assert.throws(() => unprotectRequest(server, received), { code: 'ERR_OSCORE_MESSAGE' })
    assert.equal(server.usage.failed, 0)
  }
})

test('a count that is none is refused', () => {
  for (const usage of [{ sealed: -1 }, { failed: 0.5 }, { failed: Number.NaN }]) {
    assert.throws(() => contextWith('Client', usage), { code: 'ERR_OSCORE_PARAMETER' })
  }
})
