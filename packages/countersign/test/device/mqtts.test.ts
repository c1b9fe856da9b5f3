import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import {
  type DeviceEvent,
  enroll,
  lineSource,
  type RunOptions,
  type RunSummary,
  renew,
  run,
  send,
  show,
  systemWorld,
  textSample,
  type World,
} from '@countersign/device'
import { hostileRelay } from '@countersign/testbed'
import { openTestHouse } from './house.ts'
import { strangeServer } from './strangeServer.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const house = await openTestHouse()
let states = 0
const freshState = (): string => join(house.root, `device-${states++}`)
/** The way breaks here and there on purpose: no test waits for a minute. */
const backoff = { broken: { firstMs: 5, maxMs: 20 }, refused: { firstMs: 5, maxMs: 20 } }
const road = 'mqtts'
const day = 86_400_000
const atOnce = async (): Promise<void> => undefined

async function enrolled(serial: string): Promise<{ state: string; id: string; eui64: string }> {
  const state = freshState()
  const { id, eui64 } = await enroll({ ...(await house.invite()), serial, state })
  return { state, id, eui64 }
}

interface Running {
  readonly heard: readonly DeviceEvent['event'][]
  readonly ended: Promise<RunSummary>
  readonly push: (line: string) => void
  readonly stop: () => void
}

/** A run over mqtts that is fed line by line. */
function start(
  state: string,
  hear: (event: DeviceEvent, running: Running) => void,
  options: Partial<RunOptions> = {},
): Running {
  const input = new Readable({ read: () => undefined })
  const stop = new AbortController()
  const heard: DeviceEvent['event'][] = []
  const ended = run({
    state,
    road,
    source: lineSource(input),
    topic: 'x',
    signal: stop.signal,
    backoff,
    ...options,
    listener: (event) => {
      heard.push(event.event)
      hear(event, running)
    },
  })
  const push = (line: string): void => void input.push(`${line}\n`)
  const running: Running = { heard, ended, push, stop: () => stop.abort() }
  return running
}

test('a device sends over mqtts where the invitation said, and its reading is an event like any other', async () => {
  const { state, id, eui64 } = await enrolled('MQ-1')
  const sample = textSample('{"celsius":21}')
  const sent = await send({ state, road, topic: 'room/temperature', sample })
  assert.deepEqual(sent, { id: `${eui64}-1`, number: 1, topic: 'room/temperature', delivered: 1 })
  await send({ state, road, topic: 'note', sample: textSample('warm') })
  const { mqtts } = await house.invite()
  assert.equal((await show({ state })).mqtts, mqtts)
  assert.partialDeepStrictEqual(await house.events(id), [
    {
      id: `${eui64}-1`,
      source: id,
      subject: 'room/temperature',
      road: 'mqtts',
      datacontenttype: 'application/json',
      data: { celsius: 21 },
    },
    { id: `${eui64}-2`, datacontenttype: 'text/plain; charset=utf-8', data: 'warm' },
  ])
})

test('a run keeps one connection for all its readings, and takes its leave', async () => {
  const { state, id } = await enrolled('MQ-2')
  const heard: DeviceEvent[] = []
  const source = lineSource(Readable.from(['1\n2\n3\n']))
  const summary = await run({ state, road, source, listener: (event) => heard.push(event) })
  assert.deepEqual(summary, { sent: 3, rejected: 0, dropped: 0, waiting: 0 })
  const { mqtts } = await house.invite()
  assert.deepEqual(heard[0], { event: 'connected', server: mqtts })
  assert.deepEqual(
    heard.slice(1).map(({ event }) => event),
    ['sent', 'sent', 'sent'],
  )
  assert.equal((await house.call('identity.show', { id })).road, 'mqtts')
})

test('a reading sent over https and again over mqtts is one event', async () => {
  const { state, id, eui64 } = await enrolled('MQ-3')
  await send({ state, topic: 'x', sample: textSample('"once"') })
  // A crash before the disk had it: that the reading was settled is written without a flush.
  const outbox = join(state, 'outbox.jsonl')
  const lines = (await readFile(outbox, 'utf8')).split('\n')
  await writeFile(outbox, lines.filter((line) => !line.includes('settled')).join('\n'))
  const sent = await send({ state, road, topic: 'x', sample: textSample('"next"') })
  assert.equal(sent.delivered, 2)
  const events = await house.events(id)
  assert.deepEqual(
    events.map((event) => [event['id'], event['road'], event['data']]),
    [
      [`${eui64}-1`, 'https', 'once'],
      [`${eui64}-2`, 'mqtts', 'next'],
    ],
  )
})

test(`every reading arrives once and in order through broken connections (seed ${seed})`, async () => {
  const { state, id } = await enrolled('MQ-4')
  const { mqtts: door } = await house.invite()
  const relay = await hostileRelay({
    target: { host: '127.0.0.1', port: Number(new URL(door).port) },
    seed,
    plan: { faultShare: 0.7, delayMsMax: 2 },
  })
  after(() => relay.close())
  const count = 40
  const lines = Array.from({ length: count }, (_, index) => `${index + 1}\n`).join('')
  const summary = await run({
    state,
    road,
    mqtts: `mqtts://localhost:${relay.port}`,
    source: lineSource(Readable.from([lines])),
    backoff,
    // On this machine an answer that is not there at once was held back by the relay.
    world: { ...systemWorld(), patience: { handshakeMs: 1000, answerMs: 1000 } },
  })
  assert.deepEqual(summary, { sent: count, rejected: 0, dropped: 0, waiting: 0 })
  const events = await house.events(id)
  assert.deepEqual(
    events.map((event) => event['data']),
    Array.from({ length: count }, (_, index) => index + 1),
  )
})

test('a suspended device loses its connection, is refused, and delivers what it kept when it is resumed', async () => {
  const { state, id } = await enrolled('MQ-5')
  const { heard, ended, push } = start(state, ({ event }, running) => {
    const sent = running.heard.filter((each) => each === 'sent').length
    if (event === 'sent' && sent === 1)
      void house.call('identity.suspend', { id, reason: 'in repair' })
    if (event === 'disconnected' && sent === 1) running.push('"kept"')
    if (event === 'refused') void house.call('identity.resume', { id })
    if (event === 'sent' && sent === 2) running.stop()
  })
  push('"first"')
  assert.equal((await ended).sent, 2)
  const firsts = heard.slice(0, 5)
  assert.deepEqual(firsts, ['connected', 'sent', 'disconnected', 'connected', 'refused'])
  const events = await house.events(id)
  assert.deepEqual(
    events.map((event) => event['data']),
    ['first', 'kept'],
  )
})

test('a revoked device loses its connection at once and learns that it is refused', async () => {
  const { state, id } = await enrolled('MQ-6')
  const { heard, ended, push } = start(state, ({ event }, running) => {
    if (event === 'sent') void house.call('identity.revoke', { id, reason: 'keyCompromise' })
    if (event === 'disconnected' && !running.heard.includes('refused')) running.push('2')
    if (event === 'refused') running.stop()
  })
  push('1')
  const summary = await ended
  assert.deepEqual(heard.slice(0, 4), ['connected', 'sent', 'disconnected', 'connected'])
  assert.ok(heard.includes('refused'))
  assert.deepEqual(summary, { sent: 1, rejected: 0, dropped: 0, waiting: 1 })
  await assert.rejects(send({ state, road, topic: 'x', sample: textSample('3') }), {
    code: 'ERR_DEVICE_REFUSED',
    message: /not authorized \(MQTT reason 0x87\)/,
    hint: /The reading is kept as number 3.*identity why/,
  })
})

test('a server of another anchor is not told a byte of MQTT', async () => {
  const { state } = await enrolled('MQ-7')
  const strange = await strangeServer()
  const mqtts = `mqtts://localhost:${strange.port}`
  await assert.rejects(send({ state, road, mqtts, topic: 'x', sample: textSample('"secret"') }), {
    code: 'ERR_ANCHOR_MISMATCH',
    where: mqtts,
  })
  assert.deepEqual(await strange.ended(), { connections: 1, bytes: 0 })
  assert.equal((await show({ state })).readings.waiting, 1)
})

test('a device that was not told of mqtts says so, and its reading gets no number', async () => {
  const state = freshState()
  const { server, token, anchor } = await house.invite()
  await enroll({ server, token, anchor, serial: 'MQ-8', state })
  assert.equal((await show({ state })).mqtts, null)
  const sample = textSample('1')
  const refused = { code: 'ERR_NO_MQTTS', where: '--mqtts', hint: /mqtts:\/\/HOST:PORT/ }
  await assert.rejects(send({ state, road, topic: 'x', sample }), refused)
  await assert.rejects(start(state, () => undefined).ended, refused)
  const { mqtts } = await house.invite()
  assert.equal((await send({ state, road, mqtts, topic: 'x', sample })).number, 1)
})

test('a reading that the server will never take is given up and does not block the next', async () => {
  const { state, id } = await enrolled('MQ-9')
  const sample = { contentType: 'not a media type', data: Buffer.from('x') }
  await assert.rejects(send({ state, road, topic: 'x', sample }), {
    code: 'ERR_READING_REFUSED',
    details: { number: 1, status: 0x99 },
  })
  // Over https it is a topic like any other.
  // Over before the handshake has a byte: on a busy machine a short patience lasts long enough.
  const hasty: World = { ...systemWorld(), limit: atOnce, wait: atOnce }
  const kept = { state, topic: 'results/of/today', sample: textSample('2'), world: hasty }
  await assert.rejects(send(kept), { code: 'ERR_SERVER_TIMEOUT' })
  const { delivered } = await send({ state, road, topic: 'x', sample: textSample('3') })
  assert.equal(delivered, 1)
  assert.deepEqual(
    (await house.events(id)).map((event) => event['data']),
    [3],
  )
})

test('what is a command or its result below the topics of a device is no topic for readings', async () => {
  const { state } = await enrolled('MQ-10')
  for (const topic of ['commands/x', 'results', 'results/0']) {
    await assert.rejects(send({ state, road, topic, sample: textSample('1') }), {
      code: 'ERR_TOPIC_FORMAT',
      hint: /"commands" or "results"/,
    })
  }
})

test('a run over mqtts renews over https, and goes on under its new certificate', async () => {
  const { state, id, eui64 } = await enrolled('MQ-11')
  const before = await show({ state })
  const world: World = { ...systemWorld(), clock: { now: () => Date.now() + 70 * day } }
  const source = lineSource(Readable.from(['1\n2\n']))
  const heard: DeviceEvent['event'][] = []
  await run({ state, road, world, source, listener: ({ event }) => heard.push(event) })
  assert.equal(heard.filter((event) => event === 'renewed').length, 1)
  const events = await house.events(id)
  const renewed = await show({ state })
  assert.notEqual(renewed.certificate?.fingerprint, before.certificate?.fingerprint)
  assert.deepEqual(
    events.map((event) => event['id']),
    [`${eui64}-1`, `${eui64}-2`],
  )
  const { certificates } = await house.call('identity.show', { id })
  const x5t = certificates.find(({ status }) => status === 'confirmed')?.x5t
  assert.deepEqual(
    events.map((event) => event['credential']),
    [x5t, x5t],
  )
})

test('a device whose product takes no messages over https renews there all the same', async () => {
  await house.call('product.add', { name: 'meter', roads: ['mqtts'], credential: 'owner' })
  const expiresAt = Date.now() + 600_000
  const invitation = await house.call('identity.invite', { product: 'meter', count: 1, expiresAt })
  const state = freshState()
  const { id, certificate } = await enroll({ ...invitation, serial: 'MQ-12', state })
  // Also before its first message.
  await renew({ state })
  await send({ state, road, topic: 'x', sample: textSample('1') })
  const renewed = await renew({ state })
  assert.notEqual(renewed.certificate.serial, certificate.serial)
  assert.equal((await house.call('identity.show', { id })).road, 'mqtts')
  await assert.rejects(send({ state, topic: 'x', sample: textSample('2') }), {
    code: 'ERR_DEVICE_REFUSED',
  })
  const { refusals } = await house.call('identity.why', { id })
  assert.partialDeepStrictEqual(refusals, [{ code: 'ERR_ROAD_NOT_ALLOWED' }])
  assert.equal((await send({ state, road, topic: 'x', sample: textSample('3') })).delivered, 2)
  await house.call('identity.suspend', { id })
  await assert.rejects(renew({ state }), { code: /ERR_(RENEW|DEVICE)_REFUSED/ })
})
