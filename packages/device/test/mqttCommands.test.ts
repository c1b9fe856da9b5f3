import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CommandDesk, type CommandHandler, type CommandMemory } from '@countersign/device'
import type { Packet } from 'mqtt-packet'
import { MqttCommands } from '../src/mqttCommands.ts'
import { openBegun } from '../src/state/begun.ts'
import type { DeviceEvent } from '../src/world.ts'
import { clientId as eui64, meetInside, type Scene, target } from './mqttScene.ts'

const now = Date.UTC(2026, 10, 23)
const later = '2026-11-23T01:00:00.000Z'
const idOf = (n: number): string => n.toString(16).padStart(32, '0')
const textOf = (n: number, expires = later): string =>
  `{"id":"${idOf(n)}","name":"set","data":${n},"expires":"${expires}"}`

interface Commanded {
  readonly commands: MqttCommands
  readonly events: readonly DeviceEvent[]
  readonly ran: readonly unknown[]
  /** A connection on which the device has subscribed. */
  readonly meet: () => Promise<Scene>
}

function commanded(handle?: CommandHandler, memory?: CommandMemory): Commanded {
  const events: DeviceEvent[] = []
  const ran: unknown[] = []
  const listener = (event: DeviceEvent): void => void events.push(event)
  const desk = new CommandDesk({
    clock: { now: () => now },
    listener,
    handle: async (command) => {
      ran.push(command.data)
      return (await handle?.(command)) ?? { contentType: 'text/plain', body: Buffer.from('done') }
    },
    ...(memory === undefined ? {} : { memory }),
  })
  const commands = new MqttCommands(desk, listener)
  const meet = async (): Promise<Scene> => {
    const scene = await meetInside((arrival) => commands.arrived(arrival))
    const begun = commands.begin({ connection: scene.connection, eui64, target })
    const { messageId = 0 } = await scene.next()
    scene.say({ cmd: 'suback', messageId, granted: [1] })
    assert.deepEqual(await begun, { packet: 'suback', code: 0 })
    return scene
  }
  return { commands, events, ran, meet }
}

function packetOf(n: number, over: Partial<Packet & { cmd: 'publish' }> = {}): Packet {
  const topic = `devices/${eui64}/commands/set`
  const payload = textOf(n)
  return {
    cmd: 'publish',
    topic,
    payload,
    qos: 1,
    messageId: n,
    dup: false,
    retain: false,
    ...over,
  }
}

/** The device's next packet is this acknowledgement. */
async function acknowledged({ next }: Scene, n: number, reasonCode = 0): Promise<void> {
  assert.partialDeepStrictEqual(await next(), { cmd: 'puback', messageId: n, reasonCode })
}

/** The device's next packet is a result; the server takes it. */
async function result({ next, say }: Scene, n: number, verb = ''): Promise<string> {
  const publish = await next()
  assert.partialDeepStrictEqual(publish, {
    cmd: 'publish',
    topic: `devices/${eui64}/results/${idOf(n)}${verb}`,
    qos: 1,
  })
  say({ cmd: 'puback', messageId: publish.messageId ?? 0, reasonCode: 0 })
  return publish.cmd === 'publish' ? publish.payload.toString() : ''
}

/** What came before is done with, and the connection works. */
async function goesOn(scene: Scene, n: number): Promise<void> {
  scene.say(packetOf(n))
  await acknowledged(scene, n)
  await result(scene, n)
}

test('a command is acknowledged, run, and answered where its result belongs', async () => {
  const { meet, ran } = commanded()
  const scene = await meet()
  scene.say(packetOf(7))
  await acknowledged(scene, 7)
  assert.equal(await result(scene, 7), 'done')
  assert.deepEqual(ran, [7])
  scene.connection.close()
})

test('a command waits at the server until its turn: no more than the first is acknowledged', async () => {
  const first = Promise.withResolvers<undefined>()
  const { meet, ran, commands } = commanded(async ({ data }) => {
    if (data === 1) await first.promise
    return { refused: 'no' }
  })
  const scene = await meet()
  scene.say(packetOf(1))
  scene.say(packetOf(2))
  await acknowledged(scene, 1)
  // A reading is not held up by the command that is being run.
  const said = scene.connection.publish({
    topic: 't',
    contentType: 'x/y',
    data: Buffer.of(1),
  })
  const { messageId = 0 } = await scene.next()
  scene.say({ cmd: 'puback', messageId, reasonCode: 0 })
  assert.deepEqual(await said, { packet: 'puback', code: 0 })
  // One that is stopped finishes what it has in hand, and leaves the rest to the server.
  commands.stop()
  first.resolve(undefined)
  assert.equal(await result(scene, 1, '/refused'), 'no')
  await commands.obey()
  assert.deepEqual(ran, [1])
  scene.connection.close()
  assert.partialDeepStrictEqual(await scene.next(), { cmd: 'disconnect' })
})

test('a command that comes twice runs once, on one connection and on the next', async () => {
  const { meet, ran } = commanded()
  const one = await meet()
  one.say(packetOf(1))
  one.say(packetOf(1, { messageId: 9, dup: true }))
  await acknowledged(one, 1)
  // The result is not taken before the connection ends.
  await one.next()
  one.ours.destroy()
  const two = await meet()
  two.say(packetOf(1, { messageId: 5 }))
  assert.equal(await result(two, 1), 'done')
  await acknowledged(two, 5)
  await goesOn(two, 6)
  assert.deepEqual(ran, [1, 6])
  two.connection.close()
})

test('a late command is refused by the device’s own clock', async () => {
  const { meet, ran } = commanded()
  const scene = await meet()
  scene.say(packetOf(1, { payload: textOf(1, '2026-11-23T00:00:00.000Z') }))
  await acknowledged(scene, 1)
  assert.match(await result(scene, 1, '/refused'), /^it expired at 2026-11-23T00:00:00.000Z/)
  assert.deepEqual(ran, [])
  scene.connection.close()
})

for (const [what, over, code, reason] of [
  ['without an id', { payload: '{}' }, 0x99, /has no id/],
  ['that is no text', { payload: Buffer.of(0xff) }, 0x99, /no UTF-8/],
  ['that is longer than a command', { payload: 'x'.repeat(20_000) }, 0x99, /is longer than/],
  ['of another device', { topic: 'devices/02005efffe000002/commands/set' }, 0x90, /topic/],
  ['on another topic', { topic: `devices/${eui64}/results/set` }, 0x90, /topic/],
] as const)
  test(`a message ${what} is refused by its acknowledgement, and the connection stays`, async () => {
    const { meet, ran, events } = commanded()
    const scene = await meet()
    scene.say(packetOf(3, over))
    await acknowledged(scene, 3, code)
    const [event, ...more] = events
    assert.ok(event?.event === 'commandUnreadable' && more.length === 0)
    assert.match(event.reason, reason)
    await goesOn(scene, 4)
    assert.deepEqual(ran, [4])
    scene.connection.close()
  })

test('a command with an id that cannot be read is refused by it', async () => {
  const { meet } = commanded()
  const scene = await meet()
  scene.say(packetOf(1, { payload: textOf(1).replace('"data"', '"date"') }))
  await acknowledged(scene, 1)
  assert.equal(await result(scene, 1, '/refused'), 'a command has no data')
  scene.connection.close()
})

const never = new AbortController().signal

test('a packet larger than was announced ends the connection', async () => {
  const { meet, ran } = commanded()
  const scene = await meet()
  scene.say(packetOf(1, { payload: 'x'.repeat(80_000) }))
  await scene.connection.ended(never)
  assert.equal(scene.connection.isOpen, false)
  assert.deepEqual(ran, [])
})

for (const [what, qos] of [
  ['QoS 0', 0],
  ['QoS 2', 2],
] as const)
  test(`a command at ${what} ends the connection: it was asked for at QoS 1`, async () => {
    const { meet, ran } = commanded()
    const scene = await meet()
    scene.say(packetOf(1, { qos }))
    await assert.rejects(scene.connection.ended(never), {
      code: 'ERR_MQTT_PROTOCOL',
      message: new RegExp(what),
    })
    assert.deepEqual(ran, [])
  })

test('a server that does not wait for acknowledgements is left', async () => {
  const { meet, ran } = commanded(() => new Promise(() => undefined))
  const scene = await meet()
  scene.say(packetOf(1))
  await acknowledged(scene, 1)
  for (let n = 2; n <= 18; n++) scene.say(packetOf(n))
  await assert.rejects(scene.connection.ended(never), {
    code: 'ERR_MQTT_PROTOCOL',
    message: 'more than 16 messages wait to be acknowledged',
  })
  assert.deepEqual(ran, [1])
})

test('a server that grants no QoS 1, or none at all, is heard', async () => {
  for (const [granted, code] of [
    [0, 0x80],
    [2, 0x80],
    [0x87, 0x87],
  ] as const) {
    const { connection, next, say } = await meetInside(() => undefined)
    const said = connection.subscribe(`devices/${eui64}/commands/#`)
    const { messageId = 0 } = await next()
    say({ cmd: 'suback', messageId, granted: [granted] })
    assert.deepEqual(await said, { packet: 'suback', code })
    connection.close()
  }
})

test('a result that the server will not have is a refusal; one that it cannot take waits', async () => {
  const { meet } = commanded()
  const one = await meet()
  one.say(packetOf(1))
  await acknowledged(one, 1)
  one.say({ cmd: 'puback', messageId: (await one.next()).messageId ?? 0, reasonCode: 0x99 })
  assert.match(await result(one, 1, '/refused'), /does not take its result: payload format invalid/)
  one.say(packetOf(2))
  await acknowledged(one, 2)
  one.say({ cmd: 'puback', messageId: (await one.next()).messageId ?? 0, reasonCode: 0x97 })
  assert.deepEqual(await one.connection.ended(never), { packet: 'puback', code: 0x97 })
  const two = await meet()
  assert.equal(await result(two, 2), 'done')
  two.connection.close()
})

test('a result for which the connection was ended is a refusal on the next', async () => {
  const { meet } = commanded()
  const one = await meet()
  one.say(packetOf(1))
  await acknowledged(one, 1)
  await one.next()
  one.say({ cmd: 'disconnect', reasonCode: 0x95 })
  await one.connection.ended(never)
  const two = await meet()
  assert.match(await result(two, 1, '/refused'), /does not take its result: packet too large/)
  two.connection.close()
})

test('what was begun is known after a restart, and a crash in between does not run it again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'begun-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'commands.json')
  const before = await openBegun(path)
  const crashed = commanded(() => new Promise(() => undefined), before)
  const one = await crashed.meet()
  one.say(packetOf(1))
  await acknowledged(one, 1)
  while (crashed.ran.length === 0) await new Promise(setImmediate)
  one.ours.destroy()

  const after = commanded(undefined, await openBegun(path))
  const two = await after.meet()
  two.say(packetOf(1))
  await acknowledged(two, 1)
  await goesOn(two, 2)
  assert.deepEqual(after.ran, [2])
  two.connection.close()

  await writeFile(path, '{"begun":[1]}')
  await assert.rejects(openBegun(path), { code: 'ERR_STATE_DAMAGED', where: path })
})

test('a command that cannot be remembered is not run, and ends the run', async () => {
  const full = new Error('no space left on device')
  const memory: CommandMemory = { has: () => false, add: () => Promise.reject(full) }
  const { meet, commands, ran } = commanded(undefined, memory)
  const scene = await meet()
  const obeying = commands.obey()
  scene.say(packetOf(1))
  await assert.rejects(obeying, full)
  assert.deepEqual(ran, [])
  scene.connection.close()
})
