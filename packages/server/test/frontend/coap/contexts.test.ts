import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { combine, contextParameters } from '@countersign/core/channel'
import {
  type CoapMessage,
  type CoapOption,
  codeText,
  encodeMessage,
  parseMessage,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import { fromUtf8 } from '@countersign/core/codec'
import { deriveContext, protectRequest } from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type NarrowDevice, Refused, required } from './device.ts'
import { CoapHouse } from './house.ts'

/** What a device's first request may ask for, stored or not. */
const firstRequests: Readonly<Record<string, readonly CoapOption[]>> = {
  'a reading': [...uriPath('m', 'a'), ...uriQuery('n=2')],
  'a question': uriQuery('t'),
  'what is refused': uriPath('nowhere'),
}

describe('contexts of the coap door', () => {
  let house: CoapHouse
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  async function devices(count: number): Promise<NarrowDevice[]> {
    const all: NarrowDevice[] = []
    for (let n = 0; n < count; n++) all.push(await house.device())
    return all
  }

  it('are found in the store when memory holds others, with what they have accepted', async () => {
    house = await CoapHouse.create({ limits: { contextsInMemoryMax: 3 } })
    const all = await devices(8)
    for (const device of all) assert.equal(said(await device.first('a', { number: 0 })), '2.04 ')
    const frames: Uint8Array[] = []
    for (let round = 1; round <= 3; round++) {
      for (const device of all) {
        const frame = device.datagram(device.reading('a', { number: round }), round)
        frames.push(frame)
        await house.inject(frame, device.address)
        // Refused: the window alone remembers it.
        assert.equal(said(await device.post('a b', {})), '4.00 ERR_TOPIC')
        await house.idle()
        assert.ok(house.door.load.contexts <= 4, String(house.door.load.contexts))
      }
    }
    assert.equal((await house.messages()).length, 8 * 4)
    for (const [at, frame] of frames.entries()) {
      await house.inject(frame, `203.0.113.1:${at + 1}`)
      await house.idle()
    }
    assert.equal((await house.messages()).length, 8 * 4)
    assert.ok(house.door.load.contexts <= 4)
  })

  it('live until a new one of the device has carried a message', async () => {
    house = await CoapHouse.create()
    const device = await house.device()
    await device.first('a', { number: 1 })
    const old = required(device.context)
    const young = await device.handshake()
    device.use(old)
    assert.equal(said(await device.post('a', { number: 2 })), '2.04 ')
    device.use(young)
    assert.equal(said(await device.post('a', { number: 3 })), '2.04 ')
    device.use(old)
    const error = await refusedBy(device.post('a', { number: 4 }))
    assert.equal(said(error.response), '4.01 Security context not found')
    const rows = await house.rows()
    assert.equal(rows.length, 1)
    assert.equal(house.door.load.contexts, 1)
  })

  for (const [what, options] of Object.entries(firstRequests)) {
    it(`live on when an older handshake of the device comes late, with ${what}`, async () => {
      house = await CoapHouse.create()
      const device = await house.device()
      await device.first('a', { number: 1 })
      const { message3, next } = await device.begin()
      const older = deriveContext(nodeCrypto, contextParameters(next.session, 'initiator'))
      const reading = device.reading('a', { number: 2 })
      const late = protectRequest(older, { ...reading, options })
      // Its device has given it up: somebody on the path has it.
      await device.first('a', { number: 3 })
      const [answer, ...more] = await house.inject(
        encodeMessage({ ...combine(message3, late.message), messageId: 7 }),
        device.address,
      )
      assert.deepEqual(more, [])
      const refused = late.exchange.unprotectResponse(parseMessage(required(answer)))
      assert.equal(said(refused), '4.01 ERR_CONTEXT_ENDED')
      assert.equal(said(await device.post('a', { number: 4 })), '2.04 ')
      assert.equal((await house.messages()).length, 3)
      assert.equal((await house.rows()).length, 1)
      assert.equal(house.door.load.contexts, 1)
    })
  }

  it('are replaced by one of a later life of the server', async () => {
    house = await CoapHouse.create()
    const device = await house.device()
    for (let n = 0; n < 3; n++) await device.first('a', { number: n })
    const before = required((await house.rows())[0]).begun
    await house.restart('cleanly')
    await device.first('a', { number: 3 })
    assert.ok(required((await house.rows())[0]).begun > before)
  })

  it('of one device, made at once, end as one', async () => {
    house = await CoapHouse.create()
    const { identity } = await house.device()
    const all = [1, 2, 3].map((number) => ({ number, device: house.narrow(identity) }))
    const answers = await Promise.all(
      all.map(({ number, device }) => device.first('a', { number }).then(said)),
    )
    for (const answer of answers) assert.match(answer, /^(2\.04 |4\.01 ERR_CONTEXT_ENDED)$/)
    const taken = answers.filter((answer) => answer === '2.04 ').length
    assert.equal((await house.messages()).length, taken)
    const rows = await house.rows()
    assert.equal(rows.length, 1)
    const works = await Promise.all(
      all.map(({ device, number }) =>
        device.post('a', { number: number + 10 }).then(said, () => 'gone'),
      ),
    )
    assert.deepEqual(works.toSorted(), ['2.04 ', 'gone', 'gone'])
  })

  it('that carry nothing are forgotten, and one device keeps a few of them', async () => {
    house = await CoapHouse.create()
    const device = await house.device()
    for (let n = 0; n < 9; n++) await device.handshake()
    assert.equal(house.door.load.contexts, 4)
    house.timers.advance(700_000)
    await house.idle()
    assert.equal(house.door.load.contexts, 0)
    await refusedBy(device.post('a', { number: 1 }))
  })

  it('take many requests at once, each once, and write a window that knows them all', async () => {
    house = await CoapHouse.create()
    const device = await house.device()
    await device.first('a', { number: 0 })
    const frames = Array.from({ length: 30 }, (_, n) =>
      device.datagram(device.reading('a', { number: n + 1 }), n + 1),
    )
    for (const frame of frames) house.net.deliver(frame, device.address)
    await house.idle()
    assert.equal((await house.messages()).length, 31)
    // As the row says it: whatever the process held in memory is gone.
    await house.restart('cleanly')
    const [row] = await house.rows()
    assert.partialDeepStrictEqual(row, { highest: 30, accepted: 0x7fff_ffff })
    for (const [at, frame] of frames.entries()) {
      await house.inject(frame, `203.0.113.1:${at + 1}`)
    }
    assert.equal((await house.messages()).length, 31)
  })

  it('do not write an older window over a newer one, however the answers come', async () => {
    house = await CoapHouse.create()
    const device = await house.device()
    await device.first('a', { number: 0 })
    for (let round = 0; round < 5; round++) {
      const numbers = Array.from({ length: 6 }, (_, n) => round * 6 + n + 1)
      await Promise.all(numbers.map((number) => device.post('a', { number })))
      const [row] = await house.rows()
      assert.equal(required(row).highest, (round + 1) * 6)
      assert.equal(required(row).life, 1)
    }
  })

  it('follow the device to where its newest message came from', async () => {
    house = await CoapHouse.create()
    const device = await house.device()
    await device.first('a', { number: 0 })
    const late = device.datagram(device.reading('a', { number: 1 }), 77)
    device.moveTo('198.51.100.4:4000')
    await device.post('a', { number: 2 })
    assert.equal((await house.rows())[0]?.peerAddress, '198.51.100.4:4000')
    await house.inject(late, '192.0.2.200:1')
    assert.equal((await house.rows())[0]?.peerAddress, '198.51.100.4:4000')
    assert.equal((await house.messages()).length, 3)
  })
})

function said({ code, payload }: CoapMessage): string {
  return `${codeText(code)} ${fromUtf8(payload)}`
}

async function refusedBy(attempt: Promise<unknown>): Promise<Refused> {
  const error: unknown = await attempt.catch((reason: unknown) => reason)
  assert.ok(error instanceof Refused, String(error))
  return error
}
