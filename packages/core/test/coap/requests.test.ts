/** What an endpoint asks: sent again, given up, one at a time, believed or not (RFC 7252 §4.2, §5.3). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CoapMessage } from '../../src/coap/index.ts'
import { MessageIds } from '../../src/coap/messageIds.ts'
import { hex } from '../../src/codec/index.ts'
import { AdapterError, CallerError, PeerError } from '../../src/errors.ts'
import { content, type Desk, desk, drawn, get, HandTime, peer, seeded } from './world.ts'

const path = 'bb74656d7065726174757265'
const request = `44017d3420212223${path}`
const response = '64457d3420212223ff6f6e65'

/** One whose first request is `request` and whose waits are drawn by the four bytes behind. */
function client(share = '00000000', parts: Parameters<typeof desk>[0] = {}): Desk {
  return desk({ random: drawn(`000000002021222300007d34${share}`), ...parts })
}

/** When it says what, from its first word on. */
function schedule({ time, says }: Desk, untilMs: number): readonly (readonly [number, number])[] {
  const heard: [number, number][] = []
  for (let at = 0; at <= untilMs; at += 100) {
    const count = says().length
    if (count > 0) heard.push([at, count])
    time.advance(100)
  }
  return heard
}

function failsWith(
  kind: typeof AdapterError | typeof PeerError | typeof CallerError,
  code: string,
) {
  return (error: unknown): boolean => error instanceof kind && error.code === code
}

test('a request goes out five times in all, each wait twice the one before', async () => {
  const shortest = client('00000000')
  const outcome = assert.rejects(
    shortest.endpoint.request(get('temperature'), peer),
    failsWith(AdapterError, 'ERR_COAP_TIMEOUT'),
  )
  const times = [0, 2000, 6000, 14_000, 30_000]
  assert.deepEqual(
    schedule(shortest, 61_900),
    times.map((at) => [at, 1]),
  )
  assert.equal(shortest.endpoint.load.requests, 0)
  await outcome
})

test('the first wait is drawn up to ACK_RANDOM_FACTOR times as long', async () => {
  const longest = client('ffffffff')
  const outcome = assert.rejects(longest.endpoint.request(get('temperature'), peer))
  assert.deepEqual(
    schedule(longest, 93_000),
    [0, 3000, 9000, 21_000, 45_000].map((at) => [at, 1]),
  )
  await outcome
})

test('whoever knows the way waits as long as it takes', async () => {
  const slow = client('00000000')
  const stop = new AbortController()
  const { signal } = stop
  const asked = slow.endpoint.request(get('temperature'), peer, { ackTimeoutMs: 10_000, signal })
  assert.deepEqual(
    schedule(slow, 40_000),
    [0, 10_000, 30_000].map((at) => [at, 1]),
  )
  stop.abort(new Error('enough'))
  await assert.rejects(asked, /enough/)
  assert.equal(slow.time.armed, 0)
})

test('a request without reliability goes out once and is waited for', async () => {
  const { endpoint, says, time } = client()
  const asked = endpoint.request(get('temperature', { type: 'NON' }), peer)
  const outcome = assert.rejects(asked, failsWith(AdapterError, 'ERR_COAP_TIMEOUT'))
  time.advance(92_000)
  assert.deepEqual([says().length, endpoint.load.requests], [1, 1])
  time.advance(1000)
  await outcome
})

test('what is acknowledged is not sent again, and waited for as long as a response may take', async () => {
  const { endpoint, says, time, hears } = client()
  const asked = endpoint.request(get('temperature'), peer)
  const outcome = assert.rejects(asked, failsWith(AdapterError, 'ERR_COAP_TIMEOUT'))
  hears('60007d34')
  time.advance(246_000)
  assert.deepEqual([says(), endpoint.load.requests], [[request], 1])
  // A second acknowledgement begins nothing anew.
  hears('60007d34')
  time.advance(1000)
  await outcome
})

test('one request at a time goes to a peer, the others in the order they came', async () => {
  const { endpoint, says, hears } = desk({ random: seeded(1) })
  const asked = ['a', 'b', 'c'].map((name) => endpoint.request(get(name), peer))
  const elsewhere = endpoint.request(get('d'), 'other')
  const [first, second] = says()
  assert.match(first ?? '', /b161$/)
  assert.match(second ?? '', /b164 > other$/)
  // An acknowledgement is enough for the next one to go.
  hears(`6000${(first ?? '').slice(4, 8)}`)
  const [third, ...none] = says()
  assert.match(third ?? '', /b162$/)
  assert.equal(none.length, 0)
  hears(`6445${(third ?? '').slice(4, 16)}`)
  assert.match(says().join(), /b163$/)
  assert.equal((await asked[1])?.code, 0x45)
  endpoint.close()
  await Promise.all(
    [asked[0], asked[2], elsewhere].map((one) =>
      assert.rejects(one ?? Promise.resolve(), failsWith(AdapterError, 'ERR_COAP_CLOSED')),
    ),
  )
})

test('more requests than may wait are refused at once, to one peer and to all', async () => {
  const { endpoint } = desk({ limits: { requestsPerPeerMax: 2, requestsMax: 3 } })
  const kept = [peer, peer, 'other'].map((to) => endpoint.request(get('a'), to))
  for (const to of [peer, 'third']) {
    const refused = endpoint.request(get('a'), to)
    await assert.rejects(refused, failsWith(AdapterError, 'ERR_COAP_BUSY'))
  }
  assert.equal(endpoint.load.requests, 3)
  endpoint.close()
  assert.equal(endpoint.load.requests, 0)
  await Promise.all(kept.map((one) => assert.rejects(one)))
})

test('an aborted request makes room for the next, waiting or under way', async () => {
  const { endpoint, says, time } = desk()
  const [first, second] = [new AbortController(), new AbortController()]
  const asked = [
    endpoint.request(get('a'), peer, { signal: first.signal }),
    endpoint.request(get('b'), peer, { signal: second.signal }),
    endpoint.request(get('c'), peer),
  ]
  second.abort(new Error('second'))
  first.abort(new Error('first'))
  assert.deepEqual(
    says().map((datagram) => datagram.slice(-2)),
    ['61', '63'],
  )
  await assert.rejects(asked[0] ?? Promise.resolve(), /first/)
  await assert.rejects(asked[1] ?? Promise.resolve(), /second/)
  await assert.rejects(endpoint.request(get('d'), peer, { signal: first.signal }), /first/)
  endpoint.close()
  await assert.rejects(asked[2] ?? Promise.resolve())
  assert.equal(time.armed, 0)
})

test('what cannot be sent fails and holds nobody up', async () => {
  const { endpoint, says } = desk()
  const large = endpoint.request(get('a', { payload: new Uint8Array(1152) }), peer)
  await assert.rejects(large, failsWith(CallerError, 'ERR_COAP_SIZE'))
  const next = endpoint.request(get('b'), peer)
  assert.equal(says().length, 1)
  endpoint.close()
  await assert.rejects(next)
})

test('after its end an endpoint asks nothing and hears nothing', async () => {
  const { endpoint, says, hears, served, time } = desk()
  hears(`4001ad7c${path}`)
  endpoint.close()
  served[0]?.respond(content('late'))
  hears(`4001ad7d${path}`)
  hears('4000ad7e')
  assert.deepEqual([says(), served.length, time.armed], [[], 1, 0])
  await assert.rejects(endpoint.request(get('a'), peer), failsWith(AdapterError, 'ERR_COAP_CLOSED'))
})

const strangers: readonly (readonly [
  what: string,
  datagram: string,
  from: string,
  answer: string,
])[] = [
  ['of another peer', response, 'other', ''],
  ['of another peer, separate', '4445aaaa20212223', 'other', '7000aaaa > other'],
  ['with another token', '64457d3420212222', peer, ''],
  ['with another token, separate', '4445aaaa20212222', peer, '7000aaaa'],
  ['with a shorter token', '63457d34202122', peer, ''],
  ['with a longer token', '65457d342021222324', peer, ''],
  ['with another Message ID', '64457d3520212223', peer, ''],
  ['an acknowledgement of something else', '60007d35', peer, ''],
  ['an acknowledgement of another peer', '60007d34', 'other', ''],
  ['a Reset of something else', '70007d35', peer, ''],
  ['a Reset of another peer', '70007d34', 'other', ''],
  ['a response without reliability, with another token', '5445aaaa20212222', peer, ''],
]

for (const [what, datagram, from, answer] of strangers) {
  test(`a response ${what} is not taken, and the request is sent again`, async () => {
    const { endpoint, says, hears, time } = client()
    const asked = endpoint.request(get('temperature'), peer)
    hears(datagram, from)
    assert.deepEqual(says(), [request, ...(answer === '' ? [] : [answer])])
    time.advance(2000)
    assert.deepEqual(says(), [request])
    hears(response)
    assert.equal(hex((await asked).payload), '6f6e65')
  })
}

test('a Reset ends a request whose answer nobody judges', async () => {
  const { endpoint, hears, time } = client()
  const asked = endpoint.request(get('temperature'), peer)
  hears('70007d34')
  await assert.rejects(asked, failsWith(PeerError, 'ERR_COAP_RESET'))
  assert.equal(time.armed, 0)
})

test('where answers are judged a Reset is a hint: the request goes on, and its end tells of it', async () => {
  const { endpoint, hears, time, says } = client()
  const asked = endpoint.request(get('temperature'), peer, { accept: () => true })
  const outcome = assert.rejects(
    asked,
    (error) =>
      error instanceof AdapterError &&
      error.code === 'ERR_COAP_TIMEOUT' &&
      error.details['wasReset'] === true,
  )
  hears('70007d34')
  time.advance(2000)
  assert.deepEqual(says(), [request, request])
  time.advance(60_000)
  await outcome
})

function isTrue({ payload }: CoapMessage): boolean {
  return hex(payload) === '6f6e65'
}

test('where answers are judged each forged one is dropped, and the true one is taken', async () => {
  const { endpoint, hears, time, says } = client()
  const asked = endpoint.request(get('temperature'), peer, { accept: isTrue })
  for (const forged of [
    '64457d3420212223ff6f6e64',
    '64847d3420212223',
    '4445aaaa20212223ff6f6e64',
    '5445aaab20212223ff6f6e64',
  ]) {
    hears(forged)
  }
  // None was acknowledged: an acknowledgement would end the peer's true response of that number.
  assert.deepEqual(says(), [request])
  time.advance(2000)
  assert.deepEqual(says(), [request])
  hears(response)
  assert.equal((await asked).type, 'ACK')
})

test('where answers are judged a forged acknowledgement stops neither the sending nor the waiting', async () => {
  const one = client()
  const asked = one.endpoint.request(get('temperature'), peer, { accept: isTrue })
  one.hears('60007d34')
  assert.deepEqual(
    schedule(one, 150_000),
    [0, 2000, 6000, 14_000, 30_000].map((at) => [at, 1]),
  )
  one.hears(response)
  assert.equal((await asked).code, 0x45)
})

test('and it is given up when nothing of it can arrive any more', async () => {
  const { endpoint, hears, time } = client()
  const asked = endpoint.request(get('temperature'), peer, { accept: isTrue })
  const outcome = assert.rejects(asked, failsWith(AdapterError, 'ERR_COAP_TIMEOUT'))
  hears('60007d34')
  time.advance(215_000)
  assert.equal(endpoint.load.requests, 1)
  time.advance(32_000)
  await outcome
})

test('a separate response that comes again is acknowledged again, and is no news', async () => {
  const { endpoint, hears, says } = client()
  const asked = endpoint.request(get('temperature'), peer)
  for (let times = 0; times < 20; times++) hears('4445aaaa20212223ff6f6e65')
  assert.equal((await asked).code, 0x45)
  // The first, and as many repetitions as the limit allows.
  assert.deepEqual(says(), [request, ...Array<string>(11).fill('6000aaaa')])
})

test('a response answers once', async () => {
  const { endpoint, hears, says } = client()
  const asked = endpoint.request(get('temperature'), peer)
  hears(response)
  hears('64457d3420212223ff74776f')
  hears('5445aaaa20212223ff74776f')
  assert.equal(hex((await asked).payload), '6f6e65')
  assert.deepEqual(says(), [request])
})

test('no Message ID goes to a peer twice within EXCHANGE_LIFETIME', () => {
  const time = new HandTime()
  const ids = new MessageIds(time, seeded(9), 247_000, 1)
  const seen = new Map<number, number>()
  for (let round = 0; round < 400; round++) {
    time.advance(1000)
    for (let count = 0; count < 400; count++) {
      const id = ids.next(`peer ${count % 3}`)
      if (id === undefined) break
      const before = seen.get(id)
      assert.ok(before === undefined || time.now() - before >= 247_000, `${id} again`)
      seen.set(id, time.now())
    }
  }
  assert.equal(seen.size, 65_536)
})

test('when all Message IDs were used, a request is refused', async () => {
  const limits = { messageIdCounters: 1, resetsMax: 0 }
  const { endpoint, served, hears, says } = desk({ limits })
  for (let id = 0; id < 65_536; id++) {
    hears(`5001${id.toString(16).padStart(4, '0')}`)
    served.pop()?.respond(content(''))
    says()
  }
  await assert.rejects(endpoint.request(get('a'), peer), failsWith(AdapterError, 'ERR_COAP_BUSY'))
  assert.deepEqual(says(), [])
})

test('tokens and the first Message ID are drawn', () => {
  const firsts = [1, 2, 3].map((seed) => {
    const { endpoint, says } = desk({ random: seeded(seed) })
    endpoint.request(get('a'), peer).catch(() => undefined)
    const [datagram] = says()
    endpoint.close()
    return datagram?.slice(4, 16)
  })
  assert.equal(new Set(firsts).size, 3)
  assert.equal(new Set(firsts.map((one) => one?.slice(0, 4))).size, 3)
  assert.equal(new Set(firsts.map((one) => one?.slice(4))).size, 3)
})

test('what is answered, or acknowledged, before it has left the link is not sent again', async () => {
  const made: Desk = client('00000000', {
    send: () => {
      if (++sent > 1) return
      made.hears('60007d34')
      made.hears('4445123420212223ff6f6e65')
    },
  })
  let sent = 0
  const answer = await made.endpoint.request(get('temperature'), peer)
  assert.equal(hex(answer.payload), '6f6e65')
  made.time.advance(300_000)
  // Once the request, once the acknowledgement of the response.
  assert.equal(sent, 2)
  assert.equal(made.endpoint.load.requests, 0)
})
