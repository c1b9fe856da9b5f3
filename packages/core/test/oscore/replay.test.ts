/** Sequence numbers and the replay window, against RFC 8613 §3.2.2, §7.2.1, §7.4. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMessage } from '../../src/coap/index.ts'
import { fromHex } from '../../src/codec/index.ts'
import { CallerError, PeerError } from '../../src/errors.ts'
import { protectRequest, unprotectRequest } from '../../src/oscore/index.ts'
import { ReplayWindow } from '../../src/oscore/replayWindow.ts'
import { contextOf } from './vectors.ts'

/** Which of the numbers a window of this past would still take. */
function fresh(past: readonly number[], numbers: readonly number[]): readonly number[] {
  const window = new ReplayWindow()
  for (const number of past) window.accept(number)
  return numbers.filter((number) => {
    try {
      window.verify(number)
      return true
    } catch (error) {
      assert.ok(error instanceof PeerError && error.code === 'ERR_OSCORE_REPLAY', String(error))
      return false
    }
  })
}

test('a window is 32 numbers wide, and takes each of them once', () => {
  assert.deepEqual(fresh([], [0, 7, 2 ** 40 - 1]), [0, 7, 2 ** 40 - 1])
  assert.deepEqual(fresh([0], [0, 1]), [1])
  assert.deepEqual(fresh([40], [8, 9, 10, 39, 40, 41]), [9, 10, 39, 41])
  assert.deepEqual(fresh([9, 40], [8, 9, 10, 40]), [10])
  assert.deepEqual(fresh([40, 9], [8, 9, 10, 40]), [10])
})

test('a window that moves by 31, 32, 33 or far keeps what is still inside', () => {
  assert.deepEqual(fresh([5, 36], [4, 5, 6, 36]), [6])
  assert.deepEqual(fresh([5, 37], [5, 6, 37]), [6])
  assert.deepEqual(fresh([4, 5, 37], [5, 6, 36, 37]), [6, 36])
  assert.deepEqual(fresh([5, 38], [6, 7, 38]), [7])
  assert.deepEqual(fresh([5, 5 + 2 ** 33], [5, 2 ** 33 + 4, 2 ** 33 + 5]), [2 ** 33 + 4])
  assert.deepEqual(fresh([0, 1, 31], [0, 1, 2, 30, 31]), [2, 30])
})

test('the window agrees with a list of all that was accepted, in any order', () => {
  const seed = 8613
  let state = seed
  const window = new ReplayWindow()
  const accepted = new Set<number>()
  let refused = 0
  for (let round = 0; round < 5000; round++) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    const number = Math.floor(round / 4) + (Math.floor(state / 65_536) % 50)
    const isFresh = !accepted.has(number) && number > Math.max(-1, ...accepted) - 32
    if (isFresh) {
      window.accept(number)
      accepted.add(number)
    } else {
      refused++
      assert.throws(() => window.accept(number), { code: 'ERR_OSCORE_REPLAY' }, `seed ${seed}`)
    }
  }
  assert.ok(accepted.size > 500 && refused > 500, `${accepted.size}, ${refused}`)
})

const request = parseMessage(fromHex('44015d1f00003974396c6f63616c686f737483747631'))

test('a window that is there is never set anew by a challenge', () => {
  const window = new ReplayWindow()
  window.accept(40)
  for (const step of ['challenge', 'recover'] as const) {
    assert.throws(() => window[step](41), { code: 'ERR_OSCORE_PARAMETER' })
  }
  assert.throws(() => window.accept(40), { code: 'ERR_OSCORE_REPLAY' })
  window.accept(39)
})

test('a request that is replayed is refused, and a later one is taken', () => {
  const client = contextOf('C.1', 'Client')
  const server = contextOf('C.1', 'Server')
  const [one, two] = [protectRequest(client, request), protectRequest(client, request)]
  unprotectRequest(server, two.message)
  unprotectRequest(server, one.message)
  for (const { message } of [one, two]) {
    assert.throws(() => unprotectRequest(server, message), { code: 'ERR_OSCORE_REPLAY' })
  }
  unprotectRequest(server, protectRequest(client, request).message)
})

test('a request that is replayed is not opened', () => {
  const server = contextOf('C.1', 'Server')
  const { message } = protectRequest(contextOf('C.1', 'Client'), request)
  unprotectRequest(server, message)
  const payload = message.payload.subarray(1)
  assert.throws(() => unprotectRequest(server, { ...message, payload }), {
    code: 'ERR_OSCORE_REPLAY',
  })
})

test('a forged request moves no window', () => {
  const server = contextOf('C.1', 'Server')
  const far = protectRequest(contextOf('C.1', 'Client', 1000), request).message
  const payload = far.payload.map((byte, index) => (index === 0 ? byte ^ 1 : byte))
  assert.throws(() => unprotectRequest(server, { ...far, payload }), {
    code: 'ERR_OSCORE_UNVERIFIED',
  })
  unprotectRequest(server, protectRequest(contextOf('C.1', 'Client'), request).message)
  unprotectRequest(server, far)
})

test('the last sequence number is 2^40 - 1, and behind it nothing goes out', () => {
  const client = contextOf('C.1', 'Client', 2 ** 40 - 1)
  const { message } = protectRequest(client, request)
  assert.deepEqual(message.options[1]?.value, fromHex('0dffffffffff'))
  unprotectRequest(contextOf('C.1', 'Server'), message)
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.throws(
      () => protectRequest(client, request),
      (error) => error instanceof CallerError && error.code === 'ERR_OSCORE_EXHAUSTED',
    )
  }
})

test('a server whose numbers are used up still answers with the nonce of the request', () => {
  const server = contextOf('C.1', 'Server', 2 ** 40)
  const { message, exchange } = protectRequest(contextOf('C.1', 'Client'), request)
  const served = unprotectRequest(server, message).exchange
  const response = parseMessage(fromHex('64455d1f00003974ff48656c6c6f20576f726c6421'))
  assert.throws(() => served.protectResponse(response, { ownPartialIv: true }), {
    code: 'ERR_OSCORE_EXHAUSTED',
  })
  exchange.unprotectResponse(served.protectResponse(response))
})

test('no context begins below 0, above 2^40 or between two numbers', () => {
  for (const first of [-1, 0.5, 2 ** 40 + 1, Number.NaN]) {
    assert.throws(() => contextOf('C.1', 'Client', first), { code: 'ERR_OSCORE_PARAMETER' })
  }
})
