/** A lost replay window, and requests that a device without a clock proves fresh: Appendix B.1.2. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CoapMessage, coapCode, parseMessage } from '../../src/coap/index.ts'
import { fromHex, hex } from '../../src/codec/index.ts'
import {
  challenge,
  challengeIn,
  deriveContext,
  EchoIssuer,
  isFresh,
  oscoreOptionOf,
  protectRequest,
  recoverRequest,
  repeatedWithEcho,
  type SecurityContext,
  type SentRequest,
  unprotectRequest,
  type WindowState,
} from '../../src/oscore/index.ts'
import { node, type Provider, providers } from '../providers.ts'
import { parametersOf } from './vectors.ts'

const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))
const response = parseMessage(fromHex('64455d1f00003974ff48656c6c6f20576f726c6421'))

function issuer(time = { now: 0 }, seed = 1, crypto = node.crypto): EchoIssuer {
  const key = crypto.importSecret(new Uint8Array(32).fill(seed))
  return new EchoIssuer({ crypto, clock: { now: () => time.now }, key })
}

/** After a crash that took the window, and half of its reserved numbers. */
function restarted(window: WindowState = 'lost', { crypto }: Provider = node): SecurityContext {
  const state = { senderSequenceNumber: 64, senderReserved: 128, window }
  return deriveContext(crypto, { ...parametersOf('C.1', 'Server', crypto), ...state })
}

function clientOf({ crypto }: Provider = node, first = 20): SecurityContext {
  const parameters = parametersOf('C.1', 'Client', crypto)
  return deriveContext(crypto, { ...parameters, senderSequenceNumber: first })
}

/** The challenge, as the client reads it. */
function challenged(server: SecurityContext, sent: SentRequest, echo: EchoIssuer): CoapMessage {
  const received = recoverRequest(server, sent.message, echo)
  assert.ok(received.kind === 'challenge')
  return sent.exchange.unprotectResponse(received.answer)
}

/** Sends, is challenged, and sends again. */
function recovered(server: SecurityContext, client: SecurityContext, echo: EchoIssuer) {
  const first = protectRequest(client, request)
  const again = repeatedWithEcho(request, challenged(server, first, echo))
  assert.ok(again)
  const second = protectRequest(client, again)
  const received = recoverRequest(server, second.message, echo)
  assert.ok(received.kind === 'request')
  return { first, second, received }
}

for (const provider of providers) {
  test(`a lost window is set by the request that brings the Echo back, ${provider.name}`, () => {
    const server = restarted('lost', provider)
    const echo = issuer({ now: 0 }, 1, provider.crypto)
    const { second, received } = recovered(server, clientOf(provider), echo)
    assert.equal(received.request.code, request.code)
    assert.equal(received.exchange.partialIv, 21)
    // RFC 8613 Appendix B.1.2: its Partial IV is the lower limit.
    assert.deepEqual(server.recipient.window.snapshot(), { highest: 21, accepted: 0xffff_ffff })
    const answer = received.exchange.protectResponse(response)
    assert.equal(hex(second.exchange.unprotectResponse(answer).payload), hex(response.payload))
  })
}

test('a challenge is a protected 4.01 with an Echo alone, and a Partial IV of its own', () => {
  const server = restarted()
  const sent = protectRequest(clientOf(), request)
  const received = recoverRequest(server, sent.message, issuer())
  assert.ok(received.kind === 'challenge')
  // The bound of the life before: numbers go on from there.
  assert.equal(oscoreOptionOf(received.answer).partialIv, 64)
  const read = sent.exchange.unprotectResponse(received.answer)
  assert.equal(read.code, coapCode.unauthorized)
  assert.deepEqual(
    read.options.map(({ number, value }) => [number, value.length]),
    [[252, 12]],
  )
  assert.equal(read.payload.length, 0)
})

test('while the window is lost nothing is accepted without its Echo', () => {
  const server = restarted()
  const client = clientOf()
  assert.throws(() => unprotectRequest(server, protectRequest(client, request).message), {
    code: 'ERR_OSCORE_FRESHNESS',
  })
  const wrong = repeatedWithEcho(request, {
    code: coapCode.unauthorized,
    options: [{ number: 252, value: new Uint8Array(12) }],
  })
  assert.ok(wrong)
  challenged(server, protectRequest(client, wrong), issuer())
  assert.equal(server.recipient.window.snapshot(), 'lost')
})

test('what was sent before the window was lost is never taken again', () => {
  const client = clientOf()
  const recorded = [0, 1, 2].map(() => protectRequest(client, request).message)
  const server = restarted()
  const echo = issuer()
  for (const message of recorded) {
    assert.equal(recoverRequest(server, message, echo).kind, 'challenge')
  }
  recovered(server, client, echo)
  for (const message of recorded) {
    for (const judge of [unprotectRequest, recoverRequest]) {
      assert.throws(() => judge(server, message, echo), { code: 'ERR_OSCORE_REPLAY' })
    }
  }
  unprotectRequest(server, protectRequest(client, request).message)
})

test('a recorded request that comes again and again is challenged once', () => {
  const server = restarted()
  const echo = issuer()
  const { message } = protectRequest(clientOf(), request)
  assert.equal(recoverRequest(server, message, echo).kind, 'challenge')
  const { sealed } = server.usage
  for (let attempt = 0; attempt < 100; attempt++) {
    assert.throws(() => recoverRequest(server, message, echo), { code: 'ERR_OSCORE_REPLAY' })
  }
  assert.equal(server.usage.sealed, sealed)
})

test('a challenge that could not be sent for want of a bound is sent when there is one', () => {
  const state = { senderSequenceNumber: 64, senderReserved: 64, window: 'lost' } as const
  const server = deriveContext(node.crypto, { ...parametersOf('C.1', 'Server'), ...state })
  const { message } = protectRequest(clientOf(), request)
  const echo = issuer()
  assert.throws(() => recoverRequest(server, message, echo), { code: 'ERR_OSCORE_UNRESERVED' })
  server.sender.sequence.reserve(128)
  assert.equal(recoverRequest(server, message, echo).kind, 'challenge')
})

test('the request with the Echo is taken once, by the window and by the one after it', () => {
  const server = restarted()
  const echo = issuer()
  const { second } = recovered(server, clientOf(), echo)
  assert.throws(() => recoverRequest(server, second.message, echo), { code: 'ERR_OSCORE_REPLAY' })
  const next = restarted(server.recipient.window.snapshot())
  assert.throws(() => recoverRequest(next, second.message, echo), { code: 'ERR_OSCORE_REPLAY' })
})

test('an Echo of an earlier life, with its old key, proves nothing after the next crash', () => {
  const { second } = recovered(restarted(), clientOf(), issuer({ now: 0 }, 1))
  const received = recoverRequest(restarted(), second.message, issuer({ now: 0 }, 2))
  assert.equal(received.kind, 'challenge')
})

test('an Echo that comes back late is answered with a new one', () => {
  const time = { now: 1_000_000 }
  const echo = issuer(time)
  const server = restarted()
  const client = clientOf()
  const again = repeatedWithEcho(request, challenged(server, protectRequest(client, request), echo))
  assert.ok(again)
  time.now += 61_000
  const second = challenged(server, protectRequest(client, again), echo)
  const third = repeatedWithEcho(again, second)
  assert.ok(third)
  const received = recoverRequest(server, protectRequest(client, third).message, echo)
  assert.equal(received.kind, 'request')
})

test('an Echo of one context proves nothing in another', () => {
  const echo = issuer()
  const client = clientOf()
  const value = challengeIn(challenged(restarted(), protectRequest(client, request), echo))
  assert.ok(value)
  const options = [...request.options, { number: 252, value }]
  for (const id of ['C.2', 'C.3']) {
    const [mine, theirs] = (['Server', 'Client'] as const).map((side) =>
      deriveContext(node.crypto, {
        ...parametersOf(id, side),
        senderReserved: 64,
        ...(side === 'Server' && { window: 'lost' }),
      }),
    )
    assert.ok(mine && theirs)
    const { message } = protectRequest(theirs, { ...request, options })
    assert.equal(recoverRequest(mine, message, echo).kind, 'challenge', id)
  }
})

test('a window that is there asks for nothing', () => {
  const server = restarted({ highest: 19, accepted: 1 })
  const received = recoverRequest(server, protectRequest(clientOf(), request).message, issuer())
  assert.equal(received.kind, 'request')
})

test('a forged request to a lost window is not answered', () => {
  const server = restarted()
  const { message } = protectRequest(clientOf(), request)
  const payload = message.payload.map((byte, at) => (at === 0 ? byte ^ 1 : byte))
  assert.throws(() => recoverRequest(server, { ...message, payload }, issuer()), {
    code: 'ERR_OSCORE_UNVERIFIED',
  })
  // Its number has still its chance.
  assert.equal(recoverRequest(server, message, issuer()).kind, 'challenge')
})

test('a device without a clock has a command sent again, and takes it then', () => {
  // The server is the client of commands.
  const [server, device] = [clientOf(), restarted({ highest: 3, accepted: 1 })]
  const echo = issuer()
  const sent = protectRequest(server, request)
  const late = unprotectRequest(device, sent.message)
  assert.equal(isFresh(device, late.request, echo), false)
  const answer = late.exchange.protectResponse(challenge(device, late.request, echo))
  const again = repeatedWithEcho(request, sent.exchange.unprotectResponse(answer))
  assert.ok(again)
  const fresh = unprotectRequest(device, protectRequest(server, again).message)
  assert.equal(isFresh(device, fresh.request, echo), true)
})
