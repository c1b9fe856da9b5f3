/** An endpoint among strangers: bits that changed, floods, a link that loses, doubles and reorders. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CoapEndpoint, type CoapMessage, encodeMessage } from '../../src/coap/index.ts'
import { fromHex, fromUtf8, hex } from '../../src/codec/index.ts'
import type { Random } from '../../src/ports.ts'
import { flips } from '../cose/examples.ts'
import { content, desk, drawn, get, HandTime, nothing, peer, seeded } from './world.ts'

const request = '44017d3420212223b161'
const response = '64457d3420212223ff6f6e65'
const separate = '4445aaaa20212223ff6f6e65'

/** Stands for the tag of OSCORE: it binds the code and the payload to the request. */
function isTrue({ code, payload }: CoapMessage): boolean {
  return code === 0x45 && hex(payload) === '6f6e65'
}

test('a response with a bit changed is never taken, and the true one is', async () => {
  for (const truth of [response, separate]) {
    const forgeries = flips(fromHex(truth))
    for (const forged of forgeries) {
      const random = drawn('000000002021222300007d3400000000')
      const { endpoint, hears, time, served } = desk({ random })
      const judged: string[] = []
      const accept = (message: CoapMessage): boolean => {
        judged.push(hex(encodeMessage(message)))
        return isTrue(message)
      }
      const asked = endpoint.request(get('a'), peer, { accept })
      hears(hex(forged))
      // It may have become a request.
      served[0]?.respond(undefined)
      // Only the type and the Message ID of a separate response are bound to nothing.
      if (judged.length === 0 || !isSame(forged, truth)) {
        time.advance(1000)
        assert.equal(endpoint.load.requests, 1, hex(forged))
        hears(truth)
      }
      assert.ok(isSame(encodeMessage(await asked), truth))
      assert.equal(time.armed, 0)
    }
  }
})

/** But for what a message layer may change: a type that carries responses, the Message ID. */
function isSame(bytes: Uint8Array, truth: string): boolean {
  return hex(bytes).slice(2, 4) + hex(bytes).slice(8) === truth.slice(2, 4) + truth.slice(8)
}

test('a request with a bit changed, or cut, is served, rejected or ignored, and none throws', () => {
  const bytes = fromHex(request)
  const cuts = Array.from({ length: bytes.length }, (_, length) => bytes.subarray(0, length))
  for (const datagram of [...flips(bytes), ...cuts]) {
    const { endpoint, hears, says, served, time } = desk({ limits: { resetsPerPeerMax: 1 } })
    hears(hex(datagram))
    assert.ok(served.length + says().length <= 1, hex(datagram))
    served[0]?.respond(content('x'))
    time.advance(500_000)
    assert.deepEqual([time.armed, endpoint.load.serving], [0, 0])
  }
})

test('a flood fills no more memory than there may be, whatever it is answered', () => {
  const limits = { exchangesMax: 100, exchangeBytesMax: 20_000, servingMax: 50, resetsMax: 10 }
  for (const answer of ['success', 'refusal', 'ignored', 'nothing'] as const) {
    const { endpoint, served, time, says } = desk({ limits })
    for (let count = 0; count < 5000; count++) {
      const payload = Uint8Array.of(count >> 8, count & 0xff)
      endpoint.receive(datagramOf(count, payload), `peer ${count % 700}`)
      const respond = answer === 'nothing' ? undefined : served.pop()?.respond
      if (answer === 'ignored') respond?.(undefined)
      else respond?.({ ...content('answer'), code: answer === 'success' ? 0x45 : 0x81 })
      served.length = 0
      if (count % 100 === 0) says()
    }
    const { exchanges, exchangeBytes, serving } = endpoint.load
    assert.ok(exchanges <= 200 && exchangeBytes <= 40_000 && serving <= 50, answer)
    assert.ok(time.armed <= 50)
  }
})

function datagramOf(messageId: number, payload: Uint8Array): Uint8Array {
  const head = { type: 'CON', code: 2, token: nothing, options: [] } as const
  return encodeMessage({ ...head, messageId: messageId & 0xffff, payload })
}

test('a flood of what is refused does not make an endpoint serve again what it has served', () => {
  const limits = { exchangesMax: 100 }
  const { endpoint, served, hears, says } = desk({ limits })
  hears(request)
  served.pop()?.respond(content('one'))
  for (let count = 0; count < 1000; count++) {
    endpoint.receive(datagramOf(count, Uint8Array.of(1)), 'stranger')
    served.pop()?.respond({ code: 0x81, options: [], payload: nothing })
  }
  says()
  hears(request)
  assert.deepEqual([says(), served.length], [[response], 0])
})

interface Party {
  readonly endpoint: CoapEndpoint
  readonly name: string
}

/** Each datagram is lost, or arrives once or twice, in any order. */
class BadLink {
  readonly #time: HandTime
  readonly #random: Random
  readonly #parties: Map<string, CoapEndpoint> = new Map()

  constructor(time: HandTime, random: Random) {
    this.#time = time
    this.#random = random
  }

  join(name: string, serve: (text: string) => number): Party {
    const endpoint = new CoapEndpoint({
      clock: this.#time,
      timers: this.#time,
      random: this.#random,
      send: (datagram, to) => this.#carry(datagram, name, to),
      serve: ({ payload }, from, respond) => {
        const text = `${from} ${fromUtf8(payload)}`
        this.#time.after(serve(text), () => respond(content(text)))
      },
    })
    this.#parties.set(name, endpoint)
    return { endpoint, name }
  }

  #carry(datagram: Uint8Array, from: string, to: string): void {
    for (let copies = 0; copies < 2; copies++) {
      const [dice = 0, delay = 0] = this.#random.bytes(2)
      if (dice < 100) continue
      this.#time.after(delay * 4, () => this.#parties.get(to)?.receive(datagram, from))
    }
  }
}

test('over a bad link each request is served at most once and gets its own answer', async () => {
  let [answered, served] = [0, 0]
  for (let seed = 1; seed <= 40; seed++) {
    const time = new HandTime()
    const link = new BadLink(time, seeded(seed))
    const counts = new Map<string, number>()
    const serve = (text: string): number => {
      counts.set(text, (counts.get(text) ?? 0) + 1)
      // At once, in time, and after an acknowledgement of its own.
      return [0, 500, 3000][counts.size % 3] ?? 0
    }
    const [one, other] = [link.join('one', serve), link.join('other', serve)]
    const talks = [
      [one, other],
      [other, one],
    ].flatMap(([from, to]) =>
      Array.from({ length: 10 }, async (_, index): Promise<number> => {
        const payload = Uint8Array.of(0x30 + index)
        const asked = from?.endpoint.request({ code: 2, options: [], payload }, to?.name ?? '')
        const answer = await asked?.catch(() => undefined)
        if (answer === undefined) return 0
        assert.equal(fromUtf8(answer.payload), `${from?.name} ${index}`, `seed ${seed}`)
        return 1
      }),
    )
    // Whoever got an answer asks on in a turn of its own.
    for (let seconds = 0; seconds < 3000; seconds++) {
      time.advance(1000)
      await Promise.resolve()
    }
    answered += (await Promise.all(talks)).reduce((sum, count) => sum + count, 0)
    served += counts.size
    assert.deepEqual([...new Set(counts.values())], [1], `seed ${seed}`)
    assert.deepEqual(
      [time.armed, one.endpoint.load.serving, other.endpoint.load.serving],
      [0, 0, 0],
    )
  }
  // 39 % of the copies are lost, each datagram has two: one in seven is.
  assert.ok(answered > 760 && served >= answered, `${answered} of 800 answered, ${served} served`)
})
