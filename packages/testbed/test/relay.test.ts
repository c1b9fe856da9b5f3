import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type HostileRelay, hostileRelay, type PlanOptions } from '../src/index.ts'

/** Says back what it hears. */
const echo = createServer((socket) => {
  socket.on('error', () => socket.destroy())
  socket.pipe(socket)
})
const port = await listening(echo)
after(() => echo.close())

const quiet: PlanOptions = { faultShare: 0, delayMsMax: 0 }

async function relayTo(plan: PlanOptions, target = port): Promise<HostileRelay> {
  const relay = await hostileRelay({ target: { host: '127.0.0.1', port: target }, seed: 1, plan })
  after(() => relay.close())
  return relay
}

test('a quiet relay carries bytes unchanged, counts them and finds them again', async () => {
  const relay = await relayTo({ faultShare: 0, delayMsMax: 3 })
  const said = Buffer.alloc(300_000, 'known plaintext. ')
  assert.deepEqual(await talk(relay.port, said), said)
  const stats = await relay.stats()
  assert.equal(stats.bytes, 2 * said.length)
  assert.equal(stats.connections, 1)
  assert.equal(stats.tampered, 0)
  assert.ok(stats.frames >= 2)
  // Both ways, also across the borders of chunks.
  const found = await relay.search([Buffer.from('known plaintext')])
  assert.deepEqual(found, {
    found: 2 * said.toString().split('known plaintext').length - 2,
    complete: true,
  })
  assert.equal((await relay.search([Buffer.from('never said')])).found, 0)
})

test('every kind of fault breaks the bytes or the connection and is counted', async () => {
  for (const fault of ['flip', 'duplicate', 'truncate', 'drop'] as const) {
    const relay = await relayTo({ faultShare: 1, delayMsMax: 0, faults: [fault] })
    const said: string[] = []
    const answers: string[] = []
    const socket = connect(relay.port, '127.0.0.1')
    // Rounds, because the plan may hit a later chunk than the first.
    for (let round = 0; round < 8 && !socket.destroyed; round++) {
      said.push(`round ${round};`)
      socket.write(`round ${round};`)
      answers.push(await nextChunk(socket))
    }
    socket.destroy()
    assert.equal((await relay.stats()).tampered, 1, fault)
    assert.notDeepEqual(answers, said, fault)
  }
})

test('a chunk that is held back is overtaken by the next one, or goes on late', async () => {
  const relay = await relayTo({ faultShare: 1, delayMsMax: 0, faults: ['reorder'] })
  const socket = connect(relay.port, '127.0.0.1')
  socket.setNoDelay(true)
  let said = ''
  for (let round = 0; round < 12; round++) {
    said += `${round};`
    socket.write(`${round};`)
    // Apart from each other, so that each is a chunk of its own.
    await sleep(10)
  }
  socket.end()
  const answer = Buffer.concat(await socket.toArray()).toString()
  assert.equal((await relay.stats()).tampered, 1)
  assert.notEqual(answer, said)
  assert.deepEqual(answer.split(';').toSorted(), said.split(';').toSorted())
})

test('a plan can be changed while the relay runs', async () => {
  const relay = await relayTo({ faultShare: 1, delayMsMax: 0, faults: ['drop'] })
  await relay.setPlan(quiet)
  assert.deepEqual(await talk(relay.port, Buffer.from('through')), Buffer.from('through'))
})

test('a server that is not there closes the device its connection', async () => {
  const closed = createServer()
  const free = await listening(closed)
  closed.close()
  await once(closed, 'close')
  const relay = await relayTo(quiet, free)
  const socket = connect(relay.port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'close')
})

test('a relay that has ended says so', async () => {
  const relay = await relayTo(quiet)
  await relay.close()
  await assert.rejects(relay.stats(), { code: 'ERR_RELAY' })
})

async function talk(to: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect(to, '127.0.0.1')
  socket.end(bytes)
  return Buffer.concat(await socket.toArray())
}

/**
 * The next chunk, or what tells that none comes: the end, an error, or half a second of silence.
 */
function nextChunk(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done('silence'), 500)
    const done = (what: string): void => {
      clearTimeout(timer)
      socket.removeAllListeners('data').removeAllListeners('error').removeAllListeners('close')
      resolve(what)
    }
    socket.once('data', (chunk) => done(chunk.toString()))
    socket.once('error', () => done('error'))
    socket.once('close', () => done('closed'))
  })
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
