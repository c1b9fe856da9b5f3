/** How often a handshake begins. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMessage } from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import { type NarrowParts, narrowLimits } from '../../src/portable/narrow/index.ts'
import {
  handshakesOf,
  makeScene,
  type MemoryStorage,
  reading,
  type Scene,
  serverAddress,
} from './scene.ts'

const hour = 3_600_000
const day = 24 * hour

/** When each message_1 went out for the first time; those that are sent again have the same bytes. */
function begun({ network, time }: Scene): number[] {
  const times: number[] = []
  const seen = new Set<string>()
  network.observe(({ act, datagram, to }) => {
    if (act !== 'sent' || to !== serverAddress) return
    const { payload } = parseMessage(datagram)
    if (payload[0] !== 0xf5 || seen.has(hex(payload))) return
    seen.add(hex(payload))
    times.push(time.now())
  })
  return times
}

async function askFor(scene: Scene, storage: MemoryStorage | undefined, milliseconds: number) {
  const { time, device } = scene
  const { session, cut, storage: kept } = await device({}, storage)
  const until = time.now() + milliseconds
  while (time.now() < until) {
    await assert.rejects(time.until(session.request(reading(1))))
    await time.advance(5_000)
  }
  cut()
  return kept
}

test('a server that is not there is looked for later and later, and at least once an hour and a half', async () => {
  const scene = makeScene()
  const { serverLink, time } = scene
  serverLink.close()
  const times = begun(scene)
  const start = time.now()
  await askFor(scene, undefined, day / 2)
  const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
  assert.equal(times[0], start)
  assert.ok(Math.max(...gaps) <= narrowLimits.backoffMaxMs * 1.5 + 120_000)
  // It doubles: the first ones lie close, the last ones far apart.
  assert.ok((gaps[0] ?? 0) < 120_000 && (gaps.at(-1) ?? 0) >= hour)
  assert.ok(times.length < 20)
})

test('a server that forgets again and again gets so many handshakes a day', async () => {
  const { time, server, device } = makeScene()
  const { session, storage } = await device()
  const until = time.now() + day - hour
  while (time.now() < until) {
    server.forget()
    await time.until(session.request(reading(1))).catch(() => undefined)
    await time.advance(60_000)
  }
  assert.equal(handshakesOf(storage), narrowLimits.handshakesPerDayMax)
  await assert.rejects(time.until(session.request(reading(2))))
  await time.advance(2 * hour)
  await time.until(session.request(reading(2)))
  assert.equal(handshakesOf(storage), 1)
})

test('a clock that is set back does not silence the device, nor give it a new day', async () => {
  const scene = makeScene()
  const { time, serverLink, device } = scene
  serverLink.close()
  const times = begun(scene)
  let storage: MemoryStorage | undefined
  for (let start = 1; start <= 60; start++) {
    const clock = { now: () => time.now() - start * day }
    const one = await device({ clock }, storage)
    await assert.rejects(time.until(one.session.request(reading(1))))
    one.cut()
    storage = one.storage
  }
  assert.equal(times.length, narrowLimits.handshakesPerDayMax)
})

test('after the budget says no, it says when', async () => {
  const { time, serverLink, device } = makeScene()
  serverLink.close()
  const { session } = await device({ limits: { backoffFirstMs: 600_000 } })
  await assert.rejects(time.until(session.request(reading(1))), { code: 'ERR_NARROW_TIMEOUT' })
  await assert.rejects(session.request(reading(1)), (error: { details: { afterMs: number } }) => {
    const { afterMs } = error.details
    return afterMs > 400_000 && afterMs < 900_000
  })
})

test('sleep and a new start do not make the wait shorter', async () => {
  const scene = makeScene()
  const { time, serverLink, device } = scene
  serverLink.close()
  const times = begun(scene)
  const first = await device()
  for (let wakes = 0; wakes < 20; wakes++) {
    await assert.rejects(time.until(first.session.request(reading(1))))
    await first.session.sleep()
    await time.advance(1_000)
    first.session.wake()
  }
  const before = times.length
  assert.ok(before < 8, `${before} handshakes`)
  first.cut()
  for (let starts = 0; starts < 20; starts++) {
    const next = await device({}, first.storage)
    await assert.rejects(time.until(next.session.request(reading(1))), /./)
    next.cut()
    await time.advance(1_000)
  }
  assert.ok(times.length - before < 4, `${times.length - before} more`)
})

test('a device without a clock comes back after years of short lives, one handshake each', async () => {
  const scene = makeScene()
  const { time, server, serverLink, device } = scene
  // Each life counts from zero.
  const lifeOf = (): Partial<NarrowParts> => {
    const start = time.now()
    const clock = { now: () => time.now() - start }
    return { hasClock: false, timeFloor: Date.UTC(2025, 5, 1), clock }
  }
  let storage: MemoryStorage | undefined
  serverLink.cut(100 * day)
  for (let life = 0; life < 60; life++) {
    const one = await device(lifeOf(), storage)
    await assert.rejects(time.until(one.session.request(reading(1))))
    await assert.rejects(time.until(one.session.request(reading(1))))
    one.cut()
    storage = one.storage
    await time.advance(day / 24)
  }
  await time.advance(100 * day)
  const last = await device(lifeOf(), storage)
  await time.until(last.session.request(reading(1)))
  assert.equal(server.counts.message3, 1)
})
