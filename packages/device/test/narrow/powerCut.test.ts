/** The power goes at any save: no nonce is used twice, no command runs twice, no reading is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import type { NarrowParts } from '../../src/portable/narrow/index.ts'
import { type Device, makeScene, MemoryStorage, reading, response, type Scene } from './scene.ts'

const limits = { reserve: 4, handshakesPerDayMax: 1_000_000 }
const readings = 11

interface Outcome {
  readonly saves: number
  readonly ran: readonly string[]
}

/** As firmware does it: the number of a reading goes up when it has been taken, and not before. */
async function live(
  scene: Scene,
  moment: 'before' | 'after',
  cutAt: number,
  given: NarrowParts['limits'] = {},
): Promise<Outcome> {
  const { time, server, device } = scene
  const storage = new MemoryStorage()
  const ran: string[] = []
  const serve: NarrowParts['serve'] = async (request) => {
    ran.push(Buffer.from(request.payload).toString())
    return response(coapCode.changed)
  }
  let current: Device | undefined
  let isCut = false
  storage.hook = async (when, number) => {
    if (isCut || when !== moment || number !== cutAt) return
    isCut = true
    current?.cut()
    await new Promise(() => undefined)
  }
  const next = { number: 1 }
  while (next.number <= readings) {
    if (current === undefined || !current.life.alive) {
      current = await device({ limits: { ...limits, ...given }, serve }, storage)
    }
    const { session, life } = current
    const { number } = next
    const done = session.request(reading(number)).then(
      () => void next.number++,
      () => undefined,
    )
    await raced(scene, done, life)
    // The server speaks too, and says it again as long as it hears nothing.
    if (number === 6 && life.alive && ran.length === 0) {
      const command = server.ask({ path: ['c', 'x'], payload: utf8('run') }).catch(() => undefined)
      await raced(scene, command, life)
    }
    if (life.alive) await time.advance(20_000)
  }
  await current?.session.sleep()
  return { saves: storage.saves, ran }
}

/** Until it is done, or the device is dead. */
async function raced({ time }: Scene, work: Promise<unknown>, life: Device['life']): Promise<void> {
  const state = { isDone: false }
  void work.then(() => (state.isDone = true))
  while (!state.isDone && life.alive) await time.advance(1_000)
}

test('a life without a power cut saves when it must and not for each message', async () => {
  const scene = makeScene()
  const { saves, ran } = await live(scene, 'before', Number.POSITIVE_INFINITY)
  assert.equal(scene.server.stored.size, readings)
  assert.equal(scene.server.counts.message3, 1)
  assert.deepEqual(ran, ['run'])
  // The handshake of the day, the context, each fourth message, the command.
  assert.ok(saves <= 2 + Math.ceil(readings / 4) + 2, `${saves} saves`)
})

for (const moment of ['before', 'after'] as const) {
  test(`the power goes ${moment} each save`, async () => {
    const { saves } = await live(makeScene(), moment, Number.POSITIVE_INFINITY)
    assert.ok(saves > 4)
    for (let cutAt = 0; cutAt < saves; cutAt++) {
      const scene = makeScene(cutAt + 1)
      const { ran } = await live(scene, moment, cutAt)
      const { server, witness } = scene
      assert.deepEqual(witness.reused, [], `cut ${moment} save ${cutAt}`)
      assert.ok(witness.seen > 10)
      assert.equal(server.stored.size, readings)
      assert.ok(ran.length <= 1, `cut ${moment} save ${cutAt}: it ran ${ran.length} times`)
    }
  })
}

test('the power goes at each save while contexts are replaced again and again', async () => {
  const given = { rekeyAfterMs: 60_000 }
  for (const moment of ['before', 'after'] as const) {
    const whole = makeScene()
    const { saves } = await live(whole, moment, Number.POSITIVE_INFINITY, given)
    assert.ok(whole.server.counts.message3 >= 3)
    for (let cutAt = 0; cutAt < saves; cutAt++) {
      const scene = makeScene(cutAt + 1)
      const { ran } = await live(scene, moment, cutAt, given)
      const { server, witness } = scene
      assert.deepEqual(witness.reused, [], `cut ${moment} save ${cutAt}`)
      assert.equal(server.stored.size, readings)
      assert.ok(ran.length <= 1, `cut ${moment} save ${cutAt}: it ran ${ran.length} times`)
    }
  }
})

test('the power goes while the server is not reached, again and again', async () => {
  const scene = makeScene()
  const { time, server, witness, device, serverLink } = scene
  const storage = new MemoryStorage()
  for (let life = 0; life < 20; life++) {
    const one = await device({ limits }, storage)
    if (life % 3 === 1) serverLink.cut(3_000)
    void one.session.request(reading(life)).catch(() => undefined)
    await time.advance(500 + life * 97)
    one.cut()
    await time.advance(1_000)
  }
  assert.deepEqual(witness.reused, [])
  assert.ok(server.stored.size > 5)
})

test('a storage that fails: nothing is sent with a number that is not written down', async () => {
  const scene = makeScene()
  const { time, server, witness, device } = scene
  const { session, storage } = await device({ limits })
  await time.until(session.request(reading(1)))
  let isBroken = true
  storage.hook = async () => {
    if (isBroken) throw new Error('the flash is worn out')
  }
  const ends: string[] = []
  for (let number = 2; number <= 8; number++) {
    await time.until(session.request(reading(number))).then(
      () => ends.push('taken'),
      (error: { code: string }) => ends.push(error.code),
    )
  }
  // What was reserved before can be used up.
  assert.deepEqual(ends, [...Array(3).fill('taken'), ...Array(4).fill('ERR_NARROW_STORAGE')])
  assert.equal(server.stored.size, 4)
  isBroken = false
  await time.until(session.request(reading(9)))
  assert.deepEqual(witness.reused, [])
})

test('a new context is written down before the answer that confirmed it is handed on, or anything is sent', async () => {
  const { time, network, device } = makeScene()
  const { session, storage } = await device({ limits })
  const written = Promise.withResolvers<undefined>()
  storage.hook = async (when, number) => {
    // The first save is the handshake's.
    if (when === 'before' && number === 1) await written.promise
  }
  const ends: string[] = []
  const asked = [1, 2].map((number) =>
    session.request(reading(number)).then(() => ends.push(`reading ${number}`)),
  )
  await time.advance(5_000)
  let sent = 0
  network.observe(({ act }) => (sent += act === 'sent' ? 1 : 0))
  await time.advance(600_000)
  assert.deepEqual([sent, ends], [0, []])
  written.resolve(undefined)
  await time.until(Promise.all(asked))
  assert.deepEqual(ends, ['reading 1', 'reading 2'])
})

test('a storage that fails at each save once: what failed is done again, with the same handshake', async () => {
  const undisturbed = await live(makeScene(), 'before', Number.POSITIVE_INFINITY)
  for (let failing = 0; failing < undisturbed.saves; failing++) {
    const scene = makeScene(failing + 1)
    const { time, server, witness, device } = scene
    const { session, storage, served } = await device({ limits })
    storage.hook = async (when, number) => {
      if (when === 'before' && number === failing) throw new Error('a bad page')
    }
    const next = { number: 1 }
    while (next.number <= readings) {
      const { number } = next
      await time.until(session.request(reading(number))).then(
        () => void next.number++,
        (error: { code: string }) => assert.equal(error.code, 'ERR_NARROW_STORAGE'),
      )
      if (next.number !== 6) continue
      await time.until(server.ask({ path: ['c', 'x'] }).catch(() => undefined))
    }
    assert.equal(server.stored.size, readings, `save ${failing}`)
    assert.equal(server.counts.message3, 1, `save ${failing}`)
    assert.ok(served.length <= 2, `save ${failing}`)
    assert.deepEqual(witness.reused, [])
  }
})
