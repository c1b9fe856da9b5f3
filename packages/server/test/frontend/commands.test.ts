import assert from 'node:assert/strict'
import { Agent } from 'node:https'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { AdapterError } from '@countersign/core/errors'
import type { CommandRow } from '../../src/ports.ts'
import { DoorHouse, type DoorOptions, type Line, type TestDevice, turn } from './house.ts'

const hour = 3_600_000
const path = '/v1/commands'
const unknown = '0123456789abcdef'.repeat(2)

const bodyOf = (line: Line): string => line.text.slice(line.text.indexOf('\r\n\r\n') + 4)

describe('commands over https', () => {
  let house: DoorHouse
  let device: TestDevice
  beforeEach(() => open())
  afterEach(() => house.close())

  async function open(options: DoorOptions = {}): Promise<void> {
    house = await DoorHouse.create(options)
    device = await house.device()
    // Its first handshake makes it active.
    assert.equal((await house.send(device)).status, 202)
  }

  function queue(name: string, data = '{"n":1}', to = device): Promise<CommandRow> {
    const expiresAt = house.house.clock.now() + hour
    const wish = { device: to.row.id, name, data, expiresAt, actor: 'operator' }
    return house.commands.queue(wish)
  }

  function say(
    id: string,
    body: string | Uint8Array = '',
    type = 'application/json',
    who = device,
  ): Promise<number> {
    const headers = { 'content-type': type }
    return house.ask(`${path}/${id}`, who, { body, headers, method: 'POST' }).then((a) => a.status)
  }

  const state = async (id: string): Promise<string | undefined> =>
    (await house.house.store.get('command', id))?.state

  /** A connection that has asked for a stream and has got its header. */
  async function stream(who = device): Promise<Line> {
    const line = house.connect(who)
    line.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`)
    await line.received('retry: 2000\n\n')
    return line
  }

  /** A connection that polls; the poll is there when this resolves. */
  async function poll(seconds: number, who = device): Promise<Line> {
    const line = house.connect(who)
    const armed = house.timers.armed((ms) => ms === house.limits.commandTickMs)
    line.write(`GET ${path}?wait=${seconds} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await armed
    return line
  }

  it('are answered at once: none, or all that wait, as they were written', async () => {
    const none = await house.ask(path, device)
    assert.deepEqual([none.status, none.body], [200, '[]'])
    assert.equal(none.headers['content-type'], 'application/json')
    assert.equal(none.headers['cache-control'], 'no-store')
    const a = await queue('a', '12345678901234567890')
    const b = await queue('b')
    const expires = new Date(house.house.clock.now() + hour).toISOString()
    const two = await house.ask(`${path}?wait=50`, device)
    assert.equal(
      two.body,
      `[{"id":"${a.id}","name":"a","data":12345678901234567890,"expires":"${expires}"},{"id":"${b.id}","name":"b","data":{"n":1},"expires":"${expires}"}]`,
    )
  })

  it('an answer is bounded; the rest comes with the next poll', async () => {
    const big = `"${'x'.repeat(16_000)}"`
    const ids: string[] = []
    for (let n = 0; n < 6; n++) ids.push((await queue('big', big)).id)
    const first = JSON.parse((await house.ask(path, device)).body) as { id: string }[]
    assert.deepEqual(
      first.map(({ id }) => id),
      ids.slice(0, 4),
    )
    for (const { id } of first) assert.equal(await say(id), 204)
    const rest = JSON.parse((await house.ask(path, device)).body) as { id: string }[]
    assert.deepEqual(
      rest.map(({ id }) => id),
      ids.slice(4),
    )
  })

  it('delivered, then answered; the same word again is answered the same', async () => {
    const { id } = await queue('a')
    assert.equal(await say(id), 204)
    assert.equal(await say(id), 204)
    assert.equal(await state(id), 'delivered')
    assert.equal((await house.ask(path, device)).body, '[]')
    assert.equal(await say(id, '{"done":true}'), 204)
    assert.equal(await say(id, '{"done":true}'), 204)
    assert.equal(await say(id, '{"done":false}'), 409)
    assert.equal(await say(id, '{"done":true}', 'text/plain'), 409)
    assert.equal(await say(id), 409)
    assert.equal(await say(`${id}/refused`, 'no', 'text/plain'), 409)
    const row = await house.house.store.get('command', id)
    assert.equal(Buffer.from(row?.result ?? []).toString(), '{"done":true}')
    const told = (await house.house.store.scan('message', { limit: 100 })).map(({ type }) => type)
    assert.equal(told.filter((type) => type === 'countersign.command.answered').length, 1)
  })

  it('refused, with a reason or without', async () => {
    const [a, b] = [await queue('a'), await queue('b')]
    assert.equal(await say(`${a.id}/refused`, 'the valve is stuck', 'text/plain'), 204)
    assert.equal(await say(`${b.id}/refused`), 204)
    assert.equal(await say(`${b.id}/refused`), 204)
    const rows = await Promise.all([a, b].map(({ id }) => house.house.store.get('command', id)))
    assert.deepEqual(
      rows.map((row) => [row?.state, row?.reason]),
      [
        ['refused', 'the valve is stuck'],
        ['refused', 'the device refused it'],
      ],
    )
  })

  it('another device’s command is not there, just like one that never was', async () => {
    const other = await house.device()
    const { id } = await queue('a')
    const answers = await Promise.all(
      [id, unknown].flatMap((which) =>
        [`${path}/${which}`, `${path}/${which}/refused`].map((url) =>
          house.ask(url, other, { body: '1', headers: { 'content-type': 'application/json' } }),
        ),
      ),
    )
    for (const answer of answers) {
      assert.equal(answer.status, 404)
      assert.equal(answer.body, answers[0]?.body)
    }
    assert.equal(await say(id, '', 'application/json', other), 404)
    assert.equal((await house.ask(path, other)).body, '[]')
    assert.equal(await state(id), 'queued')
  })

  it('one that was withheld past its expiry is given out by nothing, and not taken', async () => {
    const { id } = await queue('a')
    const slow = await stream()
    await slow.received(id)
    house.house.clock.time += hour
    assert.equal((await house.ask(path, device)).body, '[]')
    const late = await stream()
    for (let n = 0; n < 5; n++) await turn()
    assert.ok(!late.text.includes(id))
    const answer = await house.ask(`${path}/${id}`, device, { method: 'POST', body: '' })
    assert.equal(answer.status, 409)
    assert.match(answer.body, /"code":"ERR_COMMAND_ENDED"/)
    assert.match(answer.body, /expired/)
    assert.equal(await state(id), 'expired')
  })

  for (const [method, url, status] of [
    ['POST', path, 405],
    ['DELETE', `${path}?wait=1`, 405],
    ['GET', `${path}?wait=56`, 400],
    ['GET', `${path}?wait=-1`, 400],
    ['GET', `${path}?wait=1&wait=2`, 400],
    ['GET', `${path}?since=1`, 400],
    ['GET', `${path}?wait=99999999999999999999`, 400],
    ['GET', `${path}/${unknown}`, 405],
    ['POST', `${path}/`, 404],
    ['POST', `${path}/${unknown.toUpperCase()}`, 404],
    ['POST', `${path}/${unknown}?x=1`, 404],
    ['POST', `${path}/${unknown}/`, 404],
    ['POST', `${path}/${unknown}/refused/`, 404],
    ['POST', `${path}/..%2f${unknown}`, 404],
    ['POST', `${path}x`, 404],
  ] as const)
    it(`${method} ${url} is ${status}`, async () => {
      const answer = await house.ask(url, device, { method })
      assert.equal(answer.status, status)
      assert.equal(answer.headers['content-type'], 'application/problem+json')
    })

  for (const [what, type, sent, status] of [
    ['broken JSON', 'application/json', '{"a"', 400],
    ['JSON that is not UTF-8', 'application/json', Uint8Array.of(0x22, 0xff, 0x22), 400],
    ['deep JSON', 'application/json', '['.repeat(33) + ']'.repeat(33), 400],
    ['no media type', 'nonsense', 'x', 415],
    ['64 KiB', 'text/plain', 'x'.repeat(65_536), 204],
    ['a byte more', 'text/plain', 'x'.repeat(65_537), 413],
  ] as const)
    it(`a result of ${what} is ${status}`, async () => {
      const { id } = await queue('a')
      assert.equal(await say(id, sent, type), status)
      assert.equal(await state(id), status === 204 ? 'answered' : 'queued')
    })

  it('a coded result is not taken', async () => {
    const headers = { 'content-type': 'text/plain', 'content-encoding': 'gzip' }
    const { id } = await queue('a')
    const answer = await house.ask(`${path}/${id}`, device, { body: 'x', headers })
    assert.equal(answer.status, 415)
  })

  it('need an admitted device', async () => {
    assert.equal((await house.ask(path)).status, 401)
    await house.house.registry.suspend(device.row.id, 'x')
    assert.equal((await house.ask(path, device)).status, 403)
  })

  it('are asked for as often as messages may be sent, and no more', async () => {
    await house.house.registry.setProduct('default', { messagesPerMinute: 2 })
    const fresh = await house.device()
    const asked = [1, 2, 3].map(() => house.ask(path, fresh))
    const statuses = (await Promise.all(asked)).map(({ status }) => status)
    assert.deepEqual(
      statuses.toSorted((a, b) => a - b),
      [200, 200, 429],
    )
  })

  it('a store that fails is 503, and a poll can be made again', async () => {
    const failing = new AdapterError('ERR_STORE_IO', 'the disk')
    const real = house.commands.waiting.bind(house.commands)
    house.commands.waiting = () => Promise.reject(failing)
    const answer = await house.ask(path, device)
    assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '5'])
    const line = await stream()
    await line.closed
    house.commands.waiting = real
    assert.equal((await house.ask(path, device)).status, 200)
  })

  describe('a long poll', () => {
    it('is answered by the notice of a command', async () => {
      const line = await poll(55)
      const { id } = await queue('a')
      await line.received(id)
      assert.match(line.text, /^HTTP\/1\.1 200 OK/)
      assert.match(bodyOf(line), /^\[\{"id":/)
    })

    it('sees a command that was queued between its look and its rest', async () => {
      const real = house.commands.waiting.bind(house.commands)
      let id = ''
      house.commands.waiting = async (...args) => {
        house.commands.waiting = real
        const none = await real(...args)
        ;({ id } = await queue('a'))
        return none
      }
      const line = await poll(55)
      await line.received('"name":"a"')
      assert.ok(bodyOf(line).includes(id))
    })

    it('is empty when its time is over, well before the bound of an answer', async () => {
      const line = await poll(55)
      house.timers.advance(54_000)
      for (let n = 0; n < 5; n++) await turn()
      assert.equal(line.text, '')
      house.timers.advance(1_000)
      await line.received('[]')
      assert.match(line.text, /^HTTP\/1\.1 200 OK/)
      assert.equal(house.door.counters.overdue, 0)
    })

    it('is one a connection, and the next may follow at once', async () => {
      const line = await poll(55)
      line.write(`GET ${path}?wait=5 HTTP/1.1\r\nHost: x\r\n\r\n`)
      // The answer to the second comes after the first, which is the order of HTTP/1.1.
      await house.ask(path, device)
      const { id } = await queue('a')
      await line.received('429')
      assert.ok(line.text.indexOf(id) < line.text.indexOf('HTTP/1.1 429'))
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      for (let n = 0; n < 20; n++)
        assert.equal((await house.ask(path, device, { agent })).status, 200)
      agent.destroy()
    })

    it('of one device too many ends the oldest', async () => {
      await house.close()
      await open({ limits: { commandReadersPerDeviceMax: 2 } })
      const first = await poll(55)
      const second = await stream()
      const third = await stream()
      await first.received('[]')
      const { id } = await queue('a')
      await Promise.all([second.received(id), third.received(id)])
    })

    it('of a device that is suspended meanwhile is cut, and hears nothing', async () => {
      const line = await poll(55)
      await house.house.registry.suspend(device.row.id, 'x')
      const { id } = await queue('a')
      await line.closed
      assert.equal(line.text, '')
      await house.house.registry.resume(device.row.id)
      assert.ok((await house.ask(path, device)).body.includes(id))
    })

    it('does not hold up a door that closes', async () => {
      const [line, events] = [await poll(55), await stream()]
      const closed = house.door.close(60_000)
      await Promise.all([line.received('[]'), events.closed, closed])
    })
  })

  describe('a stream', () => {
    it('has each command once, those that wait first', async () => {
      const a = await queue('a')
      const line = await stream()
      await line.received(a.id)
      const b = await queue('b', '[1,\n2]')
      await line.received(b.id)
      await say(a.id)
      const c = await queue('c')
      await line.received(c.id)
      const expires = new Date(house.house.clock.now() + hour).toISOString()
      const text = bodyOf(line).replace(/[0-9a-f]+\r\n|\r\n/g, (part) =>
        part === '\r\n' ? '' : part,
      )
      for (const [id, name, data] of [
        [a.id, 'a', '{"n":1}'],
        [b.id, 'b', '[1, 2]'],
        [c.id, 'c', '{"n":1}'],
      ]) {
        const event = `event: command\nid: ${id}\ndata: {"id":"${id}","name":"${name}","data":${data},"expires":"${expires}"}\n\n`
        assert.equal(text.split(event).length, 2, name)
      }
      assert.match(line.text, /content-type: text\/event-stream; charset=utf-8/i)
    })

    it('that is healthy outlives the bound of an answer', async () => {
      const line = await stream()
      house.timers.advance(10 * house.limits.answerMsMax)
      await line.received(':\n\n')
      const { id } = await queue('a')
      await line.received(id)
      assert.equal(house.door.counters.overdue, 0)
    })

    it('whose reader stalls is ended by the bound of an answer', async () => {
      const line = await stream()
      line.socket.pause()
      const big = `"${'x'.repeat(16_000)}"`
      const { counters } = house.door
      while (counters.overdue === 0) {
        const row = await queue('big', big)
        for (let n = 0; n < 3; n++) await turn()
        // Delivered on another way, so that the next one may be queued.
        await house.commands.delivered(device.row.id, row.id)
        house.timers.advance(house.limits.commandTickMs)
      }
      line.socket.resume()
      await line.closed
    })

    it('of a device that is revoked ends at once', async () => {
      const line = await stream()
      await house.house.registry.revoke(device.row.id, 'keyCompromise')
      await line.closed
      assert.equal((await house.ask(path, device)).status, 403)
    })

    it('says nothing while its device is judged again', async () => {
      const line = await stream()
      const { registry } = house.house
      const real = registry.admit.bind(registry)
      const gate = Promise.withResolvers<void>()
      registry.admit = async (...args) => {
        await gate.promise
        return real(...args)
      }
      house.house.notices.tell({ kind: 'device', id: device.row.id })
      const { id } = await queue('a')
      for (let n = 0; n < 20; n++) await turn()
      assert.ok(!line.text.includes(id))
      gate.resolve()
      await line.received(id)
    })
  })
})
