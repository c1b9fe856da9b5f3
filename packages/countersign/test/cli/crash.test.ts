import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createFolder } from '@countersign/server'
import type { House } from '@countersign/server/control'
import { reachHouse } from '@countersign/server/reach'
import { seeded } from '@countersign/testbed'
import { passphraseFile, serve } from './bin.ts'

/**
 * A slice in the tests, many in a soak. Readings of devices under the same treatment:
 * test/device/restart.test.ts.
 */
const kills = Number(process.env['SERVE_KILLS'] ?? 2)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const killWithinMs = 60
/** Operators at work at the same time. */
const hands = 4
const passphrase = 'a passphrase of this test only'

test(`serve killed while operators work keeps all that it said was done (seed ${seed})`, async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'crash-'))
  t.after(() => rm(base, { recursive: true, force: true, maxRetries: 5 }))
  const dir = join(base, 'data')
  await createFolder(dir, { hosts: [], passphrase, demo: false, cost: { log2N: 10, r: 8, p: 1 } })
  const key = ['--passphrase-file', await passphraseFile(base, passphrase)]
  const random = seeded(seed)
  const done = new Map<string, number>()
  for (let life = 0; life < kills; life++) {
    const served = await serve(dir, ...key)
    t.after(() => served.stop('SIGKILL'))
    // Connected before anything dies: afterwards a hand would find no server and open the folder
    // itself.
    const houses = await Promise.all(Array.from({ length: hands }, () => reach(dir)))
    const working = houses.map((house, hand) => work(house, `p-${life}-${hand}`, done))
    await sleep(random.below(killWithinMs))
    await served.stop('SIGKILL')
    await Promise.all(working)
  }
  const house = await reach(dir)
  try {
    assert.equal((await house.call('log.verify', {})).ok, true)
    const products = await house.call('product.list', {})
    const blocks = products.map(({ euiFirst }) => euiFirst)
    assert.equal(new Set(blocks).size, blocks.length)
    const rates = new Map(products.map((row) => [row.name, row.messagesPerMinute]))
    for (const [name, said] of done) {
      // What died unanswered was done or not: at most one step further than what was said.
      const kept = rates.get(name) ?? 0
      assert.ok(kept === said || kept === said + 1, `${name}: ${said} said, ${kept} kept`)
    }
  } finally {
    await house.close()
  }
})

/** One change after another to a product of its own, until the server is gone. */
async function work(house: House, name: string, done: Map<string, number>): Promise<void> {
  try {
    await house.call('product.add', { name, messagesPerMinute: 1 })
    done.set(name, 1)
    for (let n = 2; ; n++) {
      await house.call('product.set', { name, messagesPerMinute: n })
      done.set(name, n)
    }
  } catch {
    await house.close()
  }
}

function reach(dir: string): Promise<House> {
  return reachHouse(dir, {
    passphrase: () => assert.fail('none of this needs a key'),
    warn: () => undefined,
  })
}
