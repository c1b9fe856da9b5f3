import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { type Duplex, duplexPair, Readable } from 'node:stream'
import { after, test } from 'node:test'
import type { ResumableSession } from '@countersign/core/tls'
import { handshakeMs, makeStage, noLimit } from './streamScene.ts'

const stage = makeStage(after)
const megabyte = 1024 * 1024

/** Everything until the end. */
async function read(stream: Duplex): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

function echo(server: Duplex): void {
  server.pipe(server)
}

test('what is written arrives whole, both ways, whatever its size', async () => {
  const { stream, server } = await stage.meet()
  echo(server)
  const sent = randomBytes(3 * megabyte + 17)
  const heard = read(stream)
  stream.write('')
  for (let at = 0; at < sent.length; at += 50_001) {
    if (!stream.write(sent.subarray(at, at + 50_001))) await once(stream, 'drain')
  }
  stream.end()
  assert.deepEqual(await heard, sent)
})

test('a write waits until the stream below has taken it', async () => {
  const { stream, server, below } = await stage.meet()
  server.pause()
  let written = 0
  while (written < 64 * megabyte && stream.write(randomBytes(65_536))) written += 65_536
  // Now the server does not read: what is on the way is bounded by the buffers between.
  const isBounded = stream.writableLength + below.writableLength < megabyte
  assert.ok(isBounded, `${stream.writableLength} and ${below.writableLength} bytes wait`)
  assert.ok(stream.writableNeedDrain)
  server.resume()
  await once(stream, 'drain')
  stream.destroy()
})

test('who does not read holds the server back, and gets everything later', async () => {
  const { stream, server } = await stage.meet()
  const sent = randomBytes(8 * megabyte)
  const pieces = Array.from({ length: 128 }, (_, at) =>
    sent.subarray(at * 65_536, (at + 1) * 65_536),
  )
  Readable.from(pieces, { objectMode: false }).pipe(server)
  // Turns of the event loop until nothing moves any more.
  let before = -1
  while (before !== stream.readableLength) {
    before = stream.readableLength
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(stream.readableLength < 512 * 1024, `${stream.readableLength} bytes were taken`)
  assert.equal(server.writableFinished, false)
  assert.deepEqual(await read(stream), sent)
})

test('a header and its body that are written together are one record', async () => {
  const { stream, server, below } = await stage.meet()
  let records = 0
  const write = below.write.bind(below)
  below.write = (chunk: Uint8Array) => {
    records++
    return write(chunk)
  }
  stream.cork()
  stream.write('POST / HTTP/1.1\r\n')
  stream.write('\r\nbody')
  stream.uncork()
  const [heard] = await once(server, 'data')
  assert.equal(String(heard), 'POST / HTTP/1.1\r\n\r\nbody')
  assert.equal(records, 1)
  stream.destroy()
})

test('after our end the server may go on; after its own the stream is closed', async () => {
  const { stream, server } = await stage.meet()
  const closed = once(stream, 'close')
  server.on('data', () => undefined)
  server.once('end', () => server.end('and one more thing'))
  stream.end('last words')
  assert.equal(String(await read(stream)), 'and one more thing')
  await closed
  assert.equal(stream.errored, null)
})

test('half open, the stream can be written after the server has ended', async () => {
  const { stream, server } = await stage.meet({ allowHalfOpen: true })
  server.allowHalfOpen = true
  server.end('bye')
  assert.equal(String(await read(stream)), 'bye')
  stream.end('but wait')
  const heard = await read(server)
  assert.equal(String(heard), 'but wait')
})

test('a server that takes its leave properly leaves its data behind, to be read at leisure', async () => {
  const { stream, server, below } = await stage.meet()
  server.end('a last reading')
  await once(below, 'end')
  below.destroy()
  await once(below, 'close')
  assert.equal(String(await read(stream)), 'a last reading')
})

test('a connection that is cut is an error, never an end', async () => {
  const { stream, below } = await stage.meet()
  below.push(null)
  await assert.rejects(read(stream), { code: 'ERR_TLS_TRUNCATED' })
})

test('an error below is an error above', async () => {
  const { stream, below } = await stage.meet()
  below.destroy(Object.assign(new Error('the cable'), { code: 'EIO' }))
  await assert.rejects(read(stream), { code: 'EIO' })
  await assert.rejects(new Promise((_, reject) => stream.write('x', (error) => reject(error))))
})

test('a changed byte ends the connection', async () => {
  let isTampering = false
  const { stream, server } = await stage.meet({}, (bytes) => {
    if (isTampering) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    return [bytes]
  })
  const ended = once(server, 'end')
  isTampering = true
  server.write('a message')
  await assert.rejects(read(stream), { code: 'ERR_TLS_RECORD_MAC' })
  server.resume()
  await ended
})

test('bytes that arrive one at a time are the same stream', async () => {
  const { stream, server } = await stage.meet({}, (bytes) =>
    Array.from(bytes, (byte) => Buffer.of(byte)),
  )
  server.end('in pieces')
  assert.equal(String(await read(stream)), 'in pieces')
})

test('a server that goes silent anywhere in its flight is given up when the time is over', async () => {
  const flight = await flightLength()
  // At every record's header and within each record.
  for (let kept = 0; kept < flight; kept += 41) {
    let left = kept
    const { limit, end } = limitByHand()
    const { stream, server } = stage.approach({ limit }, (bytes) => {
      const part = bytes.subarray(0, left)
      left -= part.length
      if (left === 0) queueMicrotask(end)
      return part.length === 0 ? [] : [part]
    })
    await assert.rejects(stream, { code: 'ERR_SERVER_TIMEOUT' }, `after ${kept} bytes`)
    server.destroy()
  }
})

/** The time of a handshake, ended by the test; a farewell is not waited for. */
function limitByHand(): { readonly limit: typeof noLimit; readonly end: () => void } {
  let over: (() => void) | undefined
  return {
    limit: async (milliseconds, signal) => {
      if (milliseconds < handshakeMs) return
      const ended = new Promise<void>((resolve) => (over = resolve))
      await Promise.race([ended, noLimit(milliseconds, signal)])
    },
    end: () => over?.(),
  }
}

async function flightLength(): Promise<number> {
  let length = 0
  const { stream } = await stage.meet({}, (bytes) => {
    length += bytes.length
    return [bytes]
  })
  stream.destroy()
  // Tickets come behind the flight: they are no part of the handshake.
  return length - 2 * 300
}

test('an element that takes its time is waited for, and one that fails is named', async () => {
  const asked = new EventEmitter<{ sign: [() => void] }>()
  const waiting = once(asked, 'sign')
  const slow = stage.approach({
    credential: {
      chain: stage.chain,
      signer: {
        ...stage.signer,
        sign: async (message) => {
          await new Promise<void>((resolve) => asked.emit('sign', resolve))
          return stage.signer.sign(message)
        },
      },
    },
  })
  const [sign] = await waiting
  sign()
  assert.equal((await slow.stream).secured?.isAuthenticated, true)
  slow.server.destroy()

  const broken = stage.approach({
    credential: {
      chain: stage.chain,
      signer: { ...stage.signer, sign: () => Promise.reject(new Error('the bus is stuck')) },
    },
  })
  const told = once(broken.server, 'error')
  await assert.rejects(broken.stream, { code: 'ERR_TLS_SIGNER', message: /the bus is stuck/ })
  assert.match(String(await told), /internal error/i)
})

test('what a chip gives as r || s is no signature of TLS, and the error says what makes it one', async () => {
  const signer = { ...stage.signer, sign: async () => new Uint8Array(64).fill(0x30) }
  const { stream, server } = stage.approach({ credential: { chain: stage.chain, signer } })
  await assert.rejects(stream, { code: 'ERR_TLS_SIGNER', message: /ecdsaToDer/ })
  server.destroy()
})

test('an element that never answers is given up, and its late answer changes nothing', async () => {
  const asked = new EventEmitter<{ sign: [(signature: Uint8Array) => void] }>()
  const waiting = once(asked, 'sign')
  const { limit, end } = limitByHand()
  const { stream, below } = stage.approach({
    limit,
    credential: {
      chain: stage.chain,
      signer: {
        ...stage.signer,
        sign: () => new Promise((resolve) => asked.emit('sign', resolve)),
      },
    },
  })
  const [answer] = await waiting
  end()
  await assert.rejects(stream, { code: 'ERR_SERVER_TIMEOUT' })
  answer(new Uint8Array(70))
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(below.destroyed)
})

test('a stream that is destroyed in its handshake ends it', async () => {
  const { stream, below } = stage.approach()
  below.destroy()
  await assert.rejects(stream, { code: 'ERR_TLS_TRUNCATED' })
})

test('a stream below that is over already is told at once', async () => {
  const over: readonly ((below: Duplex) => unknown)[] = [
    (below) => below.destroy(),
    (below) => below.end(),
    (below) => below.resume().push(null),
  ]
  for (const end of over) {
    const [below] = duplexPair()
    end(below)
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    await assert.rejects(stage.connect(below), { code: 'ERR_SERVER_UNREACHABLE' })
    assert.ok(below.destroyed)
  }
})

test('a policy that cannot work is refused before a byte goes out', async () => {
  const { stream, below } = stage.approach({ policy: { suites: [] } })
  await assert.rejects(stream, { code: 'ERR_TLS_POLICY' })
  assert.ok(below.destroyed)
})

test('a resumed connection asks nothing of the element', async () => {
  const tickets: ResumableSession[] = []
  const first = await stage.meet({ onSession: (session) => tickets.push(session) })
  first.server.end('hello')
  await read(first.stream)
  const [session] = tickets
  assert.ok(session)
  const again = await stage.meet({
    session,
    credential: {
      chain: stage.chain,
      signer: { ...stage.signer, sign: () => assert.fail('the element was asked') },
    },
  })
  assert.equal(again.stream.secured?.isResumed, true)
  assert.equal(again.server.isSessionReused(), true)
  again.stream.destroy()
})

test('both sides export the same keying material', async () => {
  const { stream, server } = await stage.meet()
  stream.write('so that it has seen the end of the handshake')
  await once(server, 'data')
  const context = Buffer.from('context')
  const ours = stream.exporter('EXPORTER-test', context, 40)
  assert.deepEqual(Buffer.from(ours), server.exportKeyingMaterial(40, 'EXPORTER-test', context))
  stream.destroy()
})
