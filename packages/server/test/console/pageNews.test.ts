import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { cloudEvent, jsonData } from '../../src/cloudEvent.ts'
import { deviceId } from '../application/house.ts'
import { PageHouse } from './pageHouse.ts'

type Fact = Readonly<Record<string, unknown>>
const facts = (value: unknown): readonly Fact[] => value as readonly Fact[]

describe('what the page is told', () => {
  let house: PageHouse
  let cookie: string
  beforeEach(async () => {
    house = await PageHouse.create()
    cookie = await house.enter()
  })
  afterEach(() => house.dispose())

  async function say(data: Parameters<typeof cloudEvent>[1], source = deviceId): Promise<number> {
    const { store, notices, clock } = house.house
    const id = String(Math.random())
    const head = { id, source, type: 'countersign.message', time: clock.now() } as const
    const draft = cloudEvent({ ...head, subject: 'room', road: 'https', assurance: 0 }, data)
    const { messageSeqs } = await store.apply({ messages: [draft] })
    const seq = messageSeqs[0] ?? 0
    notices.tell({ kind: 'messages', throughSeq: seq })
    return seq
  }

  it('a house without anything is an empty page', async () => {
    const snapshot = await house.document('/page/snapshot', cookie)
    assert.partialDeepStrictEqual(snapshot, { seq: 0, counts: {}, messages: [], refusals: [] })
    assert.deepEqual(await house.document('/page/devices', cookie), { devices: [], next: null })
  })

  it('devices come page by page, by state, and by name', async () => {
    await house.addDevices(120, (n) => (n % 10 === 0 ? { state: 'suspended' } : {}))
    const seen: unknown[] = []
    let path = '/page/devices'
    for (let pages = 0; pages < 3; pages++) {
      const { devices, next } = await house.document(path, cookie)
      seen.push(...facts(devices).map(({ serial }) => serial))
      path = `/page/devices?after=${String(next)}`
      assert.equal(facts(devices).length, pages < 2 ? 50 : 20)
      assert.equal(next === null, pages === 2)
    }
    assert.equal(new Set(seen).size, 120)
    const suspended = await house.document('/page/devices?state=suspended', cookie)
    assert.equal(facts(suspended['devices']).length, 12)
    assert.equal(suspended['next'], null)
    for (const name of ['SN-77', '020000000000004d', 'urn:dev:mac:020000000000004d']) {
      const found = await house.document(`/page/devices?find=${name}`, cookie)
      assert.deepEqual(
        facts(found['devices']).map(({ serial }) => serial),
        ['SN-77'],
        name,
      )
    }
    const none = await house.document('/page/devices?find=nobody', cookie)
    assert.deepEqual(none, { devices: [], next: null })
    const { counts } = await house.document('/page/snapshot', cookie)
    assert.deepEqual(counts, { enrolled: 108, suspended: 12 })
  })

  for (const query of [
    'devices?state=broken',
    'devices?find=',
    `devices?find=${'x'.repeat(129)}`,
    'devices?after=1',
    'devices?limit=100000',
    'device',
    'device?id=SN-1',
    'stream',
    'stream?after=-1',
    'stream?after=1e3',
  ])
    it(`refuses ${query.slice(0, 40)}`, async () => {
      assert.equal((await house.ask(`/page/${query}`, { headers: { cookie } })).status, 400)
    })

  it('a device is told in full, with the reason and what to do', async () => {
    const [row] = await house.addDevices(1, () => ({ state: 'suspended', reason: 'in repair' }))
    await house.refuse({ device: row?.id ?? '' })
    await say(jsonData({ n: 1 }), row?.id)
    const { device, why } = await house.document(`/page/device?id=${row?.id}`, cookie)
    assert.partialDeepStrictEqual(device, {
      serial: 'SN-1',
      reason: 'in repair',
      last: { topic: 'room', data: '{"n":1}' },
    })
    assert.partialDeepStrictEqual(why, {
      verdict: 'It is not let in: the device is suspended (in repair).',
      refusals: [{ code: 'ERR_DEVICE_SUSPENDED' }],
    })
    const other = await house.ask('/page/device?id=urn:dev:mac:0000000000000000', {
      headers: { cookie },
    })
    assert.equal(other.status, 404)
  })

  it('whoever is turned away again and again is told once, with a count', async () => {
    const [row] = await house.addDevices(1, () => ({ state: 'suspended' }))
    const device = row?.id ?? ''
    await house.refuse({ code: 'ERR_TOKEN_UNKNOWN' })
    for (let n = 1; n <= 3; n++) await house.refuse({ device, message: `attempt ${n}` })
    await house.refuse()
    await house.refuse({ device, message: 'attempt 4' })
    const { refusals } = await house.document('/page/snapshot', cookie)
    assert.deepEqual(
      facts(refusals).map((group) => [group['device'], group['code'], group['count']]),
      [
        [device, 'ERR_DEVICE_SUSPENDED', 4],
        [null, 'ERR_DEVICE_SUSPENDED', 1],
        [null, 'ERR_TOKEN_UNKNOWN', 1],
      ],
    )
    assert.partialDeepStrictEqual(facts(refusals)[0], {
      message: 'attempt 4',
      remedy: 'Let it in again with "countersign identity resume", if the reason is gone.',
    })
  })

  it('the newest of everything is there, bounded, the newest first', async () => {
    for (let n = 1; n <= 70; n++) await say(jsonData({ n }))
    for (let n = 1; n <= 5; n++) {
      const code = `ERR_${n}`
      await house.refuse({ code, message: `attempt ${n}` })
    }
    const { messages, refusals, seq } = await house.document('/page/snapshot', cookie)
    assert.equal(seq, 75)
    assert.deepEqual(
      facts(messages).map(({ data }) => data),
      Array.from({ length: 50 }, (_, n) => `{"n":${70 - n}}`),
    )
    assert.deepEqual(
      facts(refusals).map(({ message }) => message),
      [5, 4, 3, 2, 1].map((n) => `attempt ${n}`),
    )
    assert.partialDeepStrictEqual(facts(refusals)[0], {
      device: null,
      address: '192.0.2.9',
      road: 'https',
      where: 'device: state',
      count: 1,
    })
    await say(jsonData({ n: 71 }))
    const next = await house.document('/page/snapshot', cookie)
    assert.equal(facts(next['messages'])[0]?.['data'], '{"n":71}')
  })

  it('messages that were all forgotten are no reason to begin anew for ever', async () => {
    for (let n = 1; n <= 600; n++) await say(jsonData({ n }))
    await house.house.store.trimMessages(600)
    const { seq, messages } = await house.document('/page/snapshot', cookie)
    assert.deepEqual([seq, messages], [600, []])
    const reader = house.stream(cookie, Number(seq))
    await reader.opened
    await say(jsonData({ n: 601 }))
    await reader.seen(1)
    assert.doesNotMatch(reader.body, /reset/)
  })

  it('data are shown as they were sent, and no more of them than a line', async () => {
    const long = 'é\n'.repeat(40_000)
    const base = { contentType: 'application/octet-stream', bytes: new Uint8Array(1001) }
    await say({ kind: 'json', contentType: 'application/json', text: '{"big":9007199254740993}' })
    await say({ kind: 'text', contentType: 'text/plain; charset=utf-8', text: 'say "hi"\u202e' })
    await say({ kind: 'text', contentType: 'text/plain', text: long })
    await say({ kind: 'text', contentType: 'text/plain', text: `${'x'.repeat(158)}\ud83d\ude00x` })
    await say({ kind: 'binary', ...base })
    await say(undefined)
    const { messages } = await house.document('/page/snapshot', cookie)
    const shown = facts(messages).map(({ data }) => String(data))
    assert.deepEqual(shown.slice(4), ['say "hi"\u202e', '{"big":9007199254740993}'])
    assert.deepEqual(shown.slice(0, 2), ['', '1001 bytes'])
    assert.equal(shown[2]?.length, 160)
    assert.ok(shown[2]?.isWellFormed())
    assert.match(shown[3] ?? '', /^(é ){79}é…$/)
  })

  it('the stream says what comes after the snapshot, and only what the page needs', async () => {
    await say(jsonData({ n: 1 }))
    const { seq } = await house.document('/page/snapshot', cookie)
    const reader = house.stream(cookie, Number(seq))
    await reader.opened
    await say(jsonData({ n: 2 }))
    await house.refuse()
    const { store, notices, clock } = house.house
    const test = { id: 't', source: '/countersign', type: 'countersign.test', time: clock.now() }
    const draft = cloudEvent({ ...test, type: 'countersign.test' }, jsonData({}))
    const { messageSeqs } = await store.apply({ messages: [draft] })
    notices.tell({ kind: 'messages', throughSeq: messageSeqs[0] ?? 0 })
    await house.addDevices(1)
    await house.registry.suspend(deviceId, 'in repair')
    await reader.seen(3)
    assert.deepEqual(
      reader.events.map(({ event }) => event['event']),
      ['message', 'refusal', 'device'],
    )
    const [message, refusal, device] = reader.events.map(({ event }) => event)
    assert.deepEqual(Object.keys(message ?? {}), [
      'event',
      'device',
      'time',
      'topic',
      'road',
      'data',
    ])
    assert.partialDeepStrictEqual(refusal, { code: 'ERR_DEVICE_SUSPENDED', device: null })
    assert.partialDeepStrictEqual(device, { state: 'suspended', reason: 'in repair' })
  })

  it('a page that was away for long is told to begin anew, a short absence is made up', async () => {
    for (let n = 1; n <= 510; n++) await say(jsonData({ n }))
    const late = house.stream(cookie, 5)
    await late.until(() => late.body.includes('event: reset'))
    await say(jsonData({ n: 511 }))
    await late.seen(1)
    assert.deepEqual(
      late.events.map(({ id }) => id),
      [511],
    )
    const short = house.stream(cookie, 0, { 'last-event-id': '505' })
    await short.seen(6)
    assert.doesNotMatch(short.body, /reset/)
  })

  it('a session opens only so many streams, and none takes those of applications', async () => {
    const most = house.house.limits.streamsPerApplicationMax
    for (let n = 0; n < most; n++) await house.stream(cookie).opened
    const late = house.stream(cookie)
    await late.ended
    assert.equal(late.status, 429)
    const other = house.stream(await house.enter())
    await other.opened
    assert.equal(other.status, 200)
  })

  it('a page that takes nothing is dropped as other readers are', async () => {
    const { timers, log, limits, store, clock } = house.house
    const socket = connect(house.port, '127.0.0.1')
    socket.on('error', () => undefined)
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.pause()
    const head = `Host: localhost:${house.port}\r\nCookie: ${cookie}\r\n\r\n`
    socket.write(`GET /page/stream?after=0 HTTP/1.1\r\n${head}`)
    let seq = 0
    while (!log.lines.some(({ message }) => message.includes('takes nothing'))) {
      const messages = Array.from({ length: 400 }, () => {
        const id = String(++seq)
        const one = { id, source: deviceId, time: clock.now(), subject: 'x'.repeat(300) }
        return cloudEvent({ ...one, type: 'countersign.message' }, jsonData('y'.repeat(150)))
      })
      await store.apply({ messages })
      house.house.notices.tell({ kind: 'messages', throughSeq: seq })
      timers.advance(limits.heartbeatMs)
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.resume()
    await gone
  })
})
