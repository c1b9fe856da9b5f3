/** Commands end to end in one process, to devices that take them on their mqtts connection. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemWorld, type World } from '@countersign/device'
import type { CommandDocument } from '@countersign/server/control'
import { Commanded, hour, json } from './commanded.ts'
import { openTestHouse } from './house.ts'
import { openWay } from './way.ts'

const house = await openTestHouse()
const enrolled = (serial: string): Promise<Commanded> =>
  Commanded.enrolled(house, serial, 'mqtts', { product: 'meter' })
await house.call('product.add', { name: 'meter', roads: ['mqtts'], credential: 'owner' })
const door = (await house.invite()).mqtts

test('a device whose only road is mqtts does what it is told, in order, and sends meanwhile', async () => {
  const device = await enrolled('MC-1')
  // Queued before the device has ever come: it waits.
  const early = await device.command('early')
  const ran: unknown[] = []
  const large = 'x'.repeat(65_536)
  device.start(async ({ name, text }) => {
    ran.push([name, text])
    if (name === 'refuse') return { refused: 'not today' }
    if (name === 'silent') return { contentType: 'text/plain', body: new Uint8Array() }
    if (name === 'large') return { contentType: 'text/plain', body: Buffer.from(large) }
    if (name === 'wrong') return { contentType: 'application/json', body: Buffer.from('{') }
    return json({ did: name })
  })
  await device.heard('commandAnswered', early.id)
  const sent: CommandDocument[] = []
  const data = '{"big":12345678901234567890}'
  for (const name of ['set', 'refuse', 'silent', 'large', 'wrong']) {
    sent.push(await device.command(name, data))
    device.push(`"${name}"`)
  }
  await device.heard('commandRefused', sent.at(-1)?.id)
  const names = ['set', 'refuse', 'silent', 'large', 'wrong']
  assert.deepEqual(ran, [['early', 'null'], ...names.map((name) => [name, data])])
  const [set, refuse, silent, much, wrong] = await Promise.all(
    sent.map(({ id }) => device.show(id)),
  )
  assert.deepEqual([set?.state, set?.result], ['answered', { did: 'set' }])
  assert.deepEqual([refuse?.state, refuse?.reason], ['refused', 'not today'])
  assert.deepEqual([silent?.state, silent?.result], ['answered', null])
  assert.deepEqual([much?.state, much?.result], ['answered', large])
  assert.equal(wrong?.state, 'refused')
  assert.match(String(wrong?.reason), /the server does not take its result: payload format invalid/)
  while (device.count('sent') < names.length) await new Promise(setImmediate)
  // One connection for all of it.
  assert.equal(device.count('connected'), 1)
  assert.equal((await device.stop())?.sent, names.length)
})

test('a device that wants none gets none; one that is stopped tells what it has in hand', async () => {
  const device = await enrolled('MC-2')
  const { id } = await device.command('x')
  device.start()
  device.push('1')
  await device.heard('sent')
  await device.stop()
  assert.equal((await device.show(id)).state, 'queued')
  const hand = Promise.withResolvers<undefined>()
  device.start(async () => {
    await hand.promise
    return json('done')
  })
  await device.heard('command', id)
  const next = await device.command('next')
  const stopped = device.stop()
  hand.resolve(undefined)
  await stopped
  assert.deepEqual((await device.show(id)).result, 'done')
  assert.equal((await device.show(next.id)).state, 'queued')
})

test('a suspended device is not commanded; what was queued meanwhile comes when it is resumed', async () => {
  const device = await enrolled('MC-3')
  device.start(async () => json(1))
  const first = await device.command('a')
  await device.heard('commandAnswered', first.id)
  await house.call('identity.suspend', { id: device.id })
  const { id } = await device.command('b')
  // It had nothing to send: it came back for its commands.
  await device.heard('refused')
  assert.equal((await device.show(id)).state, 'queued')
  await house.call('identity.resume', { id: device.id })
  await device.heard('commandAnswered', id)
  await device.stop()
})

test('a device whose clock says that it is late refuses', async () => {
  const device = await enrolled('MC-4')
  const world: World = { ...systemWorld(), clock: { now: () => Date.now() + 2 * hour } }
  device.start(() => assert.fail('a late command was run'), { world })
  const { id } = await device.command('a')
  await device.heard('commandRefused', id)
  const { state, reason } = await device.show(id)
  assert.equal(state, 'refused')
  assert.match(String(reason), /^it expired at .*; the clock here says /)
  await device.stop()
})

test('a command that expired while the device was away never reaches it', async () => {
  const device = await enrolled('MC-5')
  const { id } = await device.command('late', 'null', 10)
  const end = Date.now() + 10
  while (Date.now() <= end) await new Promise(setImmediate)
  const ran: string[] = []
  device.start(async ({ name }) => {
    ran.push(name)
    return json(1)
  })
  const next = await device.command('next')
  await device.heard('commandAnswered', next.id)
  assert.deepEqual(ran, ['next'])
  assert.equal((await device.show(id)).state, 'expired')
  await device.stop()
})

test('an idle connection that breaks is made again, later each time, and commands come on the next', async () => {
  const way = await openWay(door)
  const device = await enrolled('MC-6')
  const limits = { firstMs: 2, maxMs: 1_000 }
  const backoff = { broken: limits, refused: limits }
  device.start(async () => json(1), { mqtts: way.url, backoff })
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const { id } = await device.command(name)
    await device.heard('commandAnswered', id)
    way.cut()
  }
  await device.stop()
  const waits = device.events.flatMap((event) =>
    event.event === 'unreachable' ? [event.retryInMs] : [],
  )
  assert.ok(waits.length >= 4 && Math.max(...waits) > Math.min(...waits))
  assert.deepEqual(
    waits,
    waits.toSorted((a, b) => a - b),
  )
})

test('a command whose acknowledgement was lost comes again, and is run once', async () => {
  const way = await openWay(door)
  const device = await enrolled('MC-7')
  const ran: string[] = []
  device.start(
    async ({ id, name }) => {
      ran.push(name)
      if (name === 'lost') assert.equal((await device.show(id)).state, 'queued')
      if (way.deaf) way.cut()
      way.deaf = false
      return json(name)
    },
    { mqtts: way.url },
  )
  const warm = await device.command('warm')
  await device.heard('commandAnswered', warm.id)
  way.deaf = true
  const { id } = await device.command('lost')
  await device.heard('commandAnswered', id)
  // The server has taken the result, and whatever it gave out again before that is through.
  const last = await device.command('last')
  await device.heard('commandAnswered', last.id)
  assert.deepEqual(ran, ['warm', 'lost', 'last'])
  assert.deepEqual((await device.show(id)).result, 'lost')
  await device.stop()
})
