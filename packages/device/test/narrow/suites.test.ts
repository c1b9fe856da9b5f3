/** Which cipher suites a handshake may end with, whatever anybody says (RFC 9528 §6.3). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { edhocContentFormat, parseEdhocPayload } from '@countersign/core/channel'
import {
  coapCode,
  encodeMessage,
  optionNumber,
  parseMessage,
  uintValue,
} from '@countersign/core/coap'
import { encodeError, parseMessage1, suitesOf, type UsableSuite } from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { makeScene, reading, type Scene, serverAddress } from './scene.ts'

const suite = (number: number): UsableSuite =>
  suitesOf(nodeCrypto).find((one) => one.number === number) ?? assert.fail(`no suite ${number}`)

/** SUITES_I of each message_1 that goes out; the last one is selected. */
function offersOf({ network }: Scene): (readonly number[])[] {
  const offers: (readonly number[])[] = []
  network.observe(({ act, datagram, to }) => {
    if (act !== 'sent' || to !== serverAddress) return
    const { payload } = parseMessage(datagram)
    if (payload[0] !== 0xf5) return
    const read = parseEdhocPayload(payload)
    if (read.kind === 'message_1') offers.push(parseMessage1(read.message).suitesI)
  })
  return offers
}

test('a server that has suite 3 alone gets it, since both have it', async () => {
  const scene = makeScene()
  const { time, server, device } = scene
  const offers = offersOf(scene)
  server.suites = [suite(3)]
  const { session } = await device()
  await time.until(session.request(reading(1)))
  assert.deepEqual(offers[0], [2])
  assert.deepEqual(offers.at(-1), [2, 3])
  assert.equal(server.stored.size, 1)
})

test('a device whose policy is suite 2 makes no handshake with suite 3', async () => {
  const scene = makeScene()
  const { time, server, device } = scene
  const offers = offersOf(scene)
  server.suites = [suite(3)]
  const { session } = await device({ suites: [suite(2)] })
  await assert.rejects(time.until(session.request(reading(1))), { code: /^ERR_/ })
  assert.ok(offers.every((offer) => offer.join() === '2'))
  assert.equal(server.counts.message3, 0)
})

/** Answers each message_1 before the server does. */
function claim({ network }: Scene, suitesR: readonly number[]): void {
  network.through((datagram, from, to) => {
    const message = parseMessage(datagram)
    if (to === serverAddress && message.payload[0] === 0xf5) {
      const error = encodeError({ kind: 'wrong suite', suitesR })
      const format = uintValue(edhocContentFormat.message)
      const forged = encodeMessage({
        ...message,
        type: 'ACK',
        code: coapCode.badRequest,
        options: [{ number: optionNumber.contentFormat, value: format }],
        payload: error,
      })
      network.carry(forged, to, from)
      // The server is not heard in time.
      return
    }
    network.carry(datagram, from, to)
  })
}

for (const suitesR of [[0], [1], [0, 1], [4], [5], [6], [24], [25], [0, 6]]) {
  test(`who says in the server's name that it has ${suitesR.join(' and ')} gets no message_1 for it`, async () => {
    const scene = makeScene()
    const { time, server, device } = scene
    const offers = offersOf(scene)
    claim(scene, suitesR)
    const { session } = await device()
    await assert.rejects(time.until(session.request(reading(1))), { code: /^ERR_/ })
    assert.ok(offers.length > 0)
    assert.deepEqual(new Set(offers.map((offer) => offer.at(-1))), new Set([2]))
    assert.equal(server.counts.message3, 0)
  })
}

test('a server that has suite 2 does not let anybody talk the device into suite 3', async () => {
  const scene = makeScene()
  const { time, network, server, device } = scene
  const offers = offersOf(scene)
  let isFirst = true
  claim(scene, [3])
  // So that the lie is believed before message_1 goes out again.
  const { session } = await device({ transmission: { ackTimeoutMs: 10_000 } })
  const asked = session.request(reading(1))
  // One lie, then the server is heard again.
  network.observe(({ act, datagram, to }) => {
    if (act !== 'sent' || to !== serverAddress || parseMessage(datagram).payload[0] !== 0xf5) return
    if (!isFirst) network.through(undefined)
    isFirst = false
  })
  // RFC 9528 §5.2.3: the responder sees in SUITES_I that one that it has stands in front of 3.
  await assert.rejects(time.until(asked), { code: 'ERR_NARROW_REFUSED' })
  assert.deepEqual(offers.at(-1), [2, 3])
  assert.equal(server.counts.message3, 0)
  await time.advance(60_000)
  await time.until(session.request(reading(1)))
  assert.deepEqual(offers.at(-1), [2])
})
