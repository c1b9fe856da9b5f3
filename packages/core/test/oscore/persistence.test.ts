/** Contexts that outlive their process: RFC 8613 §7.5, Appendix B.1. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CoapMessage, parseMessage } from '../../src/coap/index.ts'
import { fromHex, hex } from '../../src/codec/index.ts'
import { CallerError, PeerError } from '../../src/errors.ts'
import {
  type ContextState,
  deriveContext,
  mergeWindows,
  oscoreOptionOf,
  protectRequest,
  type ReceivedRequest,
  type SecurityContext,
  stateOf,
  unprotectRequest,
  type WindowSnapshot,
} from '../../src/oscore/index.ts'
import { SenderSequence } from '../../src/oscore/partialIv.ts'
import { ReplayWindow } from '../../src/oscore/replayWindow.ts'
import { node } from '../providers.ts'
import { parametersOf } from './vectors.ts'

const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))
const response = parseMessage(fromHex('64455d1f00003974ff48656c6c6f20576f726c6421'))
const fresh: ContextState = {
  senderReserved: 64,
  window: { highest: -1, accepted: 0 },
  usage: { sealed: 0, failed: 0 },
}

/** Begins where the state ends, with so many numbers more. */
function live(side: 'Client' | 'Server', { senderReserved, ...state }: ContextState, more = 0) {
  return deriveContext(node.crypto, {
    ...parametersOf('C.1', side),
    ...state,
    senderSequenceNumber: senderReserved,
    senderReserved: senderReserved + more,
  })
}

/** With new keys. */
function newborn(side: 'Client' | 'Server', senderReserved = 64): SecurityContext {
  return deriveContext(node.crypto, { ...parametersOf('C.1', side), senderReserved })
}

function takes(window: ReplayWindow, number: number): boolean {
  try {
    window.verify(number)
    return true
  } catch (error) {
    assert.ok(error instanceof PeerError && error.code === 'ERR_OSCORE_REPLAY', String(error))
    return false
  }
}

function partialIvOf(message: CoapMessage): number | undefined {
  return oscoreOptionOf(message).partialIv
}

test('a number at the bound is not taken before a new bound is written down', () => {
  const sequence = new SenderSequence(0, 2)
  assert.deepEqual([sequence.take(), sequence.take()], [0, 1])
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.throws(
      () => sequence.take(),
      (error) => error instanceof CallerError && error.code === 'ERR_OSCORE_UNRESERVED',
    )
  }
  assert.equal(sequence.next, 2)
  const bound = sequence.boundAfter(64)
  assert.equal(bound, 66)
  sequence.reserve(bound)
  assert.deepEqual([sequence.take(), sequence.reserved], [2, 66])
})

test('a bound never moves back, and never beyond the last number', () => {
  const sequence = new SenderSequence(10, 20)
  for (const wrong of [19, 0, -1, 20.5, Number.NaN, 2 ** 40 + 1]) {
    assert.throws(() => sequence.reserve(wrong), { code: 'ERR_OSCORE_PARAMETER' }, String(wrong))
  }
  sequence.reserve(20)
  assert.equal(sequence.reserved, 20)
  assert.throws(() => new SenderSequence(10, 9), { code: 'ERR_OSCORE_PARAMETER' })
})

test('behind the last number there is no bound to write down', () => {
  const sequence = new SenderSequence(2 ** 40 - 2, 2 ** 40 - 1)
  sequence.take()
  assert.throws(() => sequence.take(), { code: 'ERR_OSCORE_UNRESERVED' })
  assert.equal(sequence.boundAfter(64), 2 ** 40)
  sequence.reserve(2 ** 40)
  assert.equal(sequence.take(), 2 ** 40 - 1)
  assert.throws(() => sequence.take(), { code: 'ERR_OSCORE_EXHAUSTED' })
})

test('no number is lost when a message cannot be protected for want of a bound', () => {
  const client = newborn('Client', 0)
  assert.throws(() => protectRequest(client, request), { code: 'ERR_OSCORE_UNRESERVED' })
  assert.equal(client.usage.sealed, 0)
  client.sender.sequence.reserve(1)
  assert.equal(partialIvOf(protectRequest(client, request).message), 0)
})

test('after a crash numbers go on behind the bound, so no nonce comes twice', () => {
  const seen = new Set<number>()
  let state = fresh
  for (let life = 0; life < 5; life++) {
    const client = live('Client', state, 8)
    state = stateOf(client)
    // Each life ends with a crash after another number of messages.
    for (let sent = 0; sent <= life; sent++) {
      seen.add(partialIvOf(protectRequest(client, request).message) ?? -1)
    }
  }
  assert.equal(seen.size, 1 + 2 + 3 + 4 + 5)
})

test('a request that comes again after a restart is refused when the window was written down', () => {
  const client = newborn('Client')
  const server = newborn('Server')
  const { message } = protectRequest(client, request)
  const before = stateOf(server)
  unprotectRequest(server, message)
  const after = stateOf(server)
  assert.throws(() => unprotectRequest(live('Server', after), message), {
    code: 'ERR_OSCORE_REPLAY',
  })
  // What was not written down is not known: Echo is for that.
  assert.equal(unprotectRequest(live('Server', before), message).request.code, request.code)
  assert.throws(() => unprotectRequest(live('Server', { ...before, window: 'lost' }), message), {
    code: 'ERR_OSCORE_FRESHNESS',
  })
})

test('a window that was restored is the one that was written down, at each of its edges', () => {
  const window = new ReplayWindow()
  for (const number of [9, 10, 12, 40]) window.accept(number)
  const state = window.snapshot()
  assert.deepEqual(state, { highest: 40, accepted: 0b11010000000000000000000000000001 })
  const restored = new ReplayWindow(state)
  const numbers = [0, 8, 9, 10, 11, 12, 13, 39, 40, 41, 2 ** 40 - 1]
  assert.deepEqual(
    numbers.filter((number) => takes(restored, number)),
    [11, 13, 39, 41, 2 ** 40 - 1],
  )
  restored.accept(2 ** 40 - 1)
  assert.deepEqual(restored.snapshot(), { highest: 2 ** 40 - 1, accepted: 1 })
})

test('what no window can have been is not taken for one', () => {
  const wrong: readonly WindowSnapshot[] = [
    { highest: -1, accepted: 1 },
    { highest: 5, accepted: 0 },
    { highest: 5, accepted: 2 },
    { highest: 5, accepted: 2 ** 32 + 1 },
    { highest: 5, accepted: -1 },
    { highest: 5, accepted: 1.5 },
    { highest: -2, accepted: 1 },
    { highest: 2 ** 40, accepted: 1 },
    { highest: 0.5, accepted: 1 },
    { highest: Number.NaN, accepted: 1 },
  ]
  for (const snapshot of wrong) {
    assert.throws(() => new ReplayWindow(snapshot), { code: 'ERR_OSCORE_PARAMETER' })
  }
})

test('two requests on their way to the store at once leave nothing out, in either order', () => {
  const client = newborn('Client')
  const [one, two] = [protectRequest(client, request), protectRequest(client, request)]
  const server = newborn('Server')
  unprotectRequest(server, two.message)
  const first = server.recipient.window.snapshot()
  unprotectRequest(server, one.message)
  const second = server.recipient.window.snapshot()
  // In the order of the snapshots the row only grows; out of order, merging them does the same.
  for (const row of [second, mergeWindows(first, second), mergeWindows(second, first)]) {
    const restored = live('Server', { ...fresh, window: row })
    for (const { message } of [one, two]) {
      assert.throws(() => unprotectRequest(restored, message), { code: 'ERR_OSCORE_REPLAY' })
    }
  }
})

test('merged windows agree with a window that saw the numbers of both, whatever they are', () => {
  const seed = 8613
  let state = seed
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor(state / 65_536) % below
  }
  for (let round = 0; round < 500; round++) {
    const windows = [new ReplayWindow(), new ReplayWindow()] as const
    const accepted: number[] = []
    for (let count = random(40); count > 0; count--) {
      const number = random(80)
      const window = windows[random(2)] ?? windows[0]
      if (!takes(window, number)) continue
      window.accept(number)
      accepted.push(number)
    }
    const [one, other] = windows.map((window) => window.snapshot())
    assert.ok(one && other)
    const merged = new ReplayWindow(mergeWindows(one, other))
    const highest = Math.max(-1, ...accepted)
    for (let number = 0; number < 82; number++) {
      const isFresh = number > highest - 32 && !accepted.includes(number)
      const judge = (): void => merged.verify(number)
      if (isFresh) judge()
      else assert.throws(judge, { code: 'ERR_OSCORE_REPLAY' }, `seed ${seed}, round ${round}`)
    }
    assert.deepEqual(mergeWindows(other, one), mergeWindows(one, other))
    assert.deepEqual(mergeWindows(one, one), one)
  }
})

test('a window that is there is more than a lost one', () => {
  const snapshot = { highest: 3, accepted: 1 }
  assert.deepEqual(mergeWindows('lost', snapshot), snapshot)
  assert.deepEqual(mergeWindows(snapshot, 'lost'), snapshot)
  assert.equal(mergeWindows('lost', 'lost'), 'lost')
})

/** A server that has read one request of the client, which is `message`. */
function served(server: SecurityContext): ReceivedRequest & { readonly message: CoapMessage } {
  const { message } = protectRequest(newborn('Client'), request)
  return { ...unprotectRequest(server, message), message }
}

test('before its request is written down a response has a Partial IV of its own', () => {
  const server = newborn('Server')
  const { exchange } = served(server)
  assert.equal(exchange.partialIv, 0)
  const early = exchange.protectResponse(response)
  assert.equal(partialIvOf(early), 0)
  server.recipient.window.stored(server.recipient.window.snapshot())
  assert.equal(partialIvOf(exchange.protectResponse(response)), undefined)
  assert.equal(partialIvOf(exchange.protectResponse(response)), 1)
})

test('the snapshot of another request does not write this one down', () => {
  const server = newborn('Server')
  const client = newborn('Client')
  const messages = [0, 1].map(() => protectRequest(client, request).message)
  const [one, two] = messages
  assert.ok(one && two)
  const first = unprotectRequest(server, one)
  const snapshot = server.recipient.window.snapshot()
  const second = unprotectRequest(server, two)
  server.recipient.window.stored(snapshot)
  assert.equal(partialIvOf(second.exchange.protectResponse(response)), 0)
  assert.equal(partialIvOf(first.exchange.protectResponse(response)), undefined)
})

test('a response that must not have the nonce of its request never gets it', () => {
  const server = newborn('Server')
  const { exchange } = served(server)
  server.recipient.window.stored(server.recipient.window.snapshot())
  exchange.spendRequestNonce()
  assert.equal(partialIvOf(exchange.protectResponse(response)), 0)
})

test('two lives of a server never answer one request under one nonce', () => {
  const { message } = protectRequest(newborn('Client'), request)
  const nonces = new Set<string>()
  let state = fresh
  for (let life = 0; life < 3; life++) {
    // Numbers are reserved, windows are not written before the crash.
    const server = live('Server', state, 4)
    state = { ...state, senderReserved: server.sender.sequence.reserved }
    const { exchange } = unprotectRequest(server, message)
    const answer = exchange.protectResponse(response)
    nonces.add(`${partialIvOf(answer)} ${hex(answer.payload)}`)
    assert.notEqual(partialIvOf(answer), undefined)
  }
  assert.equal(nonces.size, 3)
})

test('without a bound a context is as before: its first response has the nonce of the request', () => {
  const server = deriveContext(node.crypto, parametersOf('C.1', 'Server'))
  assert.equal(server.isPersistent, false)
  assert.equal(partialIvOf(served(server).exchange.protectResponse(response)), undefined)
})
