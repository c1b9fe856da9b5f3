/** A context that a handshake has made and that nothing has confirmed yet: what ends it, and what does not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  coapCode,
  type CoapMessage,
  encodeMessage,
  optionNumber,
  parseMessage,
} from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { narrowLimits } from '../../src/portable/narrow/index.ts'
import { deviceAddress, makeScene, reading, serverAddress } from './scene.ts'

test('a context that a command has confirmed is not given up for a forged 4.01', async () => {
  const { time, server, network, device } = makeScene()
  const { session, served } = await device()
  let combined: CoapMessage | undefined
  network.through((datagram, from, to) => {
    const message = parseMessage(datagram)
    if (from !== serverAddress && has(message, optionNumber.edhoc)) combined = message
    // What answers the first reading is lost.
    const isAnswer = message.code >> 5 === 2 && has(message, optionNumber.oscore)
    if (from !== serverAddress || !isAnswer) network.carry(datagram, from, to)
  })
  const first = session.request(reading(1))
  while (server.contexts.size === 0) await time.advance(100)
  const command = server.ask({ path: ['c', 'x'], payload: utf8('{}') })
  assert.equal((await time.until(command)).code, coapCode.changed)
  assert.equal(served.length, 1)

  assert.ok(combined !== undefined)
  network.carry(forged(combined), serverAddress, deviceAddress)
  await time.advance(2 * narrowLimits.hintGraceMs)
  network.through(undefined)
  assert.equal((await time.until(first)).code, coapCode.changed)
  assert.equal((await time.until(session.request(reading(2)))).code, coapCode.changed)
  assert.equal(server.counts.message3, 1)
  assert.equal(server.stored.size, 2)
})

function has({ options }: CoapMessage, number: number): boolean {
  return options.some((option) => option.number === number)
}

function forged({ messageId, token }: CoapMessage): Uint8Array {
  const code = coapCode.unauthorized
  return encodeMessage({ type: 'ACK', code, messageId, token, options: [], payload: utf8('') })
}
