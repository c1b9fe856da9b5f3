/** How often a handshake begins. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMessage } from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import { narrowLimits } from '../../src/portable/narrow/index.ts'
import { makeScene, type MemoryStorage, reading, type Scene, serverAddress } from './scene.ts'

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

test('a device that starts again and again stays within the handshakes of a day', async () => {
  const scene = makeScene()
  const { serverLink } = scene
  serverLink.close()
  const times = begun(scene)
  let storage: MemoryStorage | undefined
  // Each start has the short wait of a first attempt.
  for (let start = 0; start < 80; start++) storage = await askFor(scene, storage, 1)
  assert.equal(times.length, narrowLimits.handshakesPerDayMax)
  await scene.time.advance(day)
  await askFor(scene, storage, 1)
  assert.equal(times.length, narrowLimits.handshakesPerDayMax + 1)
})

test('a clock that was set back does not silence the device, nor give it a new day', async () => {
  const scene = makeScene()
  const { time, serverLink, device } = scene
  serverLink.close()
  const times = begun(scene)
  let storage: MemoryStorage | undefined
  for (let start = 0; start < 40; start++) storage = await askFor(scene, storage, 1)
  const clock = { now: () => time.now() - 300 * day }
  for (let start = 0; start < 20; start++) {
    const { session, cut } = await device({ clock }, storage)
    await assert.rejects(time.until(session.request(reading(1))))
    cut()
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
