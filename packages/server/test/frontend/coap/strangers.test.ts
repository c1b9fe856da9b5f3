/** An Echo shows that somebody receives what is sent to an address: to that one, and for nobody else. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { encodeStart } from '@countersign/core/channel'
import {
  type CoapMessage,
  type CoapOption,
  coapCode,
  codeText,
  encodeMessage,
  parseMessage,
} from '@countersign/core/coap'
import { EchoIssuer } from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { coapLimitsOfDoor } from '../../../src/frontend/coap/limits.ts'
import { Strangers } from '../../../src/frontend/coap/strangers.ts'
import { ManualClock } from '../../support/world.ts'
import { required } from './device.ts'
import { CoapHouse } from './house.ts'
import { echoIn, edhocRequest, strangerAt, withEcho } from './stranger.ts'

const home = '203.0.113.5:5683'

describe('an Echo for somebody whom nobody knows', () => {
  let house: CoapHouse
  let message1: (n: number) => Uint8Array
  beforeEach(async () => {
    // Everybody has to show that it is there.
    house = await CoapHouse.create({ limits: { handshakesPerAddressBurst: 0 } })
    message1 = await strangerAt(house)
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  async function answered(datagram: Uint8Array, from: string): Promise<CoapMessage> {
    const [answer, ...more] = await house.inject(datagram, from)
    assert.deepEqual(more, [])
    return parseMessage(required(answer))
  }

  async function echoFor(from: string, n: number): Promise<CoapOption> {
    const challenge = await answered(message1(n), from)
    assert.equal(codeText(challenge.code), '4.01')
    return required(echoIn(challenge))
  }

  it('is good where it was sent to, and worth nothing at any other address', async () => {
    const echo = await echoFor(home, 1)
    const others = ['203.0.113.6:5683', '203.0.113.5:5684', '[2001:db8::5]:5683']
    for (const [at, other] of others.entries()) {
      const answer = await answered(withEcho(message1(2 + at), echo), other)
      assert.equal(codeText(answer.code), '4.01', other)
      assert.notDeepEqual(echoIn(answer), echo)
    }
    assert.equal(house.door.load.halfOpen, 0)
    assert.equal(codeText((await answered(withEcho(message1(9), echo), home)).code), '2.04')
    assert.equal(house.door.load.halfOpen, 1)
  })

  it('is worth nothing after a minute, nor when one byte of it is another', async () => {
    const echo = await echoFor(home, 1)
    for (const at of echo.value.keys()) {
      const value = echo.value.map((byte, n) => (n === at ? byte ^ 1 : byte))
      const answer = await answered(withEcho(message1(2 + at), { ...echo, value }), home)
      assert.equal(codeText(answer.code), '4.01', `byte ${at}`)
    }
    house.timers.advance(61_000)
    assert.equal(codeText((await answered(withEcho(message1(99), echo), home)).code), '4.01')
    assert.equal(house.door.load.halfOpen, 0)
  })

  it('is shorter than the shortest request that asks for one', async () => {
    const shortest = edhocRequest(encodeStart(new Uint8Array()), 0)
    const [challenge, ...more] = await house.inject(shortest, home)
    assert.deepEqual(more, [])
    assert.notEqual(echoIn(parseMessage(required(challenge))), undefined)
    assert.ok(required(challenge).length < shortest.length)
  })
})

describe('a challenge', () => {
  it('is not made for a request that is shorter, whatever the budget', () => {
    const clock = new ManualClock()
    const key = nodeCrypto.importSecret(new Uint8Array(32).fill(7))
    const echo = new EchoIssuer({ crypto: nodeCrypto, clock, key })
    const strangers = new Strangers(clock, echo, coapLimitsOfDoor)
    assert.equal(strangers.challenge(request(12), home), undefined)
    assert.equal(strangers.challenge(request(13), home)?.code, coapCode.unauthorized)
  })
})

/** 4 bytes of header, 1 of a marker, and what follows it; the challenge has 4 + 2 + 12. */
function request(payloadBytes: number): CoapMessage {
  return parseMessage(
    encodeMessage({
      type: 'CON',
      code: coapCode.post,
      messageId: 1,
      token: new Uint8Array(),
      options: [],
      payload: new Uint8Array(payloadBytes),
    }),
  )
}
