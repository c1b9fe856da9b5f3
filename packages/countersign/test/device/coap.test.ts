import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import {
  type DeviceEvent,
  enroll,
  lineSource,
  run,
  send,
  show,
  systemWorld,
  textSample,
  type World,
} from '@countersign/device'
import { hostileUdpRelay } from '@countersign/testbed'
import { Commanded, json } from './commanded.ts'
import { openTestHouse } from './house.ts'
import { quickWorld } from './quick.ts'
import { watchedWay as watched } from './udpWay.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const house = await openTestHouse()
let states = 0
const freshState = (): string => join(house.root, `device-${states++}`)
const road = 'coap'
const day = 86_400_000

async function commanded(serial: string): Promise<{ id: string; device: Commanded }> {
  const device = await Commanded.enrolled(house, serial, road)
  return { id: device.id, device }
}

/** Its time passes as fast as it waits: no test waits for a silent server. */
function hasty(): World {
  let passed = 0
  return {
    ...systemWorld(),
    clock: { now: () => Date.now() + passed },
    wait: async (milliseconds) => void (passed += milliseconds),
  }
}

async function enrolled(serial: string): Promise<{ state: string; id: string; eui64: string }> {
  const state = freshState()
  const { id, eui64 } = await enroll({ ...(await house.invite()), serial, state })
  return { state, id, eui64 }
}

test('a device sends over coap where the invitation said, and its reading is an event like any other', async () => {
  const { state, id, eui64 } = await enrolled('CP-1')
  const sample = textSample('{"celsius":21}')
  const sent = await send({ state, road, topic: 'room/temperature', sample })
  assert.deepEqual(sent, { id: `${eui64}-1`, number: 1, topic: 'room/temperature', delivered: 1 })
  await send({ state, road, topic: 'note', sample: textSample('warm') })
  const shown = await show({ state })
  assert.equal(shown.coap, (await house.invite()).coap)
  const { context, servers } = shown.channel ?? assert.fail('no channel is shown')
  assert.ok(Date.parse(context?.since ?? '') > Date.now() - 60_000)
  const { certificates } = await house.call('identity.show', { id })
  assert.equal(context?.credential, certificates.find(({ status }) => status === 'confirmed')?.x5t)
  assert.equal(servers.length, 1)
  assert.equal(context?.until, servers[0]?.notAfter)
  assert.partialDeepStrictEqual(servers[0], { proof: 'signature', kid: null })
  assert.partialDeepStrictEqual(await house.events(id), [
    {
      id: `${eui64}-1`,
      source: id,
      subject: 'room/temperature',
      road: 'coap',
      datacontenttype: 'application/json',
      data: { celsius: 21 },
    },
    { id: `${eui64}-2`, datacontenttype: 'text/plain; charset=utf-8', data: 'warm' },
  ])
})

test('a run says once that it is connected, and the next one goes on without a handshake', async () => {
  const { state, id } = await enrolled('CP-2')
  const { coap } = await house.invite()
  const relay = await watched(coap)
  for (const lines of ['1\n2\n3\n', '4\n']) {
    const heard: DeviceEvent[] = []
    const source = lineSource(Readable.from([lines]))
    const listener = (event: DeviceEvent): void => void heard.push(event)
    const summary = await run({ state, road, coap: relay.url, source, listener })
    const count = lines.length / 2
    assert.deepEqual(summary, { sent: count, rejected: 0, dropped: 0, waiting: 0 })
    assert.deepEqual(heard[0], { event: 'connected', server: relay.url })
    const more = heard.slice(1).map(({ event }) => event)
    assert.deepEqual(more, [...Array<string>(count).fill('sent'), 'disconnected'])
  }
  assert.equal(relay.handshakes(), 1)
  assert.equal((await house.call('identity.show', { id })).road, 'coap')
})

test('a reading sent over https and again over coap is one event', async () => {
  const { state, id, eui64 } = await enrolled('CP-3')
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
      [`${eui64}-2`, 'coap', 'next'],
    ],
  )
})

test('a reading of 64 KiB goes in blocks', async () => {
  const { state, id } = await enrolled('CP-4')
  const text = 'x'.repeat(65_530)
  await send({ state, road, topic: 'x', sample: textSample(JSON.stringify(text)) })
  const [event] = await house.events(id)
  assert.equal(event?.['data'], text)
})

test('a context outlives a restart of the server', async () => {
  const { state, id } = await enrolled('CP-5')
  const { coap } = await house.invite()
  const relay = await watched(coap)
  await send({ state, road, coap: relay.url, topic: 'x', sample: textSample('1') })
  await house.restart(async () => undefined)
  await send({ state, road, coap: relay.url, topic: 'x', sample: textSample('2') })
  assert.equal(relay.handshakes(), 1)
  assert.deepEqual(
    (await house.events(id)).map((event) => event['data']),
    [1, 2],
  )
})

test('a suspended device is refused, and delivers what it kept when it is resumed', async () => {
  const { id, device } = await commanded('CP-6')
  device.start()
  device.push('"first"')
  await device.heard('sent')
  await house.call('identity.suspend', { id, reason: 'in repair' })
  device.push('"kept"')
  await device.heard('refused')
  await house.call('identity.resume', { id })
  while (device.count('sent') < 2) await new Promise(setImmediate)
  await device.stop()
  const events = await house.events(id)
  assert.deepEqual(
    events.map((event) => event['data']),
    ['first', 'kept'],
  )
})

test('a revoked device learns that it is refused', async () => {
  const { state, id } = await enrolled('CP-7')
  await send({ state, road, topic: 'x', sample: textSample('1') })
  await house.call('identity.revoke', { id, reason: 'keyCompromise' })
  await assert.rejects(send({ state, road, topic: 'x', sample: textSample('2') }), {
    code: 'ERR_DEVICE_REFUSED',
    hint: /The reading is kept as number 2.*identity why/,
  })
  const { refusals } = await house.call('identity.why', { id })
  assert.partialDeepStrictEqual(refusals, [{ road: 'coap' }])
})

test('a server of another anchor is not told a byte', async () => {
  const { state } = await enrolled('CP-8')
  const strange = await openTestHouse()
  const { coap } = await strange.invite()
  await assert.rejects(send({ state, road, coap, topic: 'x', sample: textSample('"secret"') }), {
    code: 'ERR_ANCHOR_MISMATCH',
    where: coap,
  })
  assert.equal((await show({ state })).readings.waiting, 1)
})

test('a device that has met its server says the same of another one', async () => {
  const { state } = await enrolled('CP-16')
  await send({ state, road, topic: 'x', sample: textSample('1') })
  const strange = await openTestHouse()
  const { coap } = await strange.invite()
  const sample = textSample('2')
  const narrow = { limits: { hintGraceMs: 50, backoffFirstMs: 20 } }
  await assert.rejects(send({ state, road, coap, topic: 'x', sample, narrow }), {
    code: 'ERR_ANCHOR_MISMATCH',
    message: /another authority issued its certificate/,
    hint: /kept as number 2.*Compare the anchor/,
    where: coap,
  })
})

test('a device whose product does not take the road learns what to do about it', async () => {
  await house.call('product.add', { name: 'indoors', roads: ['https'], credential: 'owner' })
  const expiresAt = Date.now() + 600_000
  const indoors = await house.call('identity.invite', { product: 'indoors', count: 1, expiresAt })
  const state = freshState()
  await enroll({ ...(await house.invite()), token: indoors.token, serial: 'CP-17', state })
  // Its first reading by the road that is taken: what is refused afterwards is told under its keys.
  await send({ state, road: 'https', topic: 'x', sample: textSample('1') })
  await house.call('product.set', { name: 'indoors', roads: ['https', 'coap'] })
  await send({ state, road, topic: 'x', sample: textSample('2') })
  await house.call('product.set', { name: 'indoors', roads: ['https'] })
  await assert.rejects(send({ state, road, topic: 'x', sample: textSample('3') }), {
    code: 'ERR_DEVICE_REFUSED',
    hint: /kept as number 3.*choose another --road/,
  })
})

test('a reading whose media type has no number is given up and does not block the next', async () => {
  const { state, id } = await enrolled('CP-9')
  const sample = { contentType: 'image/x-own', data: Buffer.from('x') }
  await assert.rejects(send({ state, road, topic: 'x', sample }), {
    code: 'ERR_READING_REFUSED',
    details: { number: 1, status: 415 },
  })
  const { delivered } = await send({ state, road, topic: 'x', sample: textSample('2') })
  assert.equal(delivered, 1)
  assert.deepEqual(
    (await house.events(id)).map((event) => event['data']),
    [2],
  )
})

test('a run over coap renews over https, and goes on under its new certificate', async () => {
  const { state, id, eui64 } = await enrolled('CP-10')
  const before = await show({ state })
  const world: World = { ...systemWorld(), clock: { now: () => Date.now() + 70 * day } }
  const source = lineSource(Readable.from(['1\n2\n']))
  const heard: DeviceEvent['event'][] = []
  await run({ state, road, world, source, listener: ({ event }) => heard.push(event) })
  assert.equal(heard.filter((event) => event === 'renewed').length, 1)
  const renewed = await show({ state })
  assert.notEqual(renewed.certificate?.fingerprint, before.certificate?.fingerprint)
  const events = await house.events(id)
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

test('a product that demands suite 3 lets those in that offer it, and ends a context of suite 2', async (t) => {
  const { state, id } = await enrolled('CP-22')
  const sent = { state, road, topic: 'x', sample: textSample('1') } as const
  await send(sent)
  await house.call('product.set', { name: 'default', edhocSuiteMin: 3 })
  t.after(() => house.call('product.set', { name: 'default', edhocSuiteMin: 2 }))
  await assert.rejects(send({ ...sent, world: quickWorld() }), { hint: /identity why/ })
  const { refusals } = await house.call('identity.why', { id })
  assert.partialDeepStrictEqual(refusals, [{ code: 'ERR_SUITE_NOT_ALLOWED', road: 'coap' }])
  // What waited goes along; the server shows itself by its static key this time.
  const narrow = { suite: 3, method: 1 } as const
  const { delivered } = await send({ ...sent, narrow, world: quickWorld(day) })
  assert.equal(delivered, 2)
  const { channel } = await show({ state })
  assert.deepEqual(
    channel?.servers.map(({ proof }) => proof),
    ['static key', 'signature'],
  )
})

test('a server that nobody hears is said to be silent, and the reading is kept', async () => {
  const { state } = await enrolled('CP-11')
  const deaf = createSocket('udp4')
  after(() => deaf.close())
  deaf.bind(0, '127.0.0.1')
  await once(deaf, 'listening')
  const coap = `coap://127.0.0.1:${deaf.address().port}`
  const heard: DeviceEvent[] = []
  const listener = (event: DeviceEvent): void => void heard.push(event)
  const sample = textSample('1')
  const silent = send({ state, road, coap, topic: 'x', sample, world: hasty(), listener })
  await assert.rejects(silent, { message: /did not answer/, hint: /kept as number 1/ })
  assert.partialDeepStrictEqual(heard[0], {
    event: 'unreachable',
    code: 'ERR_SERVER_TIMEOUT',
    hint: `Check that "countersign serve" runs there, and that UDP goes through to this port.`,
  })
  assert.equal((await show({ state })).readings.waiting, 1)
})

test('what is kept of the channel is its owner’s alone; damaged, it is named, and nothing is lost without it', async () => {
  const { state, id } = await enrolled('CP-14')
  await send({ state, road, topic: 'x', sample: textSample('1') })
  const file = join(state, 'coap.state')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const bytes = await readFile(file)
  await writeFile(file, bytes.subarray(0, -1))
  const damaged = { code: 'ERR_STATE_DAMAGED', where: file, hint: /Remove the file/ }
  await assert.rejects(send({ state, road, topic: 'x', sample: textSample('2') }), damaged)
  await assert.rejects(show({ state }), damaged)
  await rm(file)
  assert.equal((await send({ state, road, topic: 'x', sample: textSample('3') })).delivered, 2)
  const events = await house.events(id)
  assert.deepEqual(
    events.map((event) => event['data']),
    [1, 2, 3],
  )
})

test(`every reading arrives once and in order through a hostile way (seed ${seed})`, async () => {
  const { state, id } = await enrolled('CP-15')
  const { coap } = await house.invite()
  const relay = await hostileUdpRelay({
    target: { host: '127.0.0.1', port: Number(new URL(coap).port) },
    seed,
    plan: { share: 0.3, lateMsMax: 200 },
  })
  after(() => relay.close())
  const count = 25
  const lines = Array.from({ length: count }, (_, index) => `${index + 1}\n`).join('')
  const summary = await run({
    state,
    road,
    coap: `coap://127.0.0.1:${relay.port}`,
    source: lineSource(Readable.from([lines])),
    backoff: { broken: { firstMs: 5, maxMs: 20 }, refused: { firstMs: 5, maxMs: 20 } },
    // On this machine an answer that is not there at once was held back by the relay.
    narrow: {
      limits: {
        backoffFirstMs: 20,
        backoffMaxMs: 100,
        hintGraceMs: 50,
        handshakesPerDayMax: 10_000,
      },
      transmission: { ackTimeoutMs: 50 },
    },
  })
  assert.deepEqual(summary, { sent: count, rejected: 0, dropped: 0, waiting: 0 })
  assert.ok((await relay.stats()).tampered > 0)
  const events = await house.events(id)
  assert.deepEqual(
    events.map((event) => event['data']),
    Array.from({ length: count }, (_, index) => index + 1),
  )
})

test('a way that has forgotten the socket of a device is found again, without a handshake', async () => {
  const { coap } = await house.invite()
  const way = await watched(coap)
  const device = await Commanded.enrolled(house, 'CP-13', road, { coap: way.url })
  const narrow = { transmission: { ackTimeoutMs: 100, retransmitMax: 1 } }
  device.start(undefined, { narrow })
  device.push('1')
  await device.heard('sent')
  way.forget()
  device.push('2')
  await device.heard('unreachable')
  while (device.count('sent') < 2) await new Promise(setImmediate)
  await device.stop()
  assert.equal(way.handshakes(), 1)
})

test('a device does what it is told over coap, in order, and sends meanwhile', async () => {
  const { device } = await commanded('CP-12')
  const ran: string[] = []
  device.start(async ({ name }) => {
    ran.push(name)
    return name === 'refuse' ? { refused: 'not today' } : json({ did: name })
  })
  device.push('1')
  const set = await device.command('set')
  await device.heard('commandAnswered', set.id)
  const refuse = await device.command('refuse')
  await device.heard('commandRefused', refuse.id)
  assert.deepEqual(ran, ['set', 'refuse'])
  assert.partialDeepStrictEqual(await device.show(set.id), {
    state: 'answered',
    result: { did: 'set' },
  })
  assert.partialDeepStrictEqual(await device.show(refuse.id), {
    state: 'refused',
    reason: 'not today',
  })
  assert.equal((await device.stop())?.sent, 1)
})
