import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import { commandBody, commandDocument } from '../../src/commandDocument.ts'
import type { CommandAnswer } from '../../src/ports.ts'
import { CommandsHouse, hour, one, two } from './house.ts'

const ok: CommandAnswer = {
  state: 'answered',
  contentType: 'application/json',
  body: Buffer.from('{"celsius":12345678901234567890}'),
}
const refusal: CommandAnswer = {
  state: 'refused',
  contentType: 'text/plain',
  body: Buffer.from('  the valve\r\nis \u001b[31mstuck\u202e '),
}
const unknown = '0'.repeat(32)

describe('commands', () => {
  let house: CommandsHouse
  beforeEach(async () => {
    house = await CommandsHouse.create({ queuedPerDeviceMax: 3 })
  })
  afterEach(async () => {
    assert.deepEqual(house.failures, [])
    await house.dispose()
  })

  it('wait for their device, oldest first, until it has them', async () => {
    const first = await house.queue('a')
    const second = await house.queue('b')
    await house.queue('other', { device: two })
    assert.match(first.id, /^[0-9a-f]{32}$/)
    assert.equal(first.id.slice(0, 12), house.clock.now().toString(16).padStart(12, '0'))
    assert.deepEqual(await house.waiting(), ['a', 'b'])
    assert.deepEqual(
      (await house.commands.waiting(one, 1)).map(({ id }) => id),
      [first.id],
    )
    assert.equal(await house.commands.delivered(one, first.id), true)
    assert.deepEqual(await house.waiting(), ['b'])
    assert.equal(await house.state(first.id), 'delivered')
    assert.equal(await house.commands.answered(one, first.id, ok), true)
    assert.equal(await house.state(first.id), 'answered')
    const list = await house.commands.list(one, { limit: 10 })
    assert.deepEqual(
      list.map(({ name }) => name),
      ['b', 'a'],
    )
    const before = { limit: 10, before: second.id }
    assert.deepEqual(
      (await house.commands.list(one, before)).map(({ name }) => name),
      ['a'],
    )
  })

  it('keep their order within one millisecond and after a clock that was set back', async () => {
    const ids = [(await house.queue('a')).id, (await house.queue('b')).id]
    house.clock.time -= 5 * hour
    ids.push((await house.queue('c')).id)
    assert.deepEqual(ids.toSorted(), ids)
    assert.deepEqual(await house.waiting(), ['a', 'b', 'c'])
  })

  it('look on every road and in every document as they were written', async () => {
    const data = '{"big":12345678901234567890,\n "text":"\\u00e9"}'
    const row = await house.queue('set.point~1', { data })
    assert.equal(
      commandBody(row),
      `{"id":"${row.id}","name":"set.point~1","data":{"big":12345678901234567890,  "text":"\\u00e9"},"expires":"2026-11-23T01:00:00.000Z"}`,
    )
    await house.commands.answered(one, row.id, ok)
    const shown = await house.commands.show(one, row.id)
    assert.ok(shown)
    assert.equal(
      commandDocument(shown),
      `{"id":"${row.id}","device":"urn:dev:mac:0200000000000001","name":"set.point~1","data":{"big":12345678901234567890,  "text":"\\u00e9"},"state":"answered","reason":null,"actor":"operator","created":"2026-11-23T00:00:00.000Z","expires":"2026-11-23T01:00:00.000Z","delivered":"2026-11-23T00:00:00.000Z","ended":"2026-11-23T00:00:00.000Z","resultType":"application/json","result":{"celsius":12345678901234567890},"resultBase64":null}`,
    )
  })

  for (const [contentType, body, result, resultBase64] of [
    ['text/plain', 'done\u0000', 'done\u0000', null],
    ['application/cbor', '\u0001\u0002', null, 'AQI='],
    ['application/json', '{"broken', null, 'eyJicm9rZW4='],
    ['application/json', '['.repeat(40) + ']'.repeat(40), null, undefined],
    ['no type at all\n', 'x', null, 'eA=='],
  ] as const)
    it(`a result of ${JSON.stringify(contentType)} is shown as what it is: ${body.slice(0, 12)}`, async () => {
      const { id } = await house.queue('a')
      const answer = { state: 'answered', contentType, body: Buffer.from(body) } as const
      assert.equal(await house.commands.answered(one, id, answer), true)
      const row = await house.commands.show(one, id)
      assert.ok(row)
      const document = JSON.parse(commandDocument(row)) as Record<string, unknown>
      assert.equal(document['result'], result)
      if (resultBase64 !== undefined) assert.equal(document['resultBase64'], resultBase64)
      else assert.equal(typeof document['resultBase64'], 'string')
    })

  it('are written into the audit log, and applications hear of them', async () => {
    const actor = 'application:app-1'
    const a = await house.queue('a', { actor })
    const b = await house.queue('b')
    await house.commands.delivered(one, a.id)
    await house.commands.answered(one, a.id, ok)
    await house.commands.answered(one, b.id, refusal)
    // SHA-256 of {"n":1}, by sha256sum.
    const dataSha256 = '2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd'
    const log = await house.audit()
    assert.deepEqual(
      log.map(({ type, subject, actor: by }) => [type, subject, by]),
      [
        ['command.queued', one, actor],
        ['command.queued', one, 'operator'],
        ['command.answered', one, 'device'],
        ['command.refused', one, 'device'],
      ],
    )
    const said = log.map((entry) => JSON.parse(entry.data) as Record<string, unknown>)
    const expires = '2026-11-23T01:00:00.000Z'
    assert.deepEqual(said[0], { id: a.id, name: 'a', expires, dataSha256 })
    assert.deepEqual(said[2], {
      id: a.id,
      name: 'a',
      resultType: 'application/json',
      resultBytes: 32,
    })
    assert.equal(said[3]?.['reason'], 'the valve is [31mstuck')
    const events = await house.events()
    assert.deepEqual(
      events.map(({ id, type, source }) => [id, type, source]),
      [
        [`${a.id}-delivered`, 'countersign.command.delivered', one],
        [`${a.id}-answered`, 'countersign.command.answered', one],
        [`${b.id}-refused`, 'countersign.command.refused', one],
      ],
    )
    assert.partialDeepStrictEqual(events[2]?.['data'], {
      id: b.id,
      name: 'b',
      state: 'refused',
      reason: 'the valve is [31mstuck',
      resultType: 'text/plain',
    })
    const told = house.heard.map(({ kind }) => kind)
    assert.deepEqual(told.slice(0, 4), ['commands', 'commands', 'commands', 'messages'])
  })

  it('are none of another device, and none of nobody', async () => {
    const { id } = await house.queue('a')
    for (const [device, wrong] of [
      [two, id],
      [one, unknown],
      [one, `${id}\u0000`],
      [one, id.toUpperCase()],
      ['', id],
    ] as const) {
      assert.equal(await house.commands.delivered(device, wrong), false)
      assert.equal(await house.commands.answered(device, wrong, ok), false)
      assert.equal(await house.commands.show(device, wrong), undefined)
    }
    assert.equal(await house.state(id), 'queued')
  })

  it('that have ended stay as they are, whatever a device says', async () => {
    const { id } = await house.queue('a')
    assert.equal(await house.commands.answered(one, id, ok), true)
    assert.equal(await house.commands.answered(one, id, refusal), false)
    assert.equal(await house.commands.answered(one, id, ok), false)
    assert.equal(await house.commands.delivered(one, id), true)
    assert.equal(await house.state(id), 'answered')
    assert.equal((await house.events()).length, 1)
  })

  it('are bounded for each device, with what is over not counted', async () => {
    const expiresAt = house.clock.now() + 1000
    await house.queue('a', { expiresAt })
    const racing = await Promise.allSettled(['b', 'c', 'd', 'e'].map((name) => house.queue(name)))
    assert.deepEqual(
      racing.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'rejected'],
    )
    await assert.rejects(house.queue('f'), {
      name: 'CallerError',
      code: 'ERR_COMMAND_LIMIT',
      where: one,
      hint: /expire/,
    })
    await house.queue('other', { device: two })
    house.clock.time += 1000
    await house.queue('g')
    assert.deepEqual(await house.waiting(), ['b', 'c', 'g'])
  })

  for (const [what, over, code] of [
    ['an empty name', { name: '' }, 'ERR_COMMAND_NAME'],
    ['a dot', { name: '.' }, 'ERR_COMMAND_NAME'],
    ['two dots', { name: '..' }, 'ERR_COMMAND_NAME'],
    ['a path', { name: 'a/b' }, 'ERR_COMMAND_NAME'],
    ['a wildcard', { name: '#' }, 'ERR_COMMAND_NAME'],
    ['a line', { name: 'a\n' }, 'ERR_COMMAND_NAME'],
    ['65 letters', { name: 'a'.repeat(65) }, 'ERR_COMMAND_NAME'],
    ['no JSON', { data: '{"a":' }, 'ERR_COMMAND_DATA'],
    ['nothing', { data: '' }, 'ERR_COMMAND_DATA'],
    ['depth', { data: '['.repeat(33) + ']'.repeat(33) }, 'ERR_COMMAND_DATA'],
    ['size', { data: `"${'é'.repeat(8192)}"` }, 'ERR_COMMAND_DATA'],
    ['the past', { expiresAt: Date.UTC(2026, 10, 23) }, 'ERR_COMMAND_EXPIRY'],
    ['a far future', { expiresAt: Date.UTC(2026, 11, 23, 0, 0, 0, 1) }, 'ERR_COMMAND_EXPIRY'],
    ['no number', { expiresAt: Number.NaN }, 'ERR_COMMAND_EXPIRY'],
    ['a stranger', { device: 'urn:dev:mac:0200000000000009' }, 'ERR_DEVICE_UNKNOWN'],
  ] as const)
    it(`are refused with ${what}`, async () => {
      await assert.rejects(house.queue('a', over), (error) => {
        assert.ok(error instanceof CallerError)
        assert.equal(error.code, code)
        assert.ok((error.hint ?? '').length > 0)
        return true
      })
      assert.deepEqual(await house.audit(), [])
    })

  it('are taken at the very bounds', async () => {
    const far = Date.UTC(2026, 11, 23)
    await house.queue('a'.repeat(64), { data: `"${'x'.repeat(16_382)}"`, expiresAt: far })
    const deep = '['.repeat(32) + ']'.repeat(32)
    await house.queue('...', { data: deep, expiresAt: house.clock.now() + 1 })
    assert.equal((await house.waiting()).length, 2)
  })
})

describe('a command withheld past its expiry', () => {
  let house: CommandsHouse
  beforeEach(async () => {
    house = await CommandsHouse.create()
  })
  afterEach(() => house.dispose())

  it('is given to nobody, swept or not, and is marked on the way', async () => {
    const { id } = await house.queue('a')
    house.clock.time += hour - 1
    assert.deepEqual(await house.waiting(), ['a'])
    house.clock.time += 1
    assert.deepEqual(await house.waiting(), [])
    assert.equal(await house.state(id), 'expired')
    const [event] = await house.events()
    assert.equal(event?.['type'], 'countersign.command.expired')
    const log = await house.audit()
    assert.deepEqual([log[1]?.type, log[1]?.actor], ['command.expired', 'system'])
  })

  it('is shown as expired before it is marked, and looks the same afterwards', async () => {
    const { id } = await house.queue('a')
    const { id: had } = await house.queue('b')
    await house.commands.delivered(one, had)
    house.clock.time += hour - 1
    assert.equal((await house.commands.show(one, id))?.state, 'queued')
    const over = house.clock.now() + 1
    house.clock.time += 5_000
    const shown = await house.commands.show(one, id)
    assert.deepEqual([shown?.state, shown?.waiting, shown?.endedAt], ['expired', null, over])
    const list = await house.commands.list(one, { limit: 10 })
    assert.deepEqual(
      list.map(({ state }) => state),
      ['delivered', 'expired'],
    )
    assert.equal(await house.state(id), 'queued')
    await house.sweep()
    assert.deepEqual(await house.store.get('command', id), shown)
  })

  it('is not given out when its time ends while the store is being read', async () => {
    await house.queue('a')
    const slow = house.another({
      get: (table, key) => {
        house.clock.time += hour
        return house.store.get(table, key)
      },
    })
    assert.deepEqual(await slow.waiting(one, 10), [])
  })

  it('takes no word of the device any more when that is the first', async () => {
    const [a, b] = [await house.queue('a'), await house.queue('b')]
    house.clock.time += hour
    assert.equal(await house.commands.delivered(one, a.id), true)
    assert.equal(await house.commands.answered(one, b.id, ok), false)
    assert.deepEqual([await house.state(a.id), await house.state(b.id)], ['expired', 'expired'])
  })

  it('takes the answer of a device that had it in time', async () => {
    const { id } = await house.queue('a')
    await house.commands.delivered(one, id)
    house.clock.time += 20 * hour
    await house.sweep()
    assert.equal(await house.state(id), 'delivered')
    assert.equal(await house.commands.answered(one, id, ok), true)
  })
})

describe('the life of a device decides', () => {
  let house: CommandsHouse
  beforeEach(async () => {
    house = await CommandsHouse.create()
  })
  afterEach(() => house.dispose())

  it('a suspended one gets nothing, is queued for, and gets it when it is resumed', async () => {
    await house.queue('a')
    await house.move(one, 'suspended')
    await house.queue('b')
    assert.deepEqual(await house.waiting(), [])
    await house.move(one, 'active')
    assert.deepEqual(await house.waiting(), ['a', 'b'])
  })

  it('for one that is only enrolled commands wait until it has come', async () => {
    await house.move(one, 'enrolled')
    await house.queue('a')
    assert.deepEqual(await house.waiting(), [])
    await house.move(one, 'active')
    assert.deepEqual(await house.waiting(), ['a'])
  })

  for (const [state, code] of [
    ['revoked', 'ERR_DEVICE_REVOKED'],
    ['retired', 'ERR_DEVICE_RETIRED'],
  ] as const)
    it(`what waits for a ${state} one is dropped, and nothing more is taken`, async () => {
      const [a, b] = [await house.queue('a'), await house.queue('b')]
      await house.commands.delivered(one, a.id)
      await house.move(one, state)
      assert.equal(await house.state(a.id), 'delivered')
      const row = await house.commands.show(one, b.id)
      assert.deepEqual([row?.state, row?.reason], ['refused', `the device is ${state}`])
      await assert.rejects(house.queue('c'), { name: 'CallerError', code, hint: /final/ })
      const last = (await house.audit()).at(-1)
      assert.deepEqual([last?.type, last?.actor], ['command.refused', 'system'])
    })

  it('a revocation that comes while a command is queued wins', async () => {
    const late = house.another({
      apply: async (change) => {
        await house.move(one, 'revoked')
        return await house.store.apply(change)
      },
    })
    const wish = { device: one, name: 'a', data: '1', actor: 'operator' }
    await assert.rejects(late.queue({ ...wish, expiresAt: house.clock.now() + hour }), {
      code: 'ERR_DEVICE_REVOKED',
    })
    assert.deepEqual(await house.commands.list(one, { limit: 10 }), [])
  })

  it('what a crash left waiting for a revoked one is dropped by the sweep', async () => {
    const { id } = await house.queue('a')
    await house.store.apply({
      writes: [{ kind: 'update', table: 'device', key: one, set: { state: 'revoked' } }],
    })
    await house.sweep()
    assert.equal(await house.state(id), 'refused')
  })
})

describe('the sweep', () => {
  it('marks in bounded rounds what is over, with one timer, and forgets what is old', async () => {
    const house = await CommandsHouse.create({ sweepPageMax: 4, sweepPagesMax: 2 })
    const ids: string[] = []
    for (let n = 0; n < 20; n++) ids.push((await house.queue(`c${n}`)).id)
    await house.commands.answered(one, ids[0] ?? '', ok)
    const states = async (): Promise<number> => {
      const all = await Promise.all(ids.map((id) => house.state(id)))
      return all.filter((state) => state === 'expired').length
    }
    house.clock.time += hour
    const stop = house.commands.startSweep()
    const next = (length: number): Promise<number> => house.timers.armed((ms) => ms === length)
    await next(1_000)
    assert.equal(house.timers.count, 1)
    assert.equal(await states(), 7)
    house.timers.advance(1_000)
    await next(1_000)
    assert.equal(await states(), 15)
    house.timers.advance(1_000)
    await next(15_000)
    assert.equal(await states(), 19)
    house.clock.time += 30 * 24 * hour
    for (let round = 0; round < 4; round++) {
      house.timers.advance(15_000)
      await house.timers.armed(() => true)
    }
    assert.deepEqual(await house.commands.list(one, { limit: 100 }), [])
    await stop()
    assert.equal(house.timers.count, 0)
    assert.deepEqual(house.failures, [])
    await house.dispose()
  })
})
