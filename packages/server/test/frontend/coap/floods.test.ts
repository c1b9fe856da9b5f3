/** More than anybody honest sends: memory stays bounded, others are served, nobody is flooded through us. */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import {
  type CoapMessage,
  coapCode,
  codeText,
  encodeMessage,
  optionNumber,
  parseMessage,
  uriPath,
} from '@countersign/core/coap'
import { coapLimitsOfDoor } from '../../../src/frontend/coap/limits.ts'
import { type NarrowDevice, Refused, required } from './device.ts'
import { CoapHouse } from './house.ts'
import { echoIn, strangerAt, withEcho } from './stranger.ts'

const victim = '198.51.100.7'

describe('a flood at the coap door', () => {
  let house: CoapHouse
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    assert.deepEqual(await house.messages(), [])
    await house.close()
  })

  async function flood(count: number, one: (n: number) => [Uint8Array, string]): Promise<void> {
    for (let n = 0; n < count; n++) {
      const [datagram, from] = one(n)
      house.net.deliver(datagram, from)
      if (n % 200 === 199) await house.idle()
    }
    await house.idle()
  }

  it('of handshakes from one address leaves the others alone', async () => {
    house = await CoapHouse.create()
    const message1 = await strangerAt(house)
    await flood(10_000, (n) => [message1(n), `${victim}:${1024 + (n % 60_000)}`])
    assert.ok(house.door.load.halfOpen > 0)
    assert.ok(house.door.load.halfOpen <= coapLimitsOfDoor.halfOpenUnprovenPerAddressMax)
    const sent = [...sentTo(house).values()].reduce((sum, bytes) => sum + bytes, 0)
    assert.ok(sent < 10_000 * message1(0).length * 0.5, `${sent} bytes to somebody else`)
    assert.equal(await works(await house.device()), 2, 'no Echo is asked of another address')
  })

  it('of handshakes from one address is bounded however slowly it comes, and the others are let be', async () => {
    house = await CoapHouse.create()
    const message1 = await strangerAt(house)
    const { halfOpenUnprovenPerAddressMax: most, handshakesPerAddressPerSecond: rate } =
      coapLimitsOfDoor
    const waiting: number[] = []
    for (let second = 0; second < 12; second++) {
      await flood(rate, (n) => [message1(rate * second + n), `${victim}:5683`])
      house.timers.advance(1_000)
      waiting.push(house.door.load.halfOpen)
    }
    assert.deepEqual(waiting.slice(0, 7), [10, 20, 30, 40, 50, 60, most])
    assert.deepEqual(new Set(waiting.slice(7)), new Set([most]))
    const last = parseMessage(required(house.net.sent.at(-1)).datagram)
    assert.notEqual(echoIn(last), undefined, 'it may show that it is there')
    assert.equal(await works(await house.device()), 2, 'no Echo is asked of another address')
  })

  it('of handshakes from an address that is real is bounded too, and its neighbours wait', async () => {
    const halfOpenPerAddressMax = 100
    house = await CoapHouse.create({
      limits: {
        halfOpenPerAddressMax,
        halfOpenMax: 300,
        halfOpenUnprovenMax: 50,
        provenHandshakesPerAddressBurst: 500,
        handshakes: { perSecond: 1, burst: 10_000 },
      },
    })
    const message1 = await strangerAt(house)
    for (let address = 1; address <= 4; address++) {
      const from = `203.0.113.${address}:5000`
      const echo = await echoFor(message1, from)
      await flood(400, (n) => [withEcho(message1(400 * address + n), echo), from])
      assert.ok(house.door.load.halfOpen <= halfOpenPerAddressMax * address)
    }
    assert.equal(house.door.load.halfOpen, 300)
    // Of those addresses that are proven the oldest goes: ours has a round trip's time.
    await works(await house.device())
    house.timers.advance(110_000)
    assert.equal(house.door.load.halfOpen, 0)
  })

  async function echoFor(
    message1: (n: number) => Uint8Array,
    from: string,
  ): Promise<CoapMessage['options'][number]> {
    for (let n = 50_000; ; n++) {
      const [answer] = await house.inject(message1(n), from)
      const echo = echoIn(parseMessage(required(answer)))
      if (echo !== undefined) return echo
    }
  }

  it('of handshakes from many real addresses leaves the process its time, and passes', async () => {
    const handshakes = { perSecond: 10, burst: 30 }
    house = await CoapHouse.create({ limits: { handshakes, handshakesPerAddressBurst: 0 } })
    const message1 = await strangerAt(house)
    let later = 0
    for (let host = 1; host <= 6; host++) {
      const from = `203.0.113.${host}:5000`
      const echo = await echoFor(message1, from)
      for (let n = 0; n < 15; n++) {
        const [answer] = await house.inject(withEcho(message1(100 * host + n), echo), from)
        if (parseMessage(required(answer)).code === coapCode.serviceUnavailable) later++
      }
    }
    assert.equal(house.door.load.halfOpen, handshakes.burst)
    assert.equal(later, 6 * 15 - handshakes.burst)
    house.timers.advance(1_000)
    assert.equal(await works(await house.device()), 3)
  })

  it('of handshakes from an address that has shown itself is asked to come later', async () => {
    house = await CoapHouse.create({
      limits: {
        handshakesPerAddressBurst: 0,
        provenHandshakesPerAddressBurst: 1,
        provenHandshakesPerAddressPerSecond: 0.1,
      },
    })
    const device = await house.device()
    assert.equal(await works(device), 3, 'with Echo')
    const error: unknown = await device.handshake().catch((reason: unknown) => reason)
    assert.ok(error instanceof Refused)
    assert.equal(codeText(error.response.code), '5.03')
    const maxAge = error.response.options.find(({ number }) => number === optionNumber.maxAge)
    assert.deepEqual(maxAge?.value, Uint8Array.of(10))
    house.timers.advance(10_000)
    await device.handshake()
  })

  it('from a thousand made-up addresses makes everybody show that it is there', async () => {
    const handshakes = { perSecond: 1, burst: 10_000 }
    house = await CoapHouse.create({ limits: { handshakes, unprovenHandshakes: handshakes } })
    const message1 = await strangerAt(house)
    const received = new Map<string, number>()
    await flood(6_000, (n) => {
      const datagram = message1(n)
      const from = `100.${64 + (n >> 14)}.${(n >> 6) & 0xff}.${n & 0x3f}:5683`
      received.set(from, (received.get(from) ?? 0) + datagram.length)
      return [datagram, from]
    })
    const { halfOpen } = house.door.load
    assert.ok(halfOpen >= coapLimitsOfDoor.halfOpenUnprovenMax, String(halfOpen))
    assert.ok(halfOpen <= coapLimitsOfDoor.halfOpenUnprovenMax + 200, String(halfOpen))
    for (const [from, bytes] of sentTo(house)) {
      assert.ok(bytes <= 3 * required(received.get(from)), `${from} got ${bytes} bytes`)
    }
    assert.equal(await works(await house.device()), 3, 'one round trip more, for Echo')
  })

  it('from made-up addresses leaves those that show they are there their part', async () => {
    house = await CoapHouse.create({
      limits: {
        handshakes: { perSecond: 10, burst: 30 },
        unprovenHandshakes: { perSecond: 1, burst: 20 },
      },
    })
    const message1 = await strangerAt(house)
    await flood(200, (n) => [message1(n), `100.64.1.${n}:5683`])
    assert.equal(house.door.load.halfOpen, 20)
    assert.equal(await works(await house.device()), 3, 'one round trip more, for Echo')
  })

  it('is never made larger by us: what a stranger gets is three times what it sent at most', async () => {
    house = await CoapHouse.create()
    const bare = {
      type: 'CON',
      token: new Uint8Array(),
      options: [],
      payload: new Uint8Array(),
    } as const
    const oscore = { number: optionNumber.oscore, value: Uint8Array.of(9, 1, 1, 2, 3) }
    const edhoc = { number: optionNumber.edhoc, value: new Uint8Array() }
    const messages: CoapMessage[] = []
    for (const code of [1, 2, 3, 4, 5, 31, 1, 2, 3, 4, 5, 31, 1, 2, 3]) {
      for (const options of [
        [],
        uriPath('m'),
        [oscore],
        [oscore, edhoc],
        [edhoc],
        uriPath('.well-known', 'edhoc'),
      ]) {
        for (const payload of [new Uint8Array(), Uint8Array.of(0xf5), Uint8Array.of(0x40, 1)]) {
          messages.push({ ...bare, code, messageId: messages.length, options, payload })
        }
      }
    }
    for (const [at, message] of messages.entries()) {
      const datagram = encodeMessage(message)
      const answers = await house.inject(datagram, `203.0.113.9:${at + 1}`)
      const bytes = answers.reduce((sum, { length }) => sum + length, 0)
      assert.ok(answers.length <= 1)
      assert.ok(bytes <= 3 * datagram.length, `${codeText(message.code)} ${at}: ${bytes} bytes`)
    }
    const { strangerAnswersPerAddress, handshakesPerAddressBurst } = coapLimitsOfDoor
    const most = strangerAnswersPerAddress.burst + handshakesPerAddressBurst
    assert.ok(house.net.sent.length <= most, 'one address, whatever its port')
    assert.ok(house.door.counters.dropped > 0)
  })

  it('is never made larger by a server that is slow', async () => {
    house = await CoapHouse.create()
    const { credentials } = house
    const gate = Promise.withResolvers<void>()
    const current = credentials.current.bind(credentials)
    // A token that signs for others just now.
    credentials.current = (kind) => {
      const own = current(kind)
      const signer = required(own.signer)
      const slow = async (message: Uint8Array): Promise<Uint8Array> => {
        await gate.promise
        return await signer.sign(message)
      }
      return { ...own, signer: { scheme: signer.scheme, spki: signer.spki, sign: slow } }
    }
    const message1 = await strangerAt(house)
    const from = `${victim}:53`
    house.net.deliver(message1(1), from)
    await house.rest()
    house.timers.advance(1_100)
    gate.resolve()
    await house.idle()
    for (let second = 0; second < 100; second++) house.timers.advance(1_000)
    const sent = house.sentTo({ address: from })
    const types = sent.map((datagram) => parseMessage(datagram).type)
    assert.deepEqual(types, ['ACK', 'NON'])
  })

  it('of rubbish is nothing: no memory, hardly an answer', async () => {
    house = await CoapHouse.create()
    let seed = 1
    const byte = (): number => (seed = (seed * 48_271) % 2_147_483_647) & 0xff
    await flood(20_000, (n) => {
      const datagram = Uint8Array.from({ length: n % 40 }, byte)
      return [datagram, `203.0.113.${n % 200}:${1 + (n % 1000)}`]
    })
    const { halfOpen, contexts, inFlight } = house.door.load
    assert.deepEqual({ halfOpen, contexts, inFlight }, { halfOpen: 0, contexts: 0, inFlight: 0 })
    assert.equal(await works(await house.device()), 2)
  })

  it('of names of contexts costs look-ups that are bounded, and no answers beyond the budget', async () => {
    house = await CoapHouse.create({ limits: { lookUpsInFlightMax: 16 } })
    for (let n = 0; n < 2000; n++) {
      const value = Uint8Array.of(9, 1, n >> 8, n & 0xff, 3)
      const datagram = encodeMessage({
        type: 'CON',
        code: coapCode.post,
        messageId: n,
        token: new Uint8Array(),
        options: [{ number: optionNumber.oscore, value }],
        payload: new Uint8Array(20),
      })
      house.net.deliver(datagram, `203.0.113.${n % 250}:1`)
    }
    await house.idle()
    assert.ok(house.door.counters.dropped >= 1900, String(house.door.counters.dropped))
    for (let minute = 0; minute < 3; minute++) house.timers.advance(60_000)
    const told = house.log.lines.filter(({ message }) => /strangers/.test(message))
    assert.equal(told.length, 1, 'the operator reads of it, once')
    assert.equal(told[0]?.fields['dropped'], house.door.counters.dropped)
    assert.equal(told[0]?.fields['answered'], house.door.counters.answered)
    assert.equal(house.door.load.contexts, 0)
  })
})

function sentTo({ net }: CoapHouse): Map<string, number> {
  const bytes = new Map<string, number>()
  for (const { to, datagram } of net.sent) bytes.set(to, (bytes.get(to) ?? 0) + datagram.length)
  return bytes
}

/** Exchanges that a handshake takes. */
async function works(device: NarrowDevice): Promise<number> {
  await device.handshake()
  return device.received.length
}
