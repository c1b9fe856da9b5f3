import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  blockOption,
  type CoapMessage,
  coapCode,
  codeText,
  optionNumber,
  readUint,
  uriPath,
  uriQuery,
  valuesOf,
} from '@countersign/core/coap'
import { CborReader, fromUtf8, utf8 } from '@countersign/core/codec'
import { innerMessage, type NarrowDevice, type Posted } from './device.ts'
import { CoapHouse } from './house.ts'

describe('a request under OSCORE', () => {
  let house: CoapHouse
  let device: NarrowDevice
  beforeEach(async () => {
    house = await CoapHouse.create()
    device = await house.device()
    await device.handshake()
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  async function events(): Promise<Record<string, unknown>[]> {
    const rows = await house.messages()
    return rows.map(({ body }) => JSON.parse(body) as Record<string, unknown>)
  }

  it('carries what its Content-Format says', async () => {
    const cases: readonly [Posted, Record<string, unknown>][] = [
      [
        { format: 0, body: 'warm' },
        { datacontenttype: 'text/plain; charset=utf-8', data: 'warm' },
      ],
      [
        { format: 50, body: '[1,2]' },
        { datacontenttype: 'application/json', data: [1, 2] },
      ],
      [{ format: 60, body: Uint8Array.of(0xa0) }, { data_base64: 'oA==' }],
      [{ format: 42, body: Uint8Array.of(0xff) }, { data_base64: '/w==' }],
    ]
    for (const [what] of cases) {
      assert.equal(codeText((await device.post('a/b', what)).code), '2.04')
    }
    const found = await events()
    assert.equal(found.length, cases.length)
    for (const [at, [, expected]] of cases.entries())
      assert.partialDeepStrictEqual(found[at], expected)
    const untyped = innerMessage({
      code: coapCode.post,
      options: uriPath('m', 'a'),
      payload: utf8('x'),
    })
    assert.equal(codeText((await device.exchange(untyped)).code), '2.04')
    assert.equal((await events()).at(-1)?.['datacontenttype'], 'application/octet-stream')
  })

  it('with the number of an earlier message is the same event, and is told so by success', async () => {
    for (let n = 0; n < 3; n++) {
      assert.equal(codeText((await device.post('a', { number: 41 })).code), '2.04')
    }
    await device.first('a', { number: 41 })
    assert.equal((await house.messages()).length, 1, 'also on another context')
    await device.post('a', { number: 42 })
    assert.equal((await house.messages()).length, 2)
  })

  it('gets the time when it asks', async () => {
    house.timers.advance(1_234)
    const { code, payload } = await device.exchange(
      innerMessage({
        code: coapCode.post,
        options: [...uriPath('m', 'a'), ...uriQuery('t')],
        payload: utf8('x'),
      }),
    )
    assert.equal(codeText(code), '2.04')
    const reader = new CborReader(payload, 'time')
    assert.equal(reader.int('time'), Math.floor(house.house.clock.now() / 1000))
  })

  it('larger than a datagram comes in blocks, up to 64 KiB', async () => {
    const body = 'x'.repeat(64 * 1024)
    assert.equal(codeText((await device.postInBlocks('a', { number: 1, body })).code), '2.04')
    assert.equal((await events()).at(-1)?.['data'], body)
    const more = await device.postInBlocks('a', { number: 2, body: `${body}x` })
    assert.equal(codeText(more.code), '4.13')
    assert.equal((await house.messages()).length, 1)
  })

  it('in blocks is one of a device at a time, whatever contexts it comes under', async () => {
    const started: number[] = []
    for (let n = 0; n < 5; n++) {
      if (n > 0) await device.handshake()
      const options = [blockOption('block1', { number: 0, more: true, szx: 5 })]
      const part = device.reading('a', { number: n, options, body: 'x'.repeat(512) })
      assert.equal(codeText((await device.exchange(part)).code), '2.31')
      started.push(house.door.load.blockBytes)
    }
    const [one = 0] = started
    assert.ok(one > 0)
    assert.deepEqual(started, [one, one, one, one, one])
    await house.house.registry.revoke(device.identity.row.id, 'keyCompromise')
    await house.idle()
    assert.equal(house.door.load.blockBytes, 0)
  })

  it('that cannot be taken is refused under OSCORE, by its code alone', async () => {
    const critical = { number: 65_001, value: new Uint8Array() }
    const cases: readonly [CoapMessage, string, string][] = [
      [posted(uriPath('x')), '4.04', ''],
      [posted([]), '4.04', ''],
      [posted(uriPath('.well-known', 'core')), '4.04', ''],
      [posted(uriPath('m', 'a'), coapCode.get), '4.05', ''],
      [posted([...uriPath('m', 'a'), critical]), '4.02', ''],
      [posted(uriPath('m')), '4.00', 'ERR_TOPIC'],
      [posted(uriPath('m', 'a b')), '4.00', 'ERR_TOPIC'],
      [
        posted([...uriPath('m'), { number: optionNumber.uriPath, value: utf8('..') }]),
        '4.00',
        'ERR_COAP_OPTION',
      ],
      [posted([...uriPath('m', 'a'), ...uriQuery('n=1', 'n=1')]), '4.00', 'ERR_COAP_QUERY'],
      [posted([...uriPath('m', 'a'), ...uriQuery('number=1')]), '4.00', 'ERR_COAP_QUERY'],
      [posted([...uriPath('m', 'a'), ...uriQuery('n=01')]), '4.00', 'ERR_MESSAGE_NUMBER'],
      [posted([...uriPath('m', 'a'), ...uriQuery('n')]), '4.00', 'ERR_MESSAGE_NUMBER'],
      [device.reading('a', { format: 50, body: '{' }), '4.00', 'ERR_MESSAGE_JSON'],
      [device.reading('a', { format: 64_999 }), '4.15', 'ERR_MESSAGE_TYPE'],
      [posted(uriPath('r')), '4.04', ''],
      [posted(uriPath('r', 'unknown')), '4.04', ''],
      [posted(uriPath('r', 'a'.repeat(32), 'refused', 'x')), '4.04', ''],
    ]
    for (const [request, code, problem] of cases) {
      const response = await device.exchange(request)
      const said = [codeText(response.code), fromUtf8(response.payload)]
      assert.deepEqual(said, [code, problem], JSON.stringify(request.options))
    }
    assert.deepEqual(await house.messages(), [])
    const told = (await house.refusals()).map(({ code, subject }) => [code, subject])
    const { id } = device.identity.row
    assert.deepEqual(
      told,
      cases.filter(([, , problem]) => problem !== '').map(([, , problem]) => [problem, id]),
    )
  })

  it('beyond the rate of its product waits as long as Max-Age says', async () => {
    await house.house.registry.setProduct('default', { messagesPerMinute: 2 })
    await house.idle()
    const [one, two, three] = [
      await device.post('a', { number: 1 }),
      await device.post('a', { number: 2 }),
      await device.post('a', { number: 3 }),
    ]
    assert.deepEqual(
      [one, two].map(({ code }) => codeText(code)),
      ['2.04', '2.04'],
    )
    assert.equal(codeText(three.code), '4.29')
    const seconds = maxAgeOf(three)
    assert.ok(seconds > 0 && seconds <= 30, String(seconds))
    house.timers.advance(seconds * 1000)
    assert.equal(codeText((await device.post('a', { number: 3 })).code), '2.04')
  })

  it('while too much is on its way to the store is asked to come later', async () => {
    const full = await CoapHouse.create({ limits: { messagesInFlightMax: 0 } })
    try {
      const response = await (await full.device()).first('a', { number: 1 })
      assert.equal(codeText(response.code), '5.03')
      assert.equal(maxAgeOf(response), 1)
      assert.deepEqual(await full.messages(), [])
    } finally {
      await full.close()
    }
  })
})

describe('requests of one device without end', () => {
  /** Of a product with five messages a minute: twice these, and four. */
  const most = 14
  let house: CoapHouse
  let device: NarrowDevice
  let messageId = 0
  beforeEach(async () => {
    house = await CoapHouse.create({ limits: { requestsPerDevice: { perSecond: 1, burst: 4 } } })
    await house.house.registry.setProduct('default', { messagesPerMinute: 5 })
    device = await house.device()
    assert.equal(codeText((await device.first('a', { number: 1 })).code), '2.04')
    house.timers.advance(60_000)
  })
  afterEach(async () => {
    assert.deepEqual(house.errors, [])
    await house.close()
  })

  async function answered(request: CoapMessage, count = 50): Promise<number> {
    let answers = 0
    for (let n = 0; n < count; n++) {
      const sent = await house.inject(device.datagram(request, ++messageId), device.address)
      answers += sent.length
    }
    return answers
  }

  const cases: readonly [string, CoapMessage][] = [
    ['that ask for the time', posted(uriQuery('t'))],
    ['that ask for nothing', posted(uriPath('x'))],
    ['that are messages', posted(uriPath('m', 'a'))],
  ]
  for (const [what, request] of cases) {
    it(`${what} are answered as often as it may ask, and those of others too`, async () => {
      assert.equal(await answered(request), most)
      const told = (await house.refusals()).filter(({ code }) => code === 'ERR_REQUEST_RATE')
      assert.deepEqual(
        told.map(({ subject }) => subject),
        [device.identity.row.id],
        'once',
      )
      assert.equal(house.door.counters.dropped, 0, 'no stranger sent any of them')
      const other = await house.device()
      assert.equal(codeText((await other.first('a', { number: 1 })).code), '2.04')
    })
  }

  it('that may not come in are answered as often, and told of as often', async () => {
    await house.house.registry.revoke(device.identity.row.id, 'keyCompromise')
    await house.idle()
    const before = (await house.refusals()).length
    assert.ok((await answered(posted(uriPath('m', 'a')))) <= most)
    assert.ok((await house.refusals()).length - before <= most)
  })

  it('are taken again later: what was dropped was not accepted', async () => {
    await answered(posted(uriQuery('t')))
    const datagram = device.datagram(device.reading('a', { number: 2 }), 9_000)
    assert.deepEqual(await house.inject(datagram, device.address), [])
    assert.equal((await house.messages()).length, 1)
    house.timers.advance(60_000)
    assert.equal((await house.inject(datagram, device.address)).length, 1)
    assert.equal((await house.messages()).length, 2)
  })
})

describe('a request without OSCORE', () => {
  let house: CoapHouse
  beforeEach(async () => {
    house = await CoapHouse.create()
  })
  afterEach(() => house.close())

  it('gets little, and nothing of it is stored', async () => {
    const device = await house.device()
    const ask = async (path: string[], code: number = coapCode.post): Promise<string> => {
      const options = uriPath(...path)
      return codeText((await device.ask({ code, options, payload: utf8('x') })).code)
    }
    assert.equal(await ask(['m', 'a']), '4.01')
    assert.equal(await ask(['r', 'a']), '4.01')
    assert.equal(await ask([]), '4.04')
    assert.equal(await ask(['.well-known', 'core'], coapCode.get), '4.04')
    assert.equal(await ask(['.well-known', 'edhoc'], coapCode.get), '4.05')
    assert.equal(await ask(['.well-known', 'edhoc', 'x']), '4.04')
    const critical = { number: 65_001, value: new Uint8Array() }
    const bad = { code: coapCode.post, options: [critical], payload: utf8('x') }
    assert.equal(codeText((await device.ask(bad)).code), '4.02')
    assert.deepEqual(await house.messages(), [])
    assert.deepEqual(house.errors, [])
  })
})

function maxAgeOf({ options }: CoapMessage): number {
  const [value] = valuesOf(options, optionNumber.maxAge)
  return value === undefined ? Number.NaN : readUint(value, 'Max-Age')
}

function posted(options: CoapMessage['options'], code: number = coapCode.post): CoapMessage {
  return innerMessage({ code, options, payload: utf8('{') })
}
