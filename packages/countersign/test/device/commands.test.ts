/** Commands end to end in one process: operator, server, device over https. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemWorld, type World } from '@countersign/device'
import type { CommandDocument } from '@countersign/server/control'
import { Commanded, hour, json } from './commanded.ts'
import { openTestHouse } from './house.ts'

const house = await openTestHouse()

test('a device does what it is told, in order, and the operator sees what came of it', async () => {
  const device = await Commanded.enrolled(house, 'C-1')
  // Queued before the device has ever come: it waits.
  const early = await device.command('early')
  const ran: unknown[] = []
  device.start(async ({ name, data, text }) => {
    ran.push([name, data, text])
    if (name === 'refuse') return { refused: 'not today' }
    if (name === 'silent') return { contentType: 'text/plain', body: new Uint8Array() }
    if (name === 'wrong') return { contentType: 'application/json', body: Buffer.from('{') }
    return json({ did: name })
  })
  await device.heard('commandAnswered', early.id)
  const sent: CommandDocument[] = []
  for (const name of ['set', 'refuse', 'silent', 'wrong'])
    sent.push(await device.command(name, '{"big":12345678901234567890}'))
  const last = sent.at(-1)?.id
  await device.heard('commandRefused', last)
  assert.deepEqual(
    ran.map((each) => (Array.isArray(each) ? each[0] : each)),
    ['early', 'set', 'refuse', 'silent', 'wrong'],
  )
  assert.deepEqual(ran[0], ['early', null, 'null'])
  assert.equal(Array.isArray(ran[1]) ? ran[1][2] : '', '{"big":12345678901234567890}')
  const [set, refuse, silent, wrong] = await Promise.all(sent.map(({ id }) => device.show(id)))
  assert.deepEqual([set?.state, set?.result], ['answered', { did: 'set' }])
  assert.deepEqual([refuse?.state, refuse?.reason], ['refused', 'not today'])
  assert.deepEqual([silent?.state, silent?.result], ['answered', null])
  assert.equal(wrong?.state, 'refused')
  assert.match(String(wrong?.reason), /the server does not take its result: .*not JSON/)
  const list = await house.call('command.list', { id: 'C-1', limit: 3 })
  assert.deepEqual(
    list.map(({ name }) => name),
    ['wrong', 'silent', 'refuse'],
  )
  await device.stop()
})

test('a device that does not ask gets none; one that is told to stop ends at once', async () => {
  const device = await Commanded.enrolled(house, 'C-2')
  const { id } = await device.command('x')
  device.start()
  await device.stop()
  assert.equal((await device.show(id)).state, 'queued')
  device.start(async () => json(1))
  await device.heard('commandAnswered', id)
  // Its poll is open for 20 seconds: the test's own time is the witness that it does not wait.
  const begun = performance.now()
  await device.stop()
  assert.ok(performance.now() - begun < 5_000)
})

test('a suspended device is not commanded; what was queued meanwhile comes when it is resumed', async () => {
  const device = await Commanded.enrolled(house, 'C-3')
  device.start(async () => json(1))
  const first = await device.command('a')
  await device.heard('commandAnswered', first.id)
  await house.call('identity.suspend', { id: device.id })
  const { id } = await device.command('b')
  await device.heard('refused')
  assert.equal((await device.show(id)).state, 'queued')
  await house.call('identity.resume', { id: device.id })
  await device.heard('commandAnswered', id)
  await device.stop()
})

test('a revoked device takes no commands, and those that wait are refused', async () => {
  const device = await Commanded.enrolled(house, 'C-4')
  const { id } = await device.command('a')
  await house.call('identity.revoke', { id: device.id, reason: 'keyCompromise' })
  await assert.rejects(device.command('b'), { code: 'ERR_DEVICE_REVOKED', hint: /final/ })
  await house.services.commands.close()
  const { state, reason } = await device.show(id)
  assert.deepEqual([state, reason], ['refused', 'the device is revoked'])
})

test('a device whose clock says that it is late refuses', async () => {
  const device = await Commanded.enrolled(house, 'C-5')
  const world: World = { ...systemWorld(), clock: { now: () => Date.now() + 2 * hour } }
  device.start(() => assert.fail('a late command was run'), { world })
  const { id } = await device.command('a')
  await device.heard('commandRefused', id)
  const { state, reason } = await device.show(id)
  assert.equal(state, 'refused')
  assert.match(String(reason), /^it expired at .*; the clock here says /)
  await device.stop()
})

test('operators are told what is wrong with a command', async () => {
  const device = await Commanded.enrolled(house, 'C-6')
  for (const [work, code] of [
    [device.command('a/b'), 'ERR_COMMAND_NAME'],
    [device.command('a', '{'), 'ERR_COMMAND_DATA'],
    [device.command('a', '1', -1), 'ERR_COMMAND_EXPIRY'],
    [device.show('0'.repeat(32)), 'ERR_COMMAND_UNKNOWN'],
    [device.show('x'), 'ERR_PARAMETER'],
    [house.call('command.list', { id: 'nobody', limit: 1 }), 'ERR_DEVICE_UNKNOWN'],
  ] as const)
    await assert.rejects(work, { name: 'CallerError', code, hint: /./ })
})
