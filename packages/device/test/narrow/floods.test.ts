/** Whoever is on the path says anything, a thousand times: it costs one handshake at most. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import { type Forgery, forge, seeded } from '@countersign/testbed'
import { handshakesOf, makeScene, reading, type Scene, serverAddress } from './scene.ts'

const flood = 1000
const forgeries: readonly Forgery[] = [
  'forged reset',
  'forged acknowledgement',
  'forged 4.01',
  'forged echo',
  'forged busy',
  'forged edhoc error',
]

interface Flood {
  readonly size?: number
  /** The server does not hear the device. */
  readonly isSilent?: boolean
}

/** In front of each answer to what the device says. */
function floodWith(
  scene: Scene,
  forgery: Forgery,
  { size = flood, isSilent = false }: Flood,
): { sent: number } {
  const random = seeded(7)
  const count = { sent: 0 }
  scene.network.through((datagram, from, to) => {
    if (to === serverAddress) {
      for (let index = 0; index < size; index++) {
        const forged = forge(forgery, datagram, random)
        if (forged?.to !== 'its sender') break
        count.sent++
        scene.network.carry(forged.datagram, to, from)
      }
      if (isSilent) return
    }
    scene.network.carry(datagram, from, to)
  })
  return count
}

for (const forgery of forgeries) {
  test(`a thousand times ${forgery}: a context that works is not given up`, async () => {
    const scene = makeScene()
    const { time, server, device } = scene
    const { session, faults } = await device()
    await time.until(session.request(reading(1)))
    await time.advance(86_400_000)
    const { sent } = await flooded(scene, forgery, async () => {
      for (let number = 2; number <= 4; number++) {
        const { code } = await time.until(session.request(reading(number)))
        assert.equal(code, coapCode.changed)
      }
    })
    assert.ok(sent >= 3 * flood)
    assert.equal(server.counts.message3, 1)
    assert.equal(server.stored.size, 4)
    assert.deepEqual(faults, [])
  })

  test(`again and again ${forgery}, and the server is not heard: one handshake a period`, async () => {
    const scene = makeScene()
    const { time, server, witness, device } = scene
    const { session, storage } = await device({ limits: { backoffFirstMs: 60_000 } })
    await time.until(session.request(reading(1)))
    await time.advance(86_400_000)
    const until = time.now() + 3_600_000
    await flooded(
      scene,
      forgery,
      async () => {
        while (time.now() < until) {
          await assert.rejects(time.until(session.request(reading(2))), {
            code: /^ERR_NARROW_(?!ST)/,
          })
          await time.advance(1_000)
        }
      },
      { isSilent: true, size: 50 },
    )
    // A minute, doubled each time: after 1, 3, 7, 15 and 31 minutes, and at once.
    const handshakes = handshakesOf(storage)
    assert.ok(handshakes <= 6, `${handshakes} handshakes in an hour`)
    // It still has the context that it had.
    const { code } = await time.until(session.request(reading(3)))
    assert.equal(code, coapCode.changed)
    assert.ok(server.counts.message3 <= 2)
    assert.deepEqual(witness.reused, [])
  })

  test(`a thousand times ${forgery} in front of a handshake: it goes through`, async () => {
    const scene = makeScene()
    const { time, server, device } = scene
    const { session } = await device()
    await time.until(session.request(reading(1)))
    await time.advance(86_400_000)
    server.forget()
    await flooded(scene, forgery, async () => {
      const { code } = await time.until(session.request(reading(2)))
      assert.equal(code, coapCode.changed)
    })
    assert.equal(server.counts.message3, 2)
    assert.equal(server.stored.size, 2)
  })
}

async function flooded(
  scene: Scene,
  forgery: Forgery,
  meanwhile: () => Promise<void>,
  options: Flood = {},
): Promise<{ sent: number }> {
  const count = floodWith(scene, forgery, options)
  await meanwhile()
  scene.network.through(undefined)
  return count
}
