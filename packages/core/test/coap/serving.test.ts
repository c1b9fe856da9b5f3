/** What an endpoint serves: once, answered in time or separately, and what it rejects (RFC 7252 §4). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CallerError } from '../../src/errors.ts'
import { content, desk, drawn, peer } from './world.ts'

const path = 'bb74656d7065726174757265'
const reading = 'ff32322e332043'
const request = `41017d3853${path}`

function separate(): ReturnType<typeof desk> {
  return desk({ random: drawn('000000000000ad7b00000000') })
}

test('a separate response is sent until it is acknowledged', () => {
  for (const [end, heard] of [
    ['6000ad7b', 'an acknowledgement'],
    ['7000ad7b', 'a Reset'],
    // RFC 7252 §5.2.2: whatever it carries.
    ['6145ad7b53ff00', 'an acknowledgement with a response'],
  ] as const) {
    const { hears, says, served, time, endpoint } = separate()
    hears(request)
    time.advance(1000)
    served[0]?.respond(content('22.3 C'))
    time.advance(6000)
    const response = `4145ad7b53${reading}`
    assert.deepEqual(says(), ['60007d38', response, response, response], heard)
    hears(end, 'other')
    hears(end)
    time.advance(500_000)
    assert.deepEqual([says(), time.armed, endpoint.load.serving], [[], 0, 0], heard)
  }
})

test('a separate response that nobody acknowledges is given up', () => {
  const { hears, says, served, time, endpoint } = separate()
  hears(request)
  time.advance(1000)
  served[0]?.respond(content('22.3 C'))
  time.advance(62_000)
  assert.deepEqual([says().length, time.armed, endpoint.load.serving], [6, 0, 0])
})

test('a request that comes again is acknowledged again, before and after its separate response', () => {
  const { hears, says, served, time } = separate()
  hears(request)
  hears(request)
  assert.deepEqual(says(), [])
  time.advance(1000)
  hears(request)
  assert.deepEqual(says(), ['60007d38', '60007d38'])
  served[0]?.respond(content('22.3 C'))
  hears('6000ad7b')
  hears(request)
  assert.deepEqual(says(), [`4145ad7b53${reading}`, '60007d38'])
  assert.equal(served.length, 1)
})

test('an answer is repeated so often and no more', () => {
  const { hears, says, served } = desk()
  hears(request)
  served[0]?.respond(content('22.3 C'))
  for (let times = 0; times < 100; times++) hears(request)
  assert.deepEqual([says().length, served.length], [11, 1])
})

test('the same message of another peer, and another message with the same number, are new', () => {
  const { hears, served } = desk()
  hears(request)
  hears(request, 'other')
  hears(`41017d3854${path}`)
  assert.deepEqual(
    served.map(({ from }) => from),
    [peer, 'other', peer],
  )
})

test('an exchange is forgotten after EXCHANGE_LIFETIME', () => {
  const { hears, says, served, time } = desk()
  hears(request)
  served[0]?.respond(content('22.3 C'))
  time.advance(246_999)
  hears(request)
  time.advance(1)
  hears(request)
  assert.deepEqual([served.length, says().length], [2, 2])
})

test('what is ignored is not answered, and is new when it comes again', () => {
  const { hears, says, served, time, endpoint } = desk()
  hears(request)
  served[0]?.respond(undefined)
  time.advance(5000)
  assert.deepEqual([says(), time.armed, endpoint.load.exchanges], [[], 0, 0])
  hears(request)
  served[1]?.respond(content('22.3 C'))
  assert.deepEqual(says(), [`61457d3853${reading}`])
})

test('what is ignored after it was acknowledged stays acknowledged', () => {
  const { hears, says, served, time } = desk()
  hears(request)
  time.advance(1000)
  served[0]?.respond(undefined)
  hears(request)
  assert.deepEqual([says(), served.length, time.armed], [['60007d38', '60007d38'], 1, 0])
})

test('a request is answered once, and what cannot be sent leaves it open', () => {
  const { hears, says, served } = desk()
  hears(request)
  const respond = served[0]?.respond
  assert.ok(respond)
  const large = { code: 0x45, options: [], payload: new Uint8Array(1152) }
  assert.throws(() => respond(large), { code: 'ERR_COAP_SIZE' })
  assert.throws(() => respond({ ...content(''), code: 1 }), CallerError)
  respond(content('22.3 C'))
  assert.throws(() => respond(content('22.3 C')), { code: 'ERR_COAP_ANSWERED' })
  assert.deepEqual(says(), [`61457d3853${reading}`])
})

test('a request that nobody answers is let go in the end', () => {
  for (const type of ['4', '5']) {
    const { hears, says, served, time, endpoint } = desk()
    hears(`${type}${request.slice(1)}`)
    time.advance(248_000)
    assert.deepEqual([time.armed, endpoint.load.serving], [0, 0])
    const before = says().length
    served[0]?.respond(content('too late'))
    assert.deepEqual([says(), before], [[], type === '4' ? 1 : 0])
  }
})

test('more requests than can be served are as if they had been lost', () => {
  const { hears, says, served } = desk({ limits: { servingMax: 2 } })
  for (const id of ['01', '02', '03']) hears(`400100${id}`)
  assert.equal(served.length, 2)
  served[0]?.respond(content(''))
  hears('40010003')
  assert.deepEqual([served.length, says()], [3, ['60450001']])
})

const unread: readonly (readonly [what: string, datagram: string, answer: string])[] = [
  ['a ping', '40007d34', '70007d34'],
  ['a Confirmable message with a long token', '49017d34000000000000000000', '70007d34'],
  ['a Confirmable message of a reserved class', '40217d34', '70007d34'],
  ['a Confirmable message with a reserved option', '40017d34f0', '70007d34'],
  ['a Confirmable message with a marker alone', '40017d34ff', '70007d34'],
  ['a ping with more in it', '40007d34ff00', '70007d34'],
  ['a Confirmable message that is too large', `40017d34ff${'00'.repeat(1148)}`, '70007d34'],
  ['a Confirmable response that nobody expects', '40457d34', '70007d34'],
  ['another version', '80017d34', ''],
  ['a cut header', '40017d', ''],
  ['nothing', '', ''],
  ['a message without reliability that cannot be read', '50017d34ff', ''],
  ['an Empty message without reliability', '50007d34', ''],
  ['a response without reliability that nobody expects', '50457d34', ''],
  ['an acknowledgement of nothing', '60007d34', ''],
  ['an acknowledgement with a request', '60017d34', ''],
  ['an acknowledgement with a response to nothing', '60457d34', ''],
  ['a Reset of nothing', '70007d34', ''],
  ['a Reset with something in it', '70457d34', ''],
]

for (const [what, datagram, answer] of unread) {
  test(`${what} is ${answer === '' ? 'ignored' : 'rejected'}`, () => {
    const { hears, says, served, time, endpoint } = desk()
    hears(datagram)
    assert.deepEqual(says(), answer === '' ? [] : [answer])
    assert.deepEqual([served.length, time.armed, endpoint.load.exchanges], [0, 0, 0])
  })
}

test('Resets are few: so many to a peer in a time, so many in all', () => {
  const limits = { resetsPerPeerMax: 3, resetsMax: 10, resetWindowMs: 1000 }
  const { hears, says, time } = desk({ limits })
  for (let id = 0; id < 100; id++) hears(`400000${id.toString(16).padStart(2, '0')}`)
  assert.equal(says().length, 3)
  for (let id = 0; id < 100; id++) hears('40000000', `peer ${id}`)
  assert.equal(says().length, 7)
  time.advance(1000)
  hears('40000000')
  assert.equal(says().length, 1)
})
