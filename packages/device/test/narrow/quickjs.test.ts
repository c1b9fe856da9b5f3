/**
 * The narrow channel in an engine for small devices: the language and nothing else, a heap with an
 * enforced limit, its crypto in JavaScript or of the board. The key, the storage and the datagrams
 * are the board's.
 */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { boardOf, type Powered } from './quickjs/board.ts'
import { firmwareCode } from './quickjs/engine.ts'
import { makeScene } from './scene.ts'

/** Bytes; in JavaScript the tables of AES are 655 kB of them. See docs/performance.md. */
const memoryLimits = { 'in JavaScript': 4_000_000, 'of the board': 1_200_000 } as const

for (const crypto of ['in JavaScript', 'of the board'] as const) {
  const memoryLimit = memoryLimits[crypto]
  suite(`the narrow channel in a small engine, crypto ${crypto}`, () => {
    let code: Uint8Array = new Uint8Array()
    before(async () => {
      code = await firmwareCode(crypto)
    })

    test('it meets its server, sends, is commanded, sleeps, and goes on after its power was cut', async () => {
      const scene = makeScene()
      const { server, time } = scene
      const flash: Powered['flash'] = { record: undefined, writes: 0 }
      const first = await boardOf(scene, code, flash, memoryLimit)
      assert.equal(await first.send(1, 'warm'), coapCode.changed)
      assert.equal(await first.send(2, 'warmer'), coapCode.changed)
      await time.until(server.ask({ path: ['c', 'open'], payload: utf8('now') }))
      assert.deepEqual(first.served, ['now'])
      first.firmware.sleep()
      await time.advance(86_400_000)
      first.firmware.wake()
      await time.advance(0)
      assert.equal(await first.send(3, 'hot'), coapCode.changed)
      first.powerOff()
      const second = await boardOf(scene, code, flash, memoryLimit)
      assert.equal(await second.send(4, 'cold'), coapCode.changed)
      assert.equal(server.counts.message3, 1)
      assert.equal(server.stored.size, 4)
      assert.deepEqual([...first.faults, ...second.faults], [])
      second.powerOff()
    })

    test('it tells nothing to a server of another anchor', async () => {
      const scene = makeScene()
      const board = await boardOf(
        scene,
        code,
        { record: undefined, writes: 0 },
        memoryLimit,
        new Uint8Array(32),
      )
      assert.equal(await board.send(1, 'secret'), 'ERR_ANCHOR_MISMATCH')
      assert.equal(scene.server.counts.message3, 0)
      board.powerOff()
    })
  })
}
