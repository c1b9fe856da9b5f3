import assert from 'node:assert/strict'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import {
  type DeviceEvent,
  enroll,
  lineSource,
  renew,
  run,
  send,
  show,
  systemWorld,
  textSample,
  type World,
} from '@countersign/device'
import { openTestHouse } from './house.ts'

const house = await openTestHouse()
let states = 0
const freshState = (): string => join(house.root, `device-${states++}`)
/** The way breaks here and there on purpose: no test waits for a minute. */
const soon = { broken: { firstMs: 5, maxMs: 20 }, refused: { firstMs: 5, maxMs: 20 } }
const day = 86_400_000

async function enrolled(serial: string): Promise<{ state: string; id: string; eui64: string }> {
  const state = freshState()
  const { id, eui64 } = await enroll({ ...(await house.invite()), serial, state })
  return { state, id, eui64 }
}

test('a device enrols, sends, and shows who it is', async () => {
  const { state, id, eui64 } = await enrolled('SN-1')
  assert.equal((await stat(state)).mode & 0o077, 0)
  const first = await send({
    state,
    topic: 'room/temperature',
    sample: textSample('{"celsius":21}'),
  })
  assert.deepEqual(first, { id: `${eui64}-1`, number: 1, topic: 'room/temperature', delivered: 1 })
  const second = await send({ state, topic: 'note', sample: textSample('warm') })
  assert.equal(second.number, 2)
  const stored = await house.messages()
  assert.deepEqual(stored.get(`${eui64}-1`), { celsius: 21 })
  assert.equal(stored.get(`${eui64}-2`), 'warm')
  const shown = await show({ state })
  assert.partialDeepStrictEqual(shown, {
    status: 'enrolled',
    id,
    eui64,
    serial: 'SN-1',
    server: house.https,
    readings: { waiting: 0 },
  })
  const known = await house.call('identity.show', { id })
  assert.equal(known.certificates[0]?.serial, shown.certificate?.serial)
})

test('the EUI-64 and the serial number of a device are its own', async () => {
  const { eui64 } = await enrolled('SN-2')
  const other = { ...(await house.invite()), state: freshState() }
  await assert.rejects(enroll({ ...other, serial: 'SN-2b', eui64 }), {
    code: 'ERR_ENROLL_REFUSED',
  })
  // Nor its serial number.
  await assert.rejects(enroll({ ...other, serial: 'SN-2' }), { code: 'ERR_ENROLL_REFUSED' })
  assert.equal((await enroll({ ...other, serial: 'SN-2b' })).serial, 'SN-2b')
})

test('a wrong token is said to be one, and the device can enrol with the right one afterwards', async () => {
  const invitation = await house.invite()
  const state = freshState()
  await assert.rejects(enroll({ ...invitation, token: 'guessed', serial: 'SN-3', state }), {
    code: 'ERR_ENROLL_REFUSED',
    details: { status: 401, code: 'ERR_TOKEN_UNKNOWN' },
  })
  assert.equal((await show({ state })).status, 'enrolling')
  await assert.rejects(send({ state, topic: 'x', sample: textSample('1') }), {
    code: 'ERR_NOT_ENROLLED',
  })
  await enroll({ ...invitation, serial: 'SN-3', state })
  await assert.rejects(enroll({ ...invitation, serial: 'SN-3', state }), {
    code: 'ERR_ALREADY_ENROLLED',
  })
})

test('after a lost answer the same key gets the same certificate', async () => {
  const invitation = await house.invite()
  const proxy = await losingProxy(Number(new URL(house.https).port))
  const state = freshState()
  const world: World = { ...systemWorld(), wait: async () => proxy.mend() }
  const server = `https://localhost:${proxy.port}`
  const { certificate, id } = await enroll({ ...invitation, server, serial: 'SN-4', state, world })
  assert.equal(proxy.lost(), 1)
  const { certificates } = await house.call('identity.show', { id })
  assert.deepEqual(
    certificates.map((each) => each.serial),
    [certificate.serial],
  )
})

test('an enrolment that is told to stop does not go on trying', async () => {
  const stop = new AbortController()
  let waits = 0
  const world: World = {
    ...systemWorld(),
    wait: async () => {
      waits++
      stop.abort()
    },
  }
  const nowhere = { ...(await house.invite()), server: 'https://localhost:1', signal: stop.signal }
  await assert.rejects(enroll({ ...nowhere, serial: 'SN-4b', state: freshState(), world }), {
    code: 'ERR_SERVER_UNREACHABLE',
  })
  assert.equal(waits, 1)
})

test('a device whose certificate has run out says so when it is refused', async () => {
  const { state, id } = await enrolled('SN-4c')
  await house.call('identity.suspend', { id })
  const world: World = {
    ...systemWorld(),
    clock: { now: () => Date.parse('2020-01-01T00:00:00Z') },
  }
  // By such a clock the server is not valid either: the clock is what both hints speak of.
  await assert.rejects(send({ state, topic: 'x', sample: textSample('1'), world }), {
    code: 'ERR_CERT_NOT_YET_VALID',
    hint: /clock of this machine says 2020/,
  })
  const late: World = { ...systemWorld(), clock: { now: () => Date.now() + 100 * day } }
  await assert.rejects(send({ state, topic: 'x', sample: textSample('1'), world: late }), {
    hint: /clock of this machine says/,
  })
})

test('a renewal takes the second key and is used only after it worked', async () => {
  const { state, id, eui64 } = await enrolled('SN-5')
  const before5 = await show({ state })
  const renewed = await renew({ state })
  assert.notEqual(renewed.certificate.serial, before5.certificate?.serial)
  assert.equal(renewed.id, id)
  await send({ state, topic: 'x', sample: textSample('1') })
  assert.ok((await house.messages()).has(`${eui64}-1`))
  const { certificates } = await house.call('identity.show', { id })
  assert.deepEqual(
    new Set(certificates.map(({ status }) => status)),
    new Set(['superseded', 'confirmed']),
  )
  const again = await renew({ state })
  assert.notEqual(again.certificate.serial, renewed.certificate.serial)
  await send({ state, topic: 'x', sample: textSample('2') })
})

test('a renewal whose answer was lost goes on with the same key', async () => {
  const { state, id } = await enrolled('SN-6')
  // The answer is issued and cannot be awaited: a patience of one millisecond is over before it
  // comes.
  const hasty: World = { ...systemWorld(), patience: { handshakeMs: 10_000, answerMs: 1 } }
  await assert.rejects(renew({ state, world: hasty }), { code: 'ERR_SERVER_TIMEOUT' })
  assert.equal((await show({ state })).certificate?.renewing, true)
  await renew({ state })
  const { certificates } = await house.call('identity.show', { id })
  assert.equal(certificates.length, 2)
  assert.equal((await show({ state })).certificate?.renewing, false)
})

test('a suspended device is refused, keeps its readings, and delivers them when it is resumed', async () => {
  const { state, id, eui64 } = await enrolled('SN-7')
  await house.call('identity.suspend', { id, reason: 'in repair' })
  await assert.rejects(send({ state, topic: 'x', sample: textSample('"kept"') }), {
    code: 'ERR_DEVICE_REFUSED',
    hint: /The reading is kept as number \d+.*identity why/,
  })
  assert.equal((await show({ state })).readings.waiting, 1)
  await house.call('identity.resume', { id })
  const sent = await send({ state, topic: 'x', sample: textSample('"next"') })
  assert.equal(sent.delivered, 2)
  const stored = await house.messages()
  assert.equal(stored.get(`${eui64}-1`), 'kept')
  assert.equal(stored.get(`${eui64}-2`), 'next')
})

test('a revoked device loses its connection at once and learns that it is refused', async () => {
  const { state, id } = await enrolled('SN-8')
  const stop = new AbortController()
  const heard: DeviceEvent['event'][] = []
  const input = new Readable({ read: () => undefined })
  const running = run({
    state,
    source: lineSource(input),
    signal: stop.signal,
    backoff: soon,
    listener: ({ event }) => {
      heard.push(event)
      if (event === 'sent') void house.call('identity.revoke', { id, reason: 'keyCompromise' })
      if (event === 'disconnected') input.push('2\n')
      if (event === 'refused') stop.abort()
    },
  })
  input.push('1\n')
  const summary = await running
  assert.deepEqual(heard, ['connected', 'sent', 'disconnected', 'connected', 'refused'])
  assert.deepEqual(summary, { sent: 1, rejected: 0, dropped: 0, waiting: 1 })
})

test('while the server is away readings wait, and a run delivers them in order', async () => {
  const { state, eui64 } = await enrolled('SN-9')
  const heard: number[] = []
  // Away, as a device sees it: whatever the server says comes too late.
  const patience = { handshakeMs: 1, answerMs: 1 }
  const cut: World = { ...systemWorld(), patience, wait: async () => undefined }
  await assert.rejects(send({ state, topic: 'x', sample: textSample('"a"'), world: cut }), {
    code: 'ERR_SERVER_TIMEOUT',
    details: { number: 1 },
  })
  const summary = await run({
    state,
    source: lineSource(Readable.from(['"b"\n"c"\n'])),
    topic: 'x',
    listener: (event) => event.event === 'sent' && heard.push(event.number),
  })
  assert.deepEqual(heard, [1, 2, 3])
  assert.equal(summary.waiting, 0)
  const stored = await house.messages()
  assert.deepEqual(
    [1, 2, 3].map((number) => stored.get(`${eui64}-${number}`)),
    ['a', 'b', 'c'],
  )
})

test('a run renews by itself in the last third of the certificate, and goes on sending', async () => {
  const { state, eui64 } = await enrolled('SN-10')
  const world: World = { ...systemWorld(), clock: { now: () => Date.now() + 70 * day } }
  const heard: DeviceEvent['event'][] = []
  await run({
    state,
    world,
    source: lineSource(Readable.from(['1\n2\n'])),
    topic: 'x',
    listener: ({ event }) => heard.push(event),
  })
  assert.equal(heard.filter((event) => event === 'renewed').length, 1)
  assert.equal(heard.filter((event) => event === 'sent').length, 2)
  assert.ok((await house.messages()).has(`${eui64}-2`))
})

test('a reading that the server will never take is given up and does not block the next', async () => {
  const { state, eui64 } = await enrolled('SN-11')
  const sample = { contentType: 'not a media type', data: Buffer.from('x') }
  await assert.rejects(send({ state, topic: 'x', sample }), { code: 'ERR_READING_REFUSED' })
  await send({ state, topic: 'x', sample: textSample('2') })
  assert.ok((await house.messages()).has(`${eui64}-2`))
})

test('one state is worked in by one command at a time', async () => {
  const { state } = await enrolled('SN-12')
  const stop = new AbortController()
  const silent = lineSource(new Readable({ read: () => undefined }))
  const running = run({ state, source: silent, signal: stop.signal })
  await assert.rejects(
    async () => {
      // The run takes the lock in its first turns.
      for (let attempt = 0; attempt < 100; attempt++)
        await send({ state, topic: 'x', sample: textSample('1') })
    },
    { code: 'ERR_STATE_LOCKED' },
  )
  stop.abort()
  await running
})

/** Lets everything through but the first answer after a handshake: then the connection is gone. */
async function losingProxy(port: number): Promise<{ port: number; lost(): number; mend(): void }> {
  let broken = true
  let lost = 0
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    let asked = 0
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
    client.on('data', (chunk) => {
      asked++
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      // The client speaks a second time when it has the server's whole flight: what follows is
      // tickets and the answer.
      if (!broken || asked < 2) return void client.write(chunk)
      if (chunk.length < 600) return
      lost++
      end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, lost: () => lost, mend: () => void (broken = false) }
}
