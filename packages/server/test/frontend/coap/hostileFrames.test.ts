/** Frames of OSCORE that were recorded, changed or made up: none is delivered, none hurts. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { codeText, encodeMessage, optionNumber, parseMessage } from '@countersign/core/coap'
import { concat, fromUtf8 } from '@countersign/core/codec'
import { deriveContext, protectRequest } from '@countersign/core/oscore'
import { contextParameters, encodeContinued } from '@countersign/core/channel'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { isProtected, type NarrowDevice, required } from './device.ts'
import { CoapHouse } from './house.ts'

const elsewhere = '203.0.113.66:6666'

describe('a hostile frame at the coap door', () => {
  let house: CoapHouse
  let device: NarrowDevice
  beforeEach(async () => {
    const all = { perSecond: 1e6, burst: 1e6 }
    const limits = { strangerAnswersPerAddress: all, strangerAnswers: all }
    house = await CoapHouse.create({ limits })
    device = await house.device()
    await device.first('a', { number: 0 })
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  /** To the door; what it says, in words. */
  async function said(datagram: Uint8Array, from: string = elsewhere): Promise<string> {
    const [answer] = await house.inject(datagram, from)
    if (answer === undefined) return 'nothing'
    const message = parseMessage(answer)
    const kind = isProtected(message) ? 'protected' : fromUtf8(message.payload)
    return `${codeText(message.code)} ${kind}`
  }

  async function count(): Promise<number> {
    return (await house.messages()).length
  }

  it('with any bit of what is protected changed is not delivered, and the true one is once', async () => {
    const datagram = device.datagram(device.reading('a/b', { number: 1 }), 500)
    const message = parseMessage(datagram)
    const { payload, options } = message
    const oscore = required(options.find(({ number }) => number === optionNumber.oscore))
    for (let bit = 0; bit < payload.length * 8; bit++) {
      const answer = await said(encodeMessage({ ...message, payload: flipped(payload, bit) }))
      assert.match(answer, /^4\.0[01] /)
    }
    for (let bit = 0; bit < oscore.value.length * 8; bit++) {
      const value = flipped(oscore.value, bit)
      const other = options.map((option) => (option === oscore ? { ...option, value } : option))
      const answer = await said(encodeMessage({ ...message, options: other }))
      assert.match(answer, /^4\.0[012] [A-Z]/)
    }
    assert.equal(await count(), 1)
    assert.match(await said(datagram, device.address), /protected/)
    assert.equal(await count(), 2)
  })

  it('with any byte of the datagram changed, or cut anywhere, is delivered once at most', async () => {
    const datagram = device.datagram(device.reading('a/b', { number: 1 }), 500)
    for (let bit = 0; bit < datagram.length * 8; bit += 3) await said(flipped(datagram, bit))
    for (const length of datagram.keys()) await said(datagram.slice(0, length))
    await said(concat(datagram, Uint8Array.of(0)))
    await said(datagram)
    // The header and the token are of CoAP: whoever changes them has changed no more than the way.
    assert.equal(await count(), 2)
  })

  it('that was recorded is answered as before on its way, refused from elsewhere, delivered never', async () => {
    const datagram = device.datagram(device.reading('a', { number: 1 }), 500)
    assert.match(await said(datagram, device.address), /2\.04|protected/)
    assert.equal(await count(), 2)
    const before = house.net.sent.length
    assert.match(await said(datagram, device.address), /protected/)
    assert.equal(house.net.sent.length, before + 1)
    assert.deepEqual(house.net.sent.at(-1)?.datagram, house.net.sent.at(-2)?.datagram)
    const replayed = '4.01 Replay detected'
    assert.equal(await said(datagram), replayed)
    const message = parseMessage(datagram)
    const other = encodeMessage({ ...message, messageId: 501, token: Uint8Array.of(7) })
    assert.equal(await said(other, device.address), replayed)
    assert.equal(await count(), 2)
  })

  it('that comes late is taken within the window, and refused behind it', async () => {
    const datagrams = Array.from({ length: 40 }, (_, n) =>
      device.datagram(device.reading('a', { number: n + 1 }), 600 + n),
    )
    for (const at of [5, 3, 4, 39, 20, 8]) {
      assert.match(await said(required(datagrams[at])), /protected/, String(at))
    }
    assert.equal(await count(), 7)
    // 39 is the newest: 32 below it nothing is known any more (RFC 8613 §7.4).
    for (const at of [5, 3, 7, 0]) {
      const answer = await said(required(datagrams[at]), '203.0.113.67:6666')
      assert.equal(answer, '4.01 Replay detected', String(at))
    }
    assert.equal(await count(), 7)
  })

  it('of a context that is not there, or of no context at all, is refused', async () => {
    const datagram = device.datagram(device.reading('a', { number: 1 }), 500)
    const message = parseMessage(datagram)
    const withKid = (value: Uint8Array): Promise<string> =>
      said(
        encodeMessage({
          ...message,
          options: message.options.map((option) =>
            option.number === optionNumber.oscore ? { ...option, value } : option,
          ),
        }),
      )
    const missing = '4.01 Security context not found'
    assert.equal(await withKid(Uint8Array.of(0x09, 1, 1, 2, 3)), missing)
    assert.equal(await withKid(Uint8Array.of(0x09, 1, 7)), missing, 'a kid of the device')
    assert.equal(await withKid(Uint8Array.of(0x01, 1)), missing, 'no kid')
    assert.equal(await withKid(Uint8Array.of()), missing)
    assert.match(await withKid(Uint8Array.of(0x08, 1, 2, 3)), /^4\.0/)
    assert.match(await withKid(Uint8Array.of(0xff, 1, 2, 3)), /^4\.0/)
    assert.equal(await count(), 1)
  })

  it("under another device's name is refused, whoever made it", async () => {
    const thief = await house.device()
    await thief.first('a', { number: 0 })
    const mine = parseMessage(thief.datagram(thief.reading('a', { number: 1 }), 500))
    const theirs = parseMessage(device.datagram(device.reading('a', { number: 1 }), 501))
    const mixed = encodeMessage({ ...mine, options: theirs.options })
    assert.equal(await said(mixed), '4.00 Decryption failed')
    assert.equal(await count(), 2)
  })

  it('that is an answer of the server comes back to nothing', async () => {
    for (const { datagram } of house.net.sent.slice()) {
      await house.inject(datagram, elsewhere)
      const message = parseMessage(datagram)
      if (!isProtected(message)) continue
      const asRequest = encodeMessage({ ...message, type: 'CON', code: 2, messageId: 9 })
      assert.match(await said(asRequest), /^4\.0/)
    }
    assert.equal(await count(), 1)
  })

  it('a hundred thousand times leaves the context and the memory as they were', async () => {
    const message = parseMessage(device.datagram(device.reading('a', { number: 1 }), 1))
    const payload = flipped(message.payload, 3)
    for (let n = 0; n < 100_000; n++) {
      const token = Uint8Array.of(n >> 16, (n >> 8) & 0xff, n & 0xff)
      house.net.deliver(
        encodeMessage({ ...message, payload, messageId: n & 0xffff, token }),
        elsewhere,
      )
      if (n % 500 === 499) {
        await house.idle()
        house.net.sent.length = 0
      }
    }
    assert.equal(house.door.load.contexts, 1)
    assert.equal(house.door.load.inFlight, 0)
    assert.ok(house.door.load.exchanges <= 16_384 + 2, String(house.door.load.exchanges))
    const response = await device.post('a', { number: 2 })
    assert.equal(codeText(response.code), '2.04')
    assert.equal(await count(), 2)
  })

  it('with the last number there is closes the context, and a new one opens', async () => {
    const { message3, next } = await device.begin()
    const parameters = contextParameters(next.session, 'initiator')
    const last = 2 ** 40 - 1
    const context = deriveContext(nodeCrypto, { ...parameters, senderSequenceNumber: last })
    await device.edhoc(encodeContinued(next.session.cR, message3))
    device.use(context)
    assert.equal(codeText((await device.post('a', { number: 1 })).code), '2.04')
    assert.throws(() => protectRequest(context, device.reading('a', {})), {
      code: 'ERR_OSCORE_EXHAUSTED',
    })
    const early = deriveContext(nodeCrypto, parameters)
    device.use(early)
    assert.equal(await said(device.datagram(device.reading('a', {}), 1)), '4.01 Replay detected')
    assert.equal(codeText((await device.first('a', { number: 2 })).code), '2.04')
  })
})

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  return bytes.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
}
