import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { enroll, run, type Source, textSample } from '@countersign/device'
import { createFolder, openHouse, runOperation, type Services } from '@countersign/server'
import { seeded } from '@countersign/testbed'
import { document, passphraseFile, type Served, serve } from './bin.ts'

/** A slice in the tests, many in a soak. */
const kills = Number(process.env['SERVE_KILLS'] ?? 3)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
/** Long enough for readings, renewed CRLs and operators' commands to be in the middle of something. */
const killWithinMs = 400
const passphrase = 'a passphrase of this test only'
/** The device tries again at once: what is tested is the server, not the patience. */
const backoff = { firstMs: 20, maxMs: 100 }

test(`serve killed at any moment keeps every reading it acknowledged, once (seed ${seed})`, async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'crash-'))
  t.after(() => rm(base, { recursive: true, force: true, maxRetries: 5 }))
  const dir = join(base, 'data')
  await createFolder(dir, { hosts: [], passphrase, demo: false, cost: { log2N: 10, r: 8, p: 1 } })
  const key = ['--passphrase-file', await passphraseFile(base, passphrase)]
  let served = await serve(dir, ...key)
  t.after(() => served.stop('SIGKILL'))
  const { port } = new URL(served.listeners['https'] ?? '')

  const state = join(base, 'device')
  const invitation = await document(['identity', 'invite', '--dir', dir])
  const { server, token, anchor } = invitation
  await enroll({
    server: String(server),
    token: String(token),
    anchor: String(anchor),
    serial: 'SN-CRASH',
    state,
  })
  const acknowledged = new Set<string>()
  const readings = counting()
  const running = run({
    state,
    source: readings.source,
    backoff: { broken: backoff, refused: backoff },
    listener: (event) => event.event === 'sent' && acknowledged.add(event.id),
  })

  const random = seeded(seed)
  const products: string[] = []
  for (let life = 0; life < kills; life++) {
    const before = acknowledged.size
    const name = `product-${life}`
    // An operator's command in flight when the server dies: done and said so, or not known.
    const added = document(['product', 'add', name, '--dir', dir]).then(
      () => products.push(name),
      () => undefined,
    )
    await sleep(random.below(killWithinMs))
    await served.stop('SIGKILL')
    await added
    served = await again(dir, port, key)
    await until(() => acknowledged.size > before)
  }
  readings.end()
  const summary = await running
  assert.equal(summary.waiting, 0)
  assert.equal(await served.stop(), 0)
  await judge(dir, acknowledged, products)
})

async function again(dir: string, port: string, key: readonly string[]): Promise<Served> {
  return await serve(dir, '--listen', `https=127.0.0.1:${port}`, ...key)
}

async function judge(
  dir: string,
  acknowledged: ReadonlySet<string>,
  products: readonly string[],
): Promise<void> {
  const house = await openHouse(dir, { passphrase })
  try {
    const stored = await storedReadings(house)
    assert.equal(stored.length, new Set(stored).size, 'a reading is stored twice')
    for (const id of acknowledged) assert.ok(stored.includes(id), `${id} was acknowledged`)
    assert.equal(stored.length, acknowledged.size)
    const verdict = await runOperation(house, 'log.verify', {})
    assert.equal((verdict as { ok: boolean }).ok, true)
    const known = (await house.registry.products()).map(({ name }) => name)
    for (const name of products) assert.ok(known.includes(name), `${name} was acknowledged`)
  } finally {
    await house.close()
  }
}

async function storedReadings(house: Services): Promise<string[]> {
  const rows = await house.store.scan('message', { limit: 100_000 })
  return rows.filter(({ type }) => type === 'countersign.message').map(({ id }) => id)
}

/** A reading every 40 ms (slower than they are sent, so that none pile up), until it is told to end. */
function counting(): { readonly source: Source; end(): void } {
  const ended = new AbortController()
  const source: Source = {
    topic: 'count',
    async *samples() {
      for (let n = 0; !ended.signal.aborted; n++) {
        yield textSample(String(n))
        await sleep(40)
      }
    },
  }
  return { source, end: () => ended.abort() }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(10)
}
