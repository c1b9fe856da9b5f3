/** Everything that somebody on the path can do, by seed: readings arrive, once, and as they were. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '@countersign/core/codec'
import { isCountersignError } from '@countersign/core/errors'
import { HostileDatagrams, seeded } from '@countersign/testbed'
import { makeScene, reading, serverAddress } from './scene.ts'

const first = Number(process.env['SEED'] ?? 1)
const readings = 15

for (let seed = first; seed < first + 20; seed++) {
  test(`each reading arrives through a hostile way (seed ${seed})`, async () => {
    const scene = makeScene(seed)
    const { time, network, server, witness, device } = scene
    const { carry } = network
    // The server keeps its address.
    const rebind = (address: string): boolean =>
      address !== serverAddress && network.rebind(address)
    const plan = { share: 0.3, lateMsMax: 120_000 }
    const random = seeded(seed)
    const hostile = new HostileDatagrams({ time, random, plan, carry, rebind })
    network.through(hostile.pass)
    const { session, served, faults } = await device({ limits: { handshakesPerDayMax: 10_000 } })
    for (let number = 1; number <= readings; ) {
      try {
        await time.until(session.request(reading(number)))
        assert.equal(server.stored.get(`m/room?n=${number}`), `reading ${number}`)
        number++
      } catch (error) {
        if (!isCountersignError(error)) throw error
        assert.ok(!error.code.endsWith('_INTERNAL'), error.code)
        await time.advance(60_000)
      }
      if (number % 5 === 0 && server.contexts.size > 0) {
        const payload = utf8(String(number))
        void server.ask({ path: ['c', 'x'], payload }).catch(() => undefined)
      }
      await time.advance(10_000)
    }
    hostile.end()
    await time.run(600_000)
    assert.equal(server.stored.size, readings)
    assert.ok(hostile.attacked > 0)
    assert.deepEqual(faults, [])
    assert.deepEqual(witness.reused, [])
    for (const { payload } of served) assert.match(Buffer.from(payload).toString(), /^\d+$/)
  })
}
