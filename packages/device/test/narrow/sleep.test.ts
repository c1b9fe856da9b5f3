/** Between two readings a device sleeps, moves, and gets new keys. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coapCode, optionNumber } from '@countersign/core/coap'
import { cbor, hex, utf8 } from '@countersign/core/codec'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { decodeRecord, encodeRecord } from '../../src/portable/narrow/record.ts'
import { x5t } from './honestServer.ts'
import {
  certificates,
  credentialOf,
  makeScene,
  MemoryStorage,
  reading,
  response,
  type Scene,
  serverAddress,
} from './scene.ts'

const day = 86_400_000

/** Datagrams of the device. */
function sent({ network }: Scene): number[] {
  const lengths: number[] = []
  network.observe(({ act, datagram, to }) => {
    if (act === 'sent' && to === serverAddress) lengths.push(datagram.length)
  })
  return lengths
}

test('a device that slept for days goes on with one datagram', async () => {
  const scene = makeScene()
  const { time, server, witness, device } = scene
  const { session } = await device()
  await time.until(session.request(reading(1)))
  await session.sleep()
  await time.advance(6 * day)
  session.wake()
  const datagrams = sent(scene)
  const { code } = await time.until(session.request(reading(2)))
  assert.equal(code, coapCode.changed)
  assert.equal(datagrams.length, 1)
  assert.equal(server.counts.message3, 1)
  assert.deepEqual(witness.reused, [])
})

test('a sleeping session asks for nothing, and a timer of it wakes nobody', async () => {
  const { time, device } = makeScene()
  const { session } = await device()
  await time.until(session.request(reading(1)))
  await session.sleep()
  await assert.rejects(session.request(reading(2)), { code: 'ERR_NARROW_CLOSED' })
  await session.sleep()
  await time.run(day)
  assert.equal(time.waiting, 0)
})

test('a request under way when the device goes to sleep fails, and the number is the application’s', async () => {
  const { time, server, serverLink, device } = makeScene()
  const { session } = await device()
  await time.until(session.request(reading(1)))
  serverLink.cut(60_000)
  const asked = session.request(reading(2))
  const failed = assert.rejects(asked, { code: /^ERR_(COAP|NARROW)_CLOSED$/ })
  await time.advance(1_000)
  await time.until(session.sleep())
  await failed
  await time.advance(60_000)
  session.wake()
  await time.until(session.request(reading(2)))
  assert.deepEqual([...server.stored.keys()], ['m/room?n=1', 'm/room?n=2'])
})

test('the address changes while it is awake and while it sleeps: no handshake, and commands follow it', async () => {
  const { time, server, device, network } = makeScene()
  const { session, link, storage, served, cut } = await device()
  await time.until(session.request(reading(1)))
  link.rebind('10.0.0.7:51000')
  await time.until(session.request(reading(2)))
  await time.until(server.ask({ path: ['c', 'x'] }))
  assert.equal(served.length, 1)
  cut()
  const moved = await device({}, storage, '[2001:db8::7]:40000')
  await time.until(moved.session.request(reading(3)))
  await time.until(server.ask({ path: ['c', 'x'] }))
  assert.equal(moved.served.length, 1)
  assert.equal(server.counts.message3, 1)
  network.through(undefined)
})

test('a server that has lost the context gets a new handshake with the same reading', async () => {
  const { time, server, device } = makeScene()
  const { session } = await device()
  await time.until(session.request(reading(1)))
  await time.advance(day)
  server.forget()
  await time.until(session.request(reading(2)))
  assert.equal(server.counts.message3, 2)
  assert.deepEqual([...server.stored.keys()], ['m/room?n=1', 'm/room?n=2'])
})

test('a server that lost its windows asks for Echo, and no handshake is made', async () => {
  const { time, server, device } = makeScene()
  const { session } = await device()
  await time.until(session.request(reading(1)))
  server.loseWindows()
  const { code } = await time.until(session.request(reading(2)))
  assert.equal(code, coapCode.changed)
  assert.equal(server.counts.message3, 1)
  assert.deepEqual(server.requests, ['m/room?n=1', 'm/room?n=2'])
})

test('a server that says under OSCORE that a context has ended gets a new one at once', async () => {
  const { time, server, device } = makeScene()
  const { session } = await device()
  await time.until(session.request(reading(1)))
  let isEnded = false
  const { answer } = server
  server.answer = (request) => {
    if (isEnded) return answer(request)
    isEnded = true
    return response(coapCode.unauthorized, utf8('ERR_CONTEXT_ENDED'))
  }
  const { code } = await time.until(session.request(reading(2)), 2_000)
  assert.equal(code, coapCode.changed)
  assert.equal(server.counts.message3, 2)
})

test('a server that says so every time costs one handshake for a request', async () => {
  const { time, server, device } = makeScene()
  const { session } = await device()
  await time.until(session.request(reading(1)))
  server.answer = () => response(coapCode.unauthorized, utf8('ERR_CONTEXT_ENDED'))
  const { code } = await time.until(session.request(reading(2)))
  assert.equal(code, coapCode.unauthorized)
  assert.equal(server.counts.message3, 2)
})

test('a new certificate makes a new handshake; the old context serves until it has come through', async () => {
  const { time, server, device, network } = makeScene()
  const { session, storage } = await device()
  await time.until(session.request(reading(1)))
  const before = hex(storage.bytes ?? new Uint8Array())
  const leaf = await certificates.owner.issue('device', 'clientAuth')
  session.changeCredential(credentialOf(leaf))
  await time.advance(day)
  // Nobody hears EDHOC: the reading goes all the same.
  network.through((datagram, from, to) => {
    if (datagram.length < 100) network.carry(datagram, from, to)
  })
  const late = await time.until(session.request(reading(2)))
  assert.equal(late.code, coapCode.changed)
  assert.equal(server.counts.message3, 1)
  network.through(undefined)
  await time.advance(day)
  server.known.set(hex(x5t(nodeCrypto, leaf.der).value), leaf.der)
  await time.until(session.request(reading(3)))
  assert.equal(server.counts.message3, 2)
  assert.notEqual(hex(storage.bytes ?? new Uint8Array()), before)
  assert.equal(server.stored.size, 3)
})

/** The record, with so many messages on its context. */
function worn(storage: MemoryStorage, sealed: number): void {
  const record = decodeRecord(nodeCrypto, storage.bytes ?? new Uint8Array())
  const { current } = record
  assert.ok(current)
  const { context } = current
  const state = { ...context.state, usage: { sealed, failed: 0 } }
  const used = { ...current, context: { ...context, state } }
  storage.bytes = encodeRecord(nodeCrypto, { ...record, current: used })
}

test('keys that have been used for long are replaced, and serve until then', async () => {
  const { time, server, network, device } = makeScene()
  const { storage, ...first } = await device()
  await time.until(first.session.request(reading(1)))
  first.cut()
  worn(storage, 900_000)
  const { session } = await device({}, storage)
  await time.advance(day)
  network.through((datagram, from, to) => {
    if (datagram.length < 100) network.carry(datagram, from, to)
  })
  await time.until(session.request(reading(2)))
  assert.equal(server.counts.message3, 1)
  network.through(undefined)
  await time.advance(day)
  await time.until(session.request(reading(3)))
  assert.equal(server.counts.message3, 2)
  assert.equal(server.stored.size, 3)
})

test('keys that are used up carry nothing any more', async () => {
  const { time, server, device } = makeScene()
  const { storage, ...first } = await device()
  await time.until(first.session.request(reading(1)))
  first.cut()
  worn(storage, 2 ** 20)
  const { session } = await device({}, storage)
  await time.advance(day)
  await time.until(session.request(reading(2)))
  assert.equal(server.counts.message3, 2)
})

test('a device without a clock takes the time from the server, and never goes back behind it', async () => {
  const scene = makeScene()
  const { time, device } = scene
  const timeFloor = Date.UTC(2025, 5, 1)
  // Counts from zero, as with each start of the device.
  const begun = time.now()
  const clock = { now: () => time.now() - begun }
  const storage = new MemoryStorage()
  const first = await device({ hasClock: false, timeFloor, clock }, storage)
  assert.equal(first.session.time.now(), timeFloor)
  await time.until(first.session.request(reading(1)))
  const heard = first.session.time.now()
  assert.ok(Math.abs(heard - time.now()) < 1_000)
  first.cut()
  const second = await device({ hasClock: false, timeFloor, clock: { now: () => 5 } }, storage)
  assert.ok(second.session.time.now() >= heard - 1_000)
})

test('the time of a device without a clock goes on while it sleeps, and it asks once a day', async () => {
  const scene = makeScene()
  const { time, server, device } = scene
  const asked: boolean[] = []
  const { answer } = server
  server.answer = (request) => {
    asked.push(request.options.some(({ value }) => Buffer.from(value).toString() === 't'))
    return answer(request)
  }
  const timeFloor = Date.UTC(2025, 5, 1)
  const { session } = await device({ hasClock: false, timeFloor })
  for (let number = 1; number <= 4; number++) {
    await time.until(session.request(reading(number)))
    await session.sleep()
    await time.advance(day / 3)
    session.wake()
  }
  assert.deepEqual(asked, [true, false, false, true])
  assert.ok(Math.abs(session.time.now() - time.now()) < 2_000)
})

test('a time past the certificate of the server is a mistake of the server’s clock', async () => {
  const { time, server, device } = makeScene()
  const timeFloor = Date.UTC(2025, 5, 1)
  const { session } = await device({ hasClock: false, timeFloor })
  server.answer = () => ({
    code: coapCode.changed,
    options: [{ number: optionNumber.contentFormat, value: Uint8Array.of(60) }],
    // 2099.
    payload: cbor.int(4_070_908_800),
  })
  await time.until(session.request(reading(1)))
  assert.ok(session.time.now() < timeFloor + day)
})

test('large bodies go in blocks both ways, and message_3 goes alone before them', async () => {
  const { time, server, device } = makeScene()
  const { session } = await device()
  const text = 'z'.repeat(65_536)
  const bodies: number[] = []
  server.answer = (request) => {
    const block = request.options.find(({ number }) => number === optionNumber.block1)
    bodies.push(request.payload.length)
    const isLast = block === undefined || ((block.value.at(-1) ?? 0) & 8) === 0
    const echo = block === undefined ? [] : [block]
    const code = isLast ? coapCode.changed : coapCode.continue
    return { code, options: echo, payload: new Uint8Array() }
  }
  const { code } = await time.until(session.request(reading(1, text)))
  assert.equal(code, coapCode.changed)
  assert.equal(bodies.length, 64)
  assert.ok(bodies.every((length) => length === 1024))
})
