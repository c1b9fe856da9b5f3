/**
 * The message flows of RFC 7252 Appendix A, figures 16 to 23, byte by byte from either end; the
 * bytes are those that the figures draw.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromUtf8 } from '../../src/codec/index.ts'
import { content, desk, drawn, get, peer } from './world.ts'

const path = 'bb74656d7065726174757265'
const reading = 'ff32322e332043'

/**
 * What an endpoint draws: the seed of its counters, a token, the begin of the Message IDs, the
 * first wait.
 */
function client(
  token: string,
  messageId: string,
  tokenBytes = token.length / 2,
): ReturnType<typeof desk> {
  return desk({ random: drawn(`00000000${token}0000${messageId}00000000`), limits: { tokenBytes } })
}

test('figures 16 and 17: a request and its piggybacked response, at the client', async () => {
  for (const [token, request, response] of [
    ['', `40017d34${path}`, `60457d34${reading}`],
    ['20', `41017d3420${path}`, `61457d3420${reading}`],
  ] as const) {
    const { endpoint, hears, says, time } = client(token, '7d34')
    const answer = endpoint.request(get('temperature'), peer)
    assert.deepEqual(says(), [request])
    hears(response)
    assert.equal(fromUtf8((await answer).payload), '22.3 C')
    assert.deepEqual([says(), time.armed, endpoint.load.requests], [[], 0, 0])
  }
})

test('figures 16 and 17: a request and its piggybacked response, at the server', () => {
  for (const [request, response] of [
    [`40017d34${path}`, `60457d34${reading}`],
    [`41017d3520${path}`, `61457d3520${reading}`],
  ] as const) {
    const { hears, says, served, time } = desk()
    hears(request)
    served[0]?.respond(content('22.3 C'))
    assert.deepEqual([says(), served.length, time.armed], [[response], 1, 0])
  }
})

test('figure 18: a request that was lost is sent again', async () => {
  const { endpoint, hears, says, time } = client('31', '7d36')
  const answer = endpoint.request(get('temperature'), peer)
  time.advance(1999)
  assert.deepEqual(says(), [`41017d3631${path}`])
  time.advance(1)
  assert.deepEqual(says(), [`41017d3631${path}`])
  hears(`61457d3631${reading}`)
  assert.equal((await answer).messageId, 0x7d36)
})

test('figure 19: a request that comes again is served once and answered the same', () => {
  const { hears, says, served } = desk()
  hears(`41017d3742${path}`)
  served[0]?.respond(content('22.3 C'))
  hears(`41017d3742${path}`)
  assert.deepEqual(says(), [`61457d3742${reading}`, `61457d3742${reading}`])
  assert.equal(served.length, 1)
})

test('figure 20: a separate response, at the client, in either order', async () => {
  const [acknowledgement, response] = ['60007d38', `4145ad7b53${reading}`] as const
  for (const order of [
    [acknowledgement, response],
    [response, acknowledgement],
  ]) {
    const { endpoint, hears, says, time } = client('53', '7d38')
    const answer = endpoint.request(get('temperature'), peer)
    for (const datagram of order) hears(datagram)
    assert.equal(fromUtf8((await answer).payload), '22.3 C')
    assert.deepEqual([says(), time.armed], [[`41017d3853${path}`, '6000ad7b'], 0])
  }
})

test('figure 20: a separate response, at the server', () => {
  const { hears, says, served, time } = desk({ random: drawn('000000000000ad7b00000000') })
  hears(`41017d3853${path}`)
  time.advance(999)
  assert.deepEqual(says(), [])
  time.advance(1)
  assert.deepEqual(says(), ['60007d38'])
  served[0]?.respond(content('22.3 C'))
  assert.deepEqual(says(), [`4145ad7b53${reading}`])
  hears('6000ad7b')
  time.advance(500_000)
  assert.deepEqual([says(), time.armed], [[], 0])
})

test('a separate response for a stranger goes once, and is not confirmed', () => {
  const { hears, says, served, time } = desk({ random: drawn('000000000000ad7b00000000') })
  hears(`41017d3853${path}`)
  time.advance(1_000)
  served[0]?.respond(content('22.3 C'), { once: true })
  assert.deepEqual(says(), ['60007d38', `5145ad7b53${reading}`])
  time.advance(500_000)
  assert.deepEqual([says(), time.armed], [[], 0])
})

test('figure 21: a separate response that nobody expects is rejected', () => {
  const { hears, says, served } = desk()
  hears('60007d39')
  hears(`4145ad7c64${reading}`)
  assert.deepEqual([says(), served.length], [['7000ad7c'], 0])
})

test('figure 22: without reliability, at either end', async () => {
  const client22 = client('75', '7d40')
  const answer = client22.endpoint.request(get('temperature', { type: 'NON' }), peer)
  assert.deepEqual(client22.says(), [`51017d4075${path}`])
  client22.hears(`5145ad7d75${reading}`)
  assert.equal((await answer).type, 'NON')
  assert.deepEqual([client22.says(), client22.time.armed], [[], 0])

  const { hears, says, served, time } = desk({ random: drawn('000000000000ad7d00000000') })
  hears(`51017d4075${path}`)
  time.advance(2000)
  served[0]?.respond(content('22.3 C'))
  hears(`51017d4075${path}`)
  assert.deepEqual([says(), served.length, time.armed], [[`5145ad7d75${reading}`], 1, 0])
})
