import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { addressKey, isLoopback, urlHost } from '../../src/address.ts'
import { cloudEvent, readStored } from '../../src/cloudEvent.ts'
import { AddressCounts } from '../../src/frontend/address.ts'
import { jsonDepthMax, parseMediaType, payload, untypedPayload } from '../../src/payload.ts'
import { TokenBuckets } from '../../src/rates.ts'
import { ManualClock } from '../support/world.ts'

describe('an address is counted', () => {
  for (const [address, key] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.33', '64:ff9b:0:0::/64'],
    [undefined, 'unknown'],
  ] as const)
    it(`${address} as ${key}`, () => assert.equal(addressKey(address), key))

  it('until its last connection has gone', () => {
    const counts = new AddressCounts()
    counts.add('a')
    counts.add('a')
    counts.remove('a')
    assert.equal(counts.count('a'), 1)
    counts.remove('a')
    assert.equal(counts.count('a'), 0)
  })
})

describe('a host', () => {
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1'])
    it(`${host} is this machine`, () => assert.equal(isLoopback(host), true))

  for (const host of [
    '0.0.0.0',
    '::',
    '192.0.2.1',
    '128.0.0.1',
    'localhost.example',
    '127.example',
  ])
    it(`${host} is not`, () => assert.equal(isLoopback(host), false))

  it('is called by a name that others can use when it listens beyond this machine', () => {
    const hosts = ['localhost', 'iot.example.com', '127.0.0.1']
    assert.equal(urlHost('127.0.0.1', hosts), 'localhost')
    assert.equal(urlHost('0.0.0.0', hosts), 'iot.example.com')
    assert.equal(urlHost('192.0.2.1', ['localhost']), '192.0.2.1')
    assert.equal(urlHost('::', ['2001:db8::1']), '[2001:db8::1]')
  })
})

describe('a rate', () => {
  const rate = { perSecond: 2, burst: 3 }

  it('allows a burst, then what refills, and says how long to wait', () => {
    const clock = new ManualClock(0)
    const buckets = new TokenBuckets(clock, 10)
    assert.deepEqual(
      [1, 2, 3].map(() => buckets.take('a', rate)),
      [0, 0, 0],
    )
    assert.equal(buckets.take('a', rate), 500)
    assert.equal(buckets.take('b', rate), 0)
    clock.time = 500
    assert.equal(buckets.take('a', rate), 0)
    assert.equal(buckets.take('a', rate), 500)
  })

  it('is not frozen by a clock that is set back', () => {
    const clock = new ManualClock(1_000_000)
    const buckets = new TokenBuckets(clock, 10)
    for (let n = 0; n < 3; n++) buckets.take('a', rate)
    clock.time = 0
    assert.equal(buckets.take('a', rate), 500)
    clock.time = 500
    assert.equal(buckets.take('a', rate), 0)
  })

  it('of zero never allows anything', () => {
    const buckets = new TokenBuckets(new ManualClock(), 10)
    assert.equal(buckets.take('a', { perSecond: 0, burst: 0 }), Number.POSITIVE_INFINITY)
  })

  it('is remembered for so many names only, the longest unused forgotten first', () => {
    const buckets = new TokenBuckets(new ManualClock(), 2)
    const one = { perSecond: 1, burst: 1 }
    buckets.take('a', one)
    buckets.take('b', one)
    assert.ok(buckets.take('a', one) > 0)
    buckets.take('c', one) // forgets b
    assert.ok(buckets.take('a', one) > 0)
    assert.equal(buckets.take('b', one), 0)
  })
})

describe('a body becomes event data', () => {
  const base = {
    specversion: '1.0',
    id: '1',
    source: 's',
    type: 'countersign.message',
    time: '1970-01-01T00:00:00.000Z',
  }

  for (const [type, bytes, member] of [
    ['application/json', '{\r\n"a":\n1}', { data: { a: 1 } }],
    ['application/vnd.x+json; v=1', '"\\n"', { data: '\n' }],
    ['text/plain', 'grüß\n"dich"', { data: 'grüß\n"dich"' }],
    ['text/plain; charset=UTF-8', 'x', { data: 'x' }],
    ['text/plain; charset=latin1', 'x', { data_base64: 'eA==' }],
    ['text/plain', Uint8Array.of(0xff), { data_base64: '/w==' }],
    ['application/cbor', Uint8Array.of(0xa0), { data_base64: 'oA==' }],
    ['application/octet-stream', '', { data_base64: '' }],
  ] as const)
    it(`of ${type} as ${JSON.stringify(member)}`, () => {
      assert.deepEqual(data(type, bytes), { ...base, datacontenttype: type, ...member })
    })

  it('of no type as octets', () => {
    assert.deepEqual(data(undefined, 'x'), {
      ...base,
      datacontenttype: 'application/octet-stream',
      data_base64: 'eA==',
    })
  })

  it('that cannot reach beyond it, whatever it says', () => {
    const odd =
      '{"a":1,"a":2,"__proto__":{"source":"x"},"n":1e999,"s":"\u2028\u2029\u0085\\ud800","":[]}'
    const { body } = cloudEvent(
      { id: '1', source: 's', type: 'countersign.message', time: 0 },
      payload(parseMediaType('application/json; x="},\\"'), Buffer.from(odd)),
    )
    assert.ok(body.endsWith(`,"data":${odd}}`))
    const { data: inside, ...outside } = JSON.parse(body) as Record<string, unknown>
    assert.deepEqual(outside, { ...base, datacontenttype: 'application/json; x="},\\"' })
    assert.deepEqual(inside, JSON.parse(odd))
    for (const text of ['1},"source":"x"', '1,"source":"x"', '{}{}', '', ' ', '\ufeff{}', 'NaN'])
      assert.throws(() => data('application/json', text), { code: 'ERR_MESSAGE_JSON' })
    assert.throws(() => parseMediaType('application/json; a=\u0000'), { code: 'ERR_MESSAGE_TYPE' })
  })

  it('nested no deeper than every application can read', () => {
    data('application/json', nested(jsonDepthMax))
    // Brackets in a string nest nothing, and neither does width.
    data('application/json', nested(jsonDepthMax, JSON.stringify(`${'[{'.repeat(99)}"\\`)))
    data('application/json', `[${'[],{},'.repeat(999)}0]`)
    for (const text of [
      nested(jsonDepthMax + 1),
      nested(30_000),
      `${'{"a":'.repeat(jsonDepthMax + 1)}0${'}'.repeat(jsonDepthMax + 1)}`,
    ])
      assert.throws(() => data('application/json', text), {
        code: 'ERR_MESSAGE_JSON',
        message: /nested/,
      })
  })

  it('as it was written, and back: to the byte, whatever it holds', () => {
    const attributes = { id: '1', source: 's', type: 'countersign.message', time: 0 } as const
    const kept: readonly (readonly [string | undefined, string | Buffer])[] = [
      ['application/json', '{\n"n": 12345678901234567890.10\r}'],
      ['application/senml+json', '[{"data":1,"data_base64":"x"}]'],
      ['text/plain', 'a "quoted", "data":\u2028 line\r\n'],
      [undefined, Buffer.of(0, 1, 254, 255)],
      [undefined, ''],
      // What stands before the data cannot be taken for it.
      [undefined, ',"data":1}'],
    ]
    for (const [type, bytes] of kept) {
      const body = Buffer.from(bytes)
      const event = cloudEvent(
        { ...attributes, subject: 'x,"data":y' },
        payload(parseMediaType(type), body),
      )
      const { payload: got, attributes: read } = readStored(event.body)
      assert.deepEqual(got, body)
      assert.equal(read['subject'], 'x,"data":y')
    }
    assert.equal(readStored(cloudEvent(attributes).body).payload, undefined)
  })

  it('of an unnamed type is found out', () => {
    assert.equal(found('{"celsius":21.5}'), 'json')
    assert.equal(found('21.5'), 'json')
    assert.equal(found('hot'), 'text')
    assert.equal(found(''), 'text')
    assert.equal(found(nested(jsonDepthMax + 1)), 'text')
    assert.equal(found(Buffer.of(0xc3, 0x28)), 'binary')
  })
})

function found(bytes: string | Buffer): string {
  return untypedPayload(Buffer.from(bytes)).kind
}

function nested(depth: number, inside = ''): string {
  return `${'['.repeat(depth)}${inside}${']'.repeat(depth)}`
}

/** The event as an application parses it. */
function data(type: string | undefined, bytes: string | Uint8Array): unknown {
  const attributes = { id: '1', source: 's', type: 'countersign.message', time: 0 } as const
  return JSON.parse(cloudEvent(attributes, payload(parseMediaType(type), Buffer.from(bytes))).body)
}
