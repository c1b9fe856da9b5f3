import assert from 'node:assert/strict'
import { Agent } from 'node:https'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { AdapterError } from '@countersign/core/errors'
import type { DoorLimits } from '../../src/frontend/limits.ts'
import { topicBytesMax } from '../../src/frontend/topic.ts'
import type { Store } from '../../src/ports.ts'
import { DoorHouse, type DoorOptions, type Line, post, turn } from './house.ts'

describe('the https door bounds', () => {
  let house: DoorHouse
  afterEach(() => house.close())

  async function open(
    limits: Partial<DoorLimits> = {},
    parts: DoorOptions['parts'] = {},
  ): Promise<void> {
    house = await DoorHouse.create({ limits, parts })
  }

  it('a body of 100 MB that is announced: refused before it is read', async () => {
    await open()
    const device = await house.device()
    const line = house.connect(device)
    line.write('POST /v1/messages/big HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n')
    await line.received('"status":413')
    assert.match(line.text, /^HTTP\/1\.1 413 [\s\S]*Connection: close/)
    await pour(line, 100_000_000)
    assert.ok(line.socket.bytesWritten < 20_000_000, `${line.socket.bytesWritten} bytes were taken`)
    assert.deepEqual(await house.messages(), [])
  })

  it('a body of 100 MB that is not announced: refused at its 65537th byte', async () => {
    await open()
    const line = house.connect(await house.device())
    line.write('POST /v1/messages/big HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    await pour(line, 100_000_000, (part) => `${part.length.toString(16)}\r\n${part}\r\n`)
    assert.match(line.text, /^HTTP\/1\.1 413 /)
    assert.deepEqual(await house.messages(), [])
  })

  it('a body at exactly its bound: taken, and one byte more is not', async () => {
    await open({ messageBytesMax: 1000 })
    const device = await house.device()
    const headers = { 'content-type': 'text/plain' }
    assert.equal((await house.send(device, 'a', { headers, body: 'x'.repeat(1000) })).status, 202)
    assert.equal((await house.send(device, 'a', { headers, body: 'x'.repeat(1001) })).status, 413)
  })

  it('a client that waits for a word before it sends: it gets 413 and not the word', async () => {
    await open()
    const line = house.connect(await house.device())
    line.write(
      'POST /v1/messages/b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n',
    )
    await line.closed
    assert.match(line.text, /^HTTP\/1\.1 413 /)
    const unread = house.connect(await house.device())
    unread.write(
      'POST /v1/messages/%00 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n',
    )
    await unread.closed
    assert.match(unread.text, /^HTTP\/1\.1 400 [\s\S]*Connection: close/)
    const small = house.connect(await house.device())
    small.write(
      'POST /v1/messages/b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n',
    )
    await small.received('100 Continue')
    small.write('x')
    await small.received('202 Accepted')
    await small.closed
  })

  for (const [what, begin, drip] of [
    ['a header', 'POST /v1/messages/a HTTP/1.1\r\nHost: x\r\n', 'X-A: b\r\n'],
    ['a first header', 'POST /', 'a'],
    ['a body', 'POST /v1/messages/a HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n', 'x'],
  ] as const)
    it(`${what} that arrives drop by drop: 408`, async () => {
      await open({ sweepMs: 2500 })
      const line =
        what === 'a first header'
          ? house.connect(await house.device())
          : await house.session(await house.device())
      const bound = what === 'a body' ? house.limits.requestMsMax : house.limits.headersMsMax
      await line.secure
      let waited = 0
      line.write(begin)
      while (line.isOpen && waited < 2 * bound) {
        if (line.text === '') line.write(drip)
        house.sweep()
        waited += house.limits.sweepMs
        // A round trip of another connection: what was written has arrived by then.
        await house.ask('/.well-known/est/csrattrs')
      }
      await line.closed
      assert.match(line.text, /^HTTP\/1\.1 408 /)
      assert.ok(waited >= bound, `${waited} ms`)
      assert.deepEqual(
        (await house.messages()).filter(({ body }) => body.includes('"a"')),
        [],
      )
    })

  it('the silence of an admitted device, generously', async () => {
    await open()
    const line = await house.session(await house.device())
    const { clock } = house.house
    house.timers.advance(house.limits.idleMsMax / 2)
    line.write(post('alive', 'x'))
    await line.received('"id":')
    const begun = clock.now()
    await house.sweepAway(line)
    const silent = clock.now() - begun
    assert.ok(silent >= house.limits.idleMsMax, `${silent} ms`)
    assert.ok(silent < house.limits.idleMsMax * 1.5, `${silent} ms`)
  })

  it('the time that anyone without a certificate may stay, busy or not', async () => {
    await open()
    const line = house.connect()
    line.write('GET /.well-known/est/csrattrs HTTP/1.1\r\nHost: x\r\n\r\n')
    await line.received('HTTP/1.1 20')
    house.timers.advance(house.limits.anonymousMsMax + house.limits.sweepMs)
    await line.closed
  })

  it('the time that a refused peer may hold its connection without asking', async () => {
    await open()
    const device = await house.device()
    await house.house.registry.suspend(device.row.id, 'lost')
    const line = house.connect(device)
    await line.secure
    while ((await house.refusals()).length === 0) await turn()
    house.timers.advance(house.limits.refusedMsMax + house.limits.sweepMs)
    await line.closed
    assert.equal(line.text, '')
  })

  it('the connections of one address, and takes the next when one has gone', async () => {
    await open({ connectionsPerAddressMax: 5 })
    const raw: Socket[] = []
    for (let n = 0; n < 5; n++) raw.push(await plain(house.port))
    const sixth = house.connect()
    await sixth.closed
    assert.equal(house.door.counters.overLimit, 1)
    const [first] = raw
    const gone = new Promise((resolve) => first?.once('close', resolve))
    first?.destroy()
    await gone
    const again = await openedEventually(() => house.connect())
    again.socket.destroy()
    for (const socket of raw) socket.destroy()
  })

  it('the handshakes that one address may start in a second', async () => {
    await open({ handshakesPerAddressPerSecond: 1, handshakesPerAddressBurst: 3 })
    for (let n = 0; n < 3; n++)
      assert.equal((await house.ask('/.well-known/est/csrattrs')).status < 300, true)
    await assert.rejects(house.ask('/.well-known/est/csrattrs'))
    house.house.clock.time += 1000
    assert.equal((await house.ask('/.well-known/est/csrattrs')).status < 300, true)
  })

  it('the connections of the whole door', async () => {
    await open({ connectionsMax: 2 })
    const [first, second] = [await plain(house.port), await plain(house.port)]
    const third = house.connect()
    await third.closed
    first.destroy()
    second.destroy()
  })

  it('the messages of one device in a minute, and says when to come back', async () => {
    await open()
    await house.house.registry.setProduct('default', { messagesPerMinute: 6 })
    const [device, other] = [await house.device(), await house.device()]
    for (let n = 0; n < 6; n++) assert.equal((await house.send(device)).status, 202)
    const refused = await house.send(device)
    assert.equal(refused.status, 429)
    assert.equal(refused.headers['retry-after'], '10')
    assert.equal((await house.send(other)).status, 202)
    house.house.clock.time += 10_000
    assert.equal((await house.send(device)).status, 202)
    assert.equal((await house.send(device)).status, 429)
  })

  it('requests that wait on one connection: an endless pipeline is cut', async () => {
    const store: Pick<Store, 'apply'> = { apply: () => new Promise(() => undefined) }
    await open({ requestsInFlightPerConnectionMax: 4 }, { store })
    const line = house.connect(await house.device())
    line.write(post('a', 'x').repeat(100))
    await line.closed
    assert.equal(line.text, '')
    assert.equal(house.door.counters.overLimit, 1)
  })

  it('messages that wait for the store: 503, and the device comes back', async () => {
    const store: Pick<Store, 'apply'> = { apply: () => new Promise(() => undefined) }
    await open({ messagesInFlightMax: 1 }, { store })
    const line = house.connect(await house.device())
    line.write(post('a', 'x'))
    const agent = new Agent({ keepAlive: true })
    const other = await house.device()
    let answer = await house.send(other, 'b', { agent })
    // The first message may still be on its way when the second is judged.
    if (answer.status !== 503) answer = await house.send(other, 'b', { agent })
    assert.equal(answer.status, 503)
    assert.equal(answer.headers['retry-after'], '1')
    agent.destroy()
    line.socket.destroy()
  })

  for (const [code, status] of [
    ['ERR_STORE_FULL', 507],
    ['ERR_STORE_IO', 503],
    ['ERR_STORE_CLOSED', 503],
  ] as const)
    it(`nothing away when the store says ${code}: ${status}, and nothing is acknowledged`, async () => {
      const store: Pick<Store, 'apply'> = {
        apply: () => Promise.reject(new AdapterError(code, 'the disk is full')),
      }
      await open({}, { store })
      const answer = await house.send(await house.device())
      assert.equal(answer.status, status)
      assert.ok(Number(answer.headers['retry-after']) > 0)
      assert.ok(!answer.body.includes('disk'))
    })

  it('answers that nobody takes: few at once, and not for long', async () => {
    const crl = new Uint8Array(16 * 1024 * 1024)
    await open({ crlAnswersMax: 1 }, { crl: () => Promise.resolve(crl) })
    const device = await house.device()
    const line = await house.session(device)
    line.socket.pause()
    line.write('GET /crl/owner.crl HTTP/1.1\r\nHost: x\r\n\r\n')
    while ((await house.ask('/crl/owner.crl')).status !== 503) await turn()
    const closed = line.closed.then(() => true)
    house.timers.advance(house.limits.answerMsMax + house.limits.sweepMs)
    line.socket.resume()
    assert.equal(await closed, true)
    assert.ok(line.text.length < crl.length)
    assert.equal((await house.ask('/crl/owner.crl')).status, 200)
  })

  it('what is no TLS and what is no HTTP, quietly', async () => {
    await open()
    const socket = await plain(house.port)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await closed
    assert.equal(house.door.counters.tlsErrors, 1)
    const line = house.connect(await house.device())
    line.write('NONSENSE\r\n\r\n')
    await line.closed
    assert.match(line.text, /^HTTP\/1\.1 400 /)
    const huge = house.connect(await house.device())
    huge.write(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`)
    await huge.closed
    assert.match(huge.text, /^HTTP\/1\.1 431 /)
    const many = house.connect(await house.device())
    many.write(`GET / HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(200)}\r\n`)
    await many.closed
    assert.match(many.text, /^HTTP\/1\.1 431 /)
    // A broken connection may be reported twice: when it breaks and when it ends.
    assert.ok(house.door.counters.httpErrors >= 2)
    assert.equal((await house.send(await house.device())).status, 202)
    assert.deepEqual(house.log.lines, [])
  })

  for (const [what, text] of [
    ['two lengths', 'Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx'],
    ['a length and chunks', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bare line feed', 'X: a\n\r\n'],
    ['a folded header', 'X: a\r\n b\r\nContent-Length: 0\r\n\r\n'],
  ] as const)
    it(`a request with ${what}: 400`, async () => {
      await open()
      const line = house.connect(await house.device())
      line.write(`POST /v1/messages/a HTTP/1.1\r\nHost: x\r\n${text}`)
      await line.closed
      assert.match(line.text, /^HTTP\/1\.1 400 /)
      assert.deepEqual(await house.messages(), [])
    })

  it('topics and bodies to what they say they are', async () => {
    await open()
    const device = await house.device()
    const long = 'x'.repeat(topicBytesMax)
    for (const topic of ['a', 'a/b/c', '%41b', 'A.b_c~d-9', long, Array(16).fill('s').join('/')])
      assert.equal((await house.send(device, topic)).status, 202, topic)
    for (const topic of [
      '',
      '/',
      'a//b',
      'a/',
      '.',
      'a/../b',
      '%2e%2e/b',
      'a%2Fb',
      '%',
      '%4',
      '%zz',
      'a%00',
    ])
      assert.equal((await house.send(device, topic)).status, 400, topic)
    const segments = Array(17).fill('s').join('/')
    for (const topic of ['%252e', 'a?b', 'a+b', '%C3%A4', 'a/%23', `${long}x`, segments])
      assert.equal((await house.send(device, topic)).status, 400, topic)
    const type = (contentType: string, body: string | Uint8Array): Promise<number> =>
      house
        .send(device, 'a', { headers: { 'content-type': contentType }, body })
        .then(({ status }) => status)
    assert.equal(await type('application/json', '{"a":1'), 400)
    assert.equal(await type('application/json', ''), 400)
    assert.equal(await type('application/json', Buffer.from([0x22, 0xff, 0x22])), 400)
    assert.equal(await type('application/senml+json', '[{"n":"a","v":1}]'), 202)
    assert.equal(await type('nonsense', 'x'), 415)
    assert.equal(await type(`text/${'x'.repeat(200)}`, 'x'), 415)
    assert.equal(
      (await house.send(device, 'a', { headers: { 'content-encoding': 'gzip' } })).status,
      415,
    )
    assert.equal(
      (await house.ask('/v1/messages/a', device, { method: 'PUT', body: 'x' })).status,
      405,
    )
    assert.equal((await house.ask('/v1/nothing', device)).status, 404)
  })

  it('a reading sent twice to one event, under the number that the device gave it', async () => {
    await open()
    const device = await house.device()
    const headers = { 'countersign-number': '42' }
    const [first, second] = [
      await house.send(device, 'a', { headers }),
      await house.send(device, 'a', { headers }),
    ]
    assert.equal(first.status, 202)
    assert.deepEqual([second.status, second.body], [202, first.body])
    assert.deepEqual(JSON.parse(first.body), { id: `${device.row.eui64}-42` })
    assert.equal((await house.messages()).length, 1)
    for (const number of ['', '-1', '007', '1.5', '99999999999999999', '0x1', '1, 2'])
      assert.equal(
        (await house.send(device, 'a', { headers: { 'countersign-number': number } })).status,
        400,
        number,
      )
    const other = await house.device()
    assert.equal((await house.send(other, 'a', { headers })).status, 202)
    assert.equal((await house.messages()).length, 2)
  })
})

/** Writes until so much is written or the other side has had enough. */
async function pour(
  line: Line,
  bytes: number,
  frame: (part: string) => string = (part) => part,
): Promise<void> {
  const part = frame('x'.repeat(65_536))
  while (!line.socket.destroyed && line.socket.bytesWritten < bytes)
    if (!line.socket.write(part))
      await Promise.race([
        new Promise((resolve) => line.socket.once('drain', resolve)),
        line.closed,
      ])
  await line.closed
}

function plain(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket))
    socket.on('error', reject)
  })
}

/** The server may hear of a closed connection a moment after the client. */
async function openedEventually(open: () => Line): Promise<Line> {
  for (;;) {
    const line = open()
    if (await line.secure) return line
  }
}
