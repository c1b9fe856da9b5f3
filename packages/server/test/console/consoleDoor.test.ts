import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { ConsoleDoor, type ConsoleDoorParts } from '../../src/console/consoleDoor.ts'
import { ApplicationHouse, deviceId } from '../application/house.ts'
import { EventReader } from './eventReader.ts'

const run = promisify(execFile)

const health = () => ({ status: 'ok' })

describe('the console door', () => {
  let house: ApplicationHouse
  let door: ConsoleDoor
  let base: string
  let token: string
  let readers: EventReader[]

  beforeEach(async () => {
    house = await ApplicationHouse.create()
    ;({ token } = await house.applications.add({ name: 'desk' }))
    await openDoor()
    readers = []
  })
  afterEach(async () => {
    for (const reader of readers) reader.close()
    await closeDoor()
    await house.dispose()
  })

  function parts(): ConsoleDoorParts {
    const { applications, commands, outbox, clock, timers, log } = house
    const streams = outbox.streams
    return { applications, commands, streams, clock, timers, log, hosts: [], health }
  }

  async function openDoor(): Promise<void> {
    door = new ConsoleDoor({ ...parts(), hosts: ['console.example'] })
    base = `http://127.0.0.1:${await door.open({ host: '127.0.0.1', port: 0 })}`
  }

  async function closeDoor(): Promise<void> {
    const closing = door.close(100)
    house.timers.advance(100)
    await closing
  }

  function read(query = '', headers: Record<string, string> = {}): EventReader {
    const all = { authorization: `Bearer ${token}`, ...headers }
    const reader = new EventReader(`${base}/api/v1/events${query}`, all)
    readers.push(reader)
    return reader
  }

  it('streams messages as they come, those that are kept first', async () => {
    const before = await house.send(2)
    const reader = read()
    await reader.seen(2)
    const after = await house.send(2)
    await reader.seen(4)
    assert.equal(reader.headers['content-type'], 'text/event-stream; charset=utf-8')
    assert.deepEqual(reader.ids(), [...before, ...after])
    assert.deepEqual(
      reader.events.map(({ id }) => id),
      [1, 2, 3, 4],
    )
    assert.equal(reader.events[0]?.event['source'], deviceId)
  })

  it('goes on after the last id that a reader saw, also after a restart', async () => {
    const ids = await house.send(3)
    const first = read()
    await first.seen(3)
    first.close()
    await closeDoor()
    await house.shut()
    await house.open()
    await openDoor()
    const more = await house.send(2)
    const second = read('', { 'last-event-id': '2' })
    await second.seen(3)
    assert.deepEqual(second.ids(), [ids[2], ...more])
  })

  it('begins anew for an id from before a restore', async () => {
    const ids = await house.send(2)
    const reader = read('', { 'last-event-id': '999' })
    await reader.seen(2)
    assert.deepEqual(reader.ids(), ids)
  })

  it('shows only the device and the type that were asked for', async () => {
    const other = 'urn:dev:mac:0200000000000002'
    await house.send(2)
    const [wanted] = await house.send(1, other)
    const reader = read('?device=0200000000000002&type=countersign.message')
    const none = read('?type=countersign.refused')
    await reader.seen(1)
    await none.opened
    const [again] = await house.send(1, other)
    await reader.seen(2)
    assert.deepEqual(reader.ids(), [wanted, again])
    assert.deepEqual(none.ids(), [])
  })

  it('breaks its silence with a comment', async () => {
    const reader = read()
    await reader.opened
    await reader.until(() => reader.body.includes('retry:'))
    house.timers.advance(house.limits.heartbeatMs)
    await reader.until(() => reader.comments.length > 0)
  })

  for (const [what, headers] of [
    ['without a token', {}],
    ['with a wrong token', { authorization: 'Bearer cst_wrong' }],
    ['with a password', { authorization: 'Basic dG9rZW46eA==' }],
    ['with an endless token', { authorization: `Bearer ${'x'.repeat(5000)}` }],
  ] as const)
    it(`refuses a reader ${what}`, async () => {
      const reader = new EventReader(`${base}/api/v1/events`, headers)
      await reader.ended
      assert.equal(reader.status, 401)
      assert.equal(reader.headers['content-type'], 'application/problem+json')
      assert.match(String(reader.headers['www-authenticate']), /^Bearer/)
    })

  for (const query of ['?device=../../x', '?type=Countersign', '?since=1', '?device=0200'])
    it(`refuses ${query}`, async () => {
      const reader = read(query)
      await reader.ended
      assert.equal(reader.status, 400)
    })

  it('refuses a Last-Event-ID that is no number', async () => {
    const reader = read('', { 'last-event-id': '1e9' })
    await reader.ended
    assert.equal(reader.status, 400)
  })

  it('closes the streams of a removed application', async () => {
    const reader = read()
    await reader.opened
    await house.applications.remove('desk')
    await reader.ended
    const again = read()
    await again.ended
    assert.equal(again.status, 401)
  })

  it('opens only so many streams for one application', async () => {
    for (let n = 0; n < house.limits.streamsPerApplicationMax; n++) await read().opened
    const late = read()
    await late.ended
    assert.equal(late.status, 429)
  })

  it('rests for a reader that takes nothing, and closes when that lasts', async () => {
    const big = 'x'.repeat(60_000)
    for (let n = 0; n < 200; n++) {
      const id = `big-${n}`
      const body = JSON.stringify({ id, data: big })
      await house.store.apply({
        messages: [
          { id, source: deviceId, type: 'countersign.message', time: house.clock.now(), body },
        ],
      })
    }
    const socket = connect(Number(new URL(base).port), '127.0.0.1')
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => undefined)
    socket.pause()
    socket.write(
      `GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
    // It fills the socket's buffers, and then the clock runs: two heartbeats beyond the bound are
    // enough.
    while (!house.log.lines.some(({ message }) => message.includes('takes nothing'))) {
      house.timers.advance(house.limits.heartbeatMs)
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.resume()
    await gone
    const reader = read()
    await reader.seen(200)
    assert.equal(reader.events.at(-1)?.event['id'], 'big-199')
  })

  it('answers health to anyone of this machine', async () => {
    const response = await fetch(`${base}/api/v1/health`)
    assert.deepEqual(await response.json(), { status: 'ok' })
    assert.equal((await fetch(`${base}/api/v1/nothing`)).status, 404)
  })

  it('refuses a foreign name and a foreign page', async () => {
    const { port } = new URL(base)
    const ask = async (...args: string[]): Promise<string> => {
      const { stdout } = await run('curl', [
        '-s',
        '-o',
        '-',
        '-w',
        '%{http_code}',
        ...args,
        `${base}/api/v1/health`,
      ])
      return stdout.slice(-3)
    }
    assert.equal(await ask('-H', 'Host: evil.example'), '421')
    assert.equal(await ask('-H', `Host: localhost.evil.example:${port}`), '421')
    assert.equal(await ask('-H', 'Origin: https://evil.example'), '403')
    assert.equal(await ask('-H', 'Origin: null'), '403')
    assert.equal(
      await ask('-H', `Host: localhost:${port}`, '-H', `Origin: http://localhost:${port}`),
      '200',
    )
    assert.equal(await ask('-H', `Host: console.example:${port}`), '200')
    assert.equal(await ask('-H', `Host: [::1]:${port}`), '200')
  })

  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.com'])
    it(`does not speak plain http on ${host}`, async () => {
      await assert.rejects(new ConsoleDoor(parts()).open({ host, port: 0 }), {
        name: 'CallerError',
        code: 'ERR_CONSOLE_NEEDS_TLS',
      })
    })

  it('says which port is taken', async () => {
    const port = Number(new URL(base).port)
    await assert.rejects(new ConsoleDoor(parts()).open({ host: '127.0.0.1', port }), {
      name: 'AdapterError',
      code: 'ERR_PORT_TAKEN',
      where: `console on 127.0.0.1:${port}`,
    })
  })
})
