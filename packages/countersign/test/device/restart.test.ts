import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { enroll, type RoadName, run, type Source } from '@countersign/device'
import { parseRecord } from '@countersign/element/shapes'
import { createFolder, openHouse } from '@countersign/server'
import { reachHouse } from '@countersign/server/reach'
import { seeded } from '@countersign/testbed'
import { start } from '../cli/bin.ts'

/** A slice in the tests, many in a soak. */
const kills = Number(process.env['SERVER_KILLS'] ?? 1)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
/** After the server is ready again, the device sends for at most this long before the next kill. */
const killWithinMs = 150

for (const road of ['https', 'coap'] as const)
  test(`a server killed at any moment loses nothing that it acknowledged on ${road} (seed ${seed})`, (t) =>
    killOften(t, road))

async function killOften(t: TestContext, road: RoadName): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'countersign-restart-'))
  t.after(() => rm(base, { recursive: true, force: true, maxRetries: 5 }))
  const dir = join(base, 'data')
  const passphrase = 'a passphrase of this test only'
  await createFolder(dir, { hosts: [], demo: false, passphrase, cost: { log2N: 10, r: 8, p: 1 } })
  const file = join(base, 'passphrase')
  await writeFile(file, `${passphrase}\n`, { mode: 0o600 })
  const random = seeded(seed)
  let server = await serveAt(dir, file, { https: 0, coap: 0 })
  t.after(() => server.child.kill('SIGKILL'))
  const house = await reachHouse(dir, {
    passphrase: () => Promise.resolve(passphrase),
    warn: () => undefined,
  })
  // The rate limit is another test's.
  await house.call('product.set', { name: 'default', messagesPerMinute: 100_000 })
  const expiresAt = Date.now() + 600_000
  const invitation = await house.call('identity.invite', {
    product: 'default',
    count: 1,
    expiresAt,
  })
  await house.close()
  const state = join(base, 'device')
  const { eui64 } = await enroll({ ...invitation, serial: 'SN-RESTART', state })

  const acknowledged = new Set<number>()
  const feed = countingSource(acknowledged)
  const running = run({
    state,
    road,
    source: feed.source,
    backoff: {
      broken: { firstMs: 10, maxMs: 100 },
      refused: { firstMs: 10, maxMs: 100 },
    },
    listener: (event) => event.event === 'sent' && acknowledged.add(event.number),
  })
  for (let kill = 0; kill < kills; kill++) {
    const before = acknowledged.size
    while (acknowledged.size <= before) await sleep(5)
    await sleep(random.below(killWithinMs))
    server.child.kill('SIGKILL')
    await once(server.child, 'close')
    server = await serveAt(dir, file, server.ports)
  }
  feed.end()
  const summary = await running
  assert.equal(summary.waiting, 0)
  assert.equal(summary.rejected, 0)
  assert.equal(summary.dropped, 0)
  server.child.kill('SIGTERM')
  await once(server.child, 'close')

  const offline = await openHouse(dir, { passphrase })
  try {
    const rows = await offline.store.scan('message', { limit: 100_000 })
    const data = new Map(rows.map(({ id, body }) => [id, parseRecord(body)?.['data']]))
    const expected = Array.from({ length: feed.count() }, (_, index) => index + 1)
    assert.ok(expected.length > kills)
    for (const number of expected) {
      assert.deepEqual(data.get(`${eui64}-${number}`), { count: number }, `reading ${number}`)
    }
    assert.deepEqual(
      [...acknowledged].toSorted((a, b) => a - b),
      expected,
    )
  } finally {
    await offline.close()
  }
}

/** Far below what an outbox holds: one that overflows drops readings, as it must. */
const aheadMax = 1000

/** The n-th reading says n, so that its number and its content can be compared. */
function countingSource(acknowledged: ReadonlySet<number>): {
  source: Source
  end(): void
  count(): number
} {
  const ended = new AbortController()
  let count = 0
  const source: Source = {
    topic: 'count',
    async *samples(signal) {
      while (!signal.aborted && !ended.signal.aborted) {
        count++
        yield { contentType: 'application/json', data: Buffer.from(JSON.stringify({ count })) }
        do await sleep(4)
        while (count - acknowledged.size > aheadMax && !signal.aborted && !ended.signal.aborted)
      }
    },
  }
  return { source, end: () => ended.abort(), count: () => count }
}

/** The doors that come back where they were. */
interface Ports {
  readonly https: number
  readonly coap: number
}

async function serveAt(
  dir: string,
  file: string,
  { https, coap }: Ports,
): Promise<{ child: ReturnType<typeof start>; ports: Ports }> {
  const listen = [`https=127.0.0.1:${https}`, `coap=127.0.0.1:${coap}`, 'console=0', 'mqtts=0']
  const doors = listen.flatMap((door) => ['--listen', door])
  const child = start(['serve', '--dir', dir, '--passphrase-file', file, ...doors])
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words += text))
  for await (const line of createInterface({ input: child.stdout })) {
    const listeners = parseRecord(JSON.stringify(parseRecord(line)?.['listeners'] ?? null))
    if (listeners === undefined) continue
    const portOf = (door: string): number => Number(new URL(String(listeners[door])).port)
    return { child, ports: { https: portOf('https'), coap: portOf('coap') } }
  }
  throw new Error(`serve ended before it was ready: ${words}`)
}
