import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ConsoleDoor } from '../../src/console/consoleDoor.ts'
import type { DeviceState } from '../../src/ports.ts'
import { ApplicationHouse } from '../application/house.ts'
import { deviceRow } from '../store/rows.ts'

const { id: urn, eui64 } = deviceRow(1)
const hour = 3_600_000

describe('commands for applications', () => {
  let house: ApplicationHouse
  let door: ConsoleDoor
  let base: string
  let token: string
  let application: string

  beforeEach(async () => {
    house = await ApplicationHouse.create()
    ;({ token, id: application } = await house.applications.add({ name: 'desk' }))
    const row = deviceRow(1, { state: 'active' })
    await house.store.apply({ writes: [{ kind: 'insert', table: 'device', row }] })
    const { applications, commands, outbox, clock, timers, log } = house
    const rooms = { applications, commands, streams: outbox.streams }
    door = new ConsoleDoor({ ...rooms, clock, timers, log, hosts: [], health: () => ({}) })
    base = `http://127.0.0.1:${await door.open({ host: '127.0.0.1', port: 0 })}/api/v1/devices`
  })
  afterEach(async () => {
    const closing = door.close(100)
    house.timers.advance(100)
    await closing
    await house.dispose()
  })

  function ask(path: string, body?: string, headers: Record<string, string> = {}) {
    return fetch(`${base}/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    })
  }

  async function queue(body: string): Promise<Record<string, unknown>> {
    const answer = await ask(`${eui64}/commands`, body)
    assert.equal(answer.status, 202)
    return (await answer.json()) as Record<string, unknown>
  }

  async function list(query: string): Promise<readonly string[]> {
    const answer = await ask(`${eui64}/commands${query}`)
    return ((await answer.json()) as { id: string }[]).map(({ id }) => id)
  }

  async function move(state: DeviceState): Promise<void> {
    const write = { kind: 'update', table: 'device', key: urn, set: { state } } as const
    await house.store.apply({ writes: [write] })
  }

  it('one is queued as it was written, in the name of its application', async () => {
    const text = `{ "name":"set", "data" : {"big": 12345678901234567890, "t":"\\u00e9"},"expires":"15m"}`
    const answer = await ask(`${urn}/commands`, text)
    assert.equal(answer.status, 202)
    assert.equal(answer.headers.get('content-type'), 'application/json')
    const body = await answer.text()
    const { id } = JSON.parse(body) as { id: string }
    assert.equal(
      body,
      `{"id":"${id}","device":"urn:dev:mac:0200000000000001","name":"set","data":{"big": 12345678901234567890, "t":"\\u00e9"},"state":"queued","reason":null,"actor":"application:${application}","created":"2026-11-23T00:00:00.000Z","expires":"2026-11-23T00:15:00.000Z","delivered":null,"ended":null,"resultType":null,"result":null,"resultBase64":null}`,
    )
    const location = answer.headers.get('location')
    assert.equal(location, `/api/v1/devices/urn:dev:mac:0200000000000001/commands/${id}`)
    const shown = await ask(`${eui64}/commands/${id}`)
    assert.deepEqual([shown.status, await shown.text()], [200, body])
  })

  it('without data and expiry it carries null for an hour', async () => {
    const made = await queue('{"name":"reboot"}')
    assert.deepEqual([made['data'], made['expires']], [null, '2026-11-23T01:00:00.000Z'])
    const timed = await queue('{"name":"reboot","expires":"2026-11-23T02:00:00+01:00"}')
    assert.equal(timed['expires'], '2026-11-23T01:00:00.000Z')
  })

  it('they are listed newest first, in pages', async () => {
    const ids: unknown[] = []
    for (const name of ['a', 'b', 'c']) ids.unshift((await queue(`{"name":"${name}"}`))['id'])
    assert.deepEqual(await list(''), ids)
    assert.deepEqual(await list('?limit=2'), ids.slice(0, 2))
    assert.deepEqual(await list(`?limit=2&before=${String(ids[1])}`), ids.slice(2))
  })

  it('an application hears what came of it', async () => {
    const { id } = await queue('{"name":"a"}')
    const body = Buffer.from('{"done":true}')
    const contentType = 'application/json'
    await house.commands.answered(urn, String(id), { state: 'answered', contentType, body })
    const [event] = await house.store.scan('message', { limit: 10 })
    assert.deepEqual(JSON.parse(event?.body ?? ''), {
      specversion: '1.0',
      id: `${String(id)}-answered`,
      source: urn,
      type: 'countersign.command.answered',
      time: '2026-11-23T00:00:00.000Z',
      datacontenttype: 'application/json',
      data: {
        id,
        device: urn,
        name: 'a',
        data: null,
        state: 'answered',
        reason: null,
        actor: `application:${application}`,
        created: '2026-11-23T00:00:00.000Z',
        expires: '2026-11-23T01:00:00.000Z',
        delivered: '2026-11-23T00:00:00.000Z',
        ended: '2026-11-23T00:00:00.000Z',
        resultType: 'application/json',
        result: { done: true },
        resultBase64: null,
      },
    })
  })

  for (const [what, body, detail] of [
    ['no JSON', '{"name":', /one JSON object/],
    ['an array', '[{"name":"a"}]', /one JSON object/],
    ['a name twice', '{"name":"a","name":"b"}', /one JSON object/],
    ['a strange member', '{"name":"a","dat":1}', /name, data and expires/],
    ['no name', '{"data":1}', /name is a string/],
    ['a number for a name', '{"name":1}', /name is a string/],
    ['a path for a name', '{"name":"a/b"}', /no name for a command/],
    ['a strange time', '{"name":"a","expires":"soon"}', /RFC 3339/],
    ['a number for a time', '{"name":"a","expires":3600}', /RFC 3339/],
    ['null for a time', '{"name":"a","expires":null}', /RFC 3339/],
    ['a time in the past', '{"name":"a","expires":"2026-11-22T00:00:00Z"}', /late already/],
    ['a time too far', '{"name":"a","expires":"31d"}', /too long/],
    ['deep data', `{"name":"a","data":${'['.repeat(33)}${']'.repeat(33)}}`, /deeper than 32/],
    ['much data', `{"name":"a","data":"${'x'.repeat(16_384)}"}`, /at most 16384/],
  ] as const)
    it(`${what} is refused`, async () => {
      const answer = await ask(`${eui64}/commands`, body)
      assert.equal(answer.status, 400)
      assert.equal(answer.headers.get('content-type'), 'application/problem+json')
      assert.match(((await answer.json()) as { detail: string }).detail, detail)
      assert.deepEqual(await house.commands.list(urn, { limit: 10 }), [])
    })

  it('a body beyond its bound is refused, announced or not', async () => {
    const long = `{"name":"a","data":"${'x'.repeat(32_768)}"}`
    assert.equal((await ask(`${eui64}/commands`, long)).status, 413)
    const stream = new Blob([long]).stream()
    const init = { method: 'POST', body: stream, duplex: 'half' }
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const chunked = await fetch(`${base}/${eui64}/commands`, { ...init, headers })
    assert.equal(chunked.status, 413)
  })

  it('another type than JSON, and JSON that is not UTF-8, are refused', async () => {
    const type = { 'content-type': 'text/plain' }
    assert.equal((await ask(`${eui64}/commands`, '{"name":"a"}', type)).status, 415)
    const authorization = `Bearer ${token}`
    const headers = { authorization, 'content-type': 'application/json' }
    const body = Buffer.from('{"name":"a","data":"\xff"}', 'latin1')
    const answer = await fetch(`${base}/${eui64}/commands`, { method: 'POST', headers, body })
    assert.equal(answer.status, 400)
  })

  it('nobody commands without a token', async () => {
    for (const authorization of ['', 'Bearer cst_guessed', 'Basic dG9rZW46eA==']) {
      const headers = { authorization }
      assert.equal((await ask(`${eui64}/commands`, '{"name":"a"}', headers)).status, 401)
      assert.equal((await ask(`${eui64}/commands`, undefined, headers)).status, 401)
      const one = `${eui64}/commands/${'0'.repeat(32)}`
      assert.equal((await ask(one, undefined, headers)).status, 401)
    }
    await house.applications.remove('desk')
    assert.equal((await ask(`${eui64}/commands`, '{"name":"a"}')).status, 401)
  })

  it('a device that is not there, and one that has ended', async () => {
    const stranger = '0200000000000009/commands'
    assert.equal((await ask(stranger, '{"name":"a"}')).status, 404)
    assert.equal((await ask(stranger)).status, 404)
    assert.equal((await ask('SN-1/commands', '{"name":"a"}')).status, 400)
    assert.equal((await ask(`${eui64.toUpperCase()}X/commands`)).status, 400)
    const { id } = await queue('{"name":"a"}')
    assert.equal((await ask(`0200000000000009/commands/${String(id)}`)).status, 404)
    assert.equal((await ask(`${eui64}/commands/${'0'.repeat(32)}`)).status, 404)
    await move('suspended')
    await queue('{"name":"b"}')
    await move('revoked')
    const answer = await ask(`${eui64}/commands`, '{"name":"c"}')
    assert.equal(answer.status, 409)
    assert.equal(((await answer.json()) as { code: string }).code, 'ERR_DEVICE_REVOKED')
  })

  it('more than may wait is 409, until some have expired', async () => {
    for (let n = 0; n < 64; n++) await queue(`{"name":"c${n}"}`)
    const full = await ask(`${eui64}/commands`, '{"name":"more"}')
    assert.equal(full.status, 409)
    assert.equal(((await full.json()) as { code: string }).code, 'ERR_COMMAND_LIMIT')
    house.clock.time += hour
    await queue('{"name":"more"}')
  })

  for (const query of ['?limit=0', '?limit=51', '?limit=x', '?before=x', '?state=queued'])
    it(`${query} is refused`, async () => {
      assert.equal((await ask(`${eui64}/commands${query}`)).status, 400)
    })
})
