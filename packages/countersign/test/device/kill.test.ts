import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { enroll, lineSource, type RoadName, run, show } from '@countersign/device'
import { parseRecord } from '@countersign/element/shapes'
import { seeded } from '@countersign/testbed'
import { start } from '../cli/bin.ts'
import { openTestHouse } from './house.ts'

/** A slice in the tests, many in a soak. */
const kills = Number(process.env['DEVICE_KILLS'] ?? 3)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
/** A process has started and sends by then; the kill falls somewhere after. */
const killWithinMs = 250

/**
 * Lives of one device: beyond so many its outbox would be rewritten, and the test reads every
 * reading from it.
 */
const livesMax = 20

const house = await openTestHouse()
// The rate limit is another test's.
await house.call('product.set', { name: 'default', messagesPerMinute: 100_000 })
for (const road of ['https', 'coap'] as const)
  test(`a device killed at any moment loses no reading and uses no number twice, on ${road} (seed ${seed})`, () =>
    killOften(road))

async function killOften(road: RoadName): Promise<void> {
  const random = seeded(seed)
  for (let killed = 0; killed < kills; killed += livesMax) {
    const lives = Math.min(livesMax, kills - killed)
    const state = join(house.root, `device-${road}-${killed}`)
    const { eui64 } = await enroll({
      ...(await house.invite()),
      serial: `SN-KILL-${road}-${killed}`,
      state,
    })
    const acknowledged = new Set<number>()
    let line = 0
    for (let life = 0; life < lives; life++) {
      line = await liveAndDie({ state, road }, line, random.below(killWithinMs), acknowledged)
    }
    const last = await run({
      state,
      road,
      source: lineSource(Readable.from(['"the end"\n'])),
      topic: 'count',
      listener: (event) => event.event === 'sent' && acknowledged.add(event.number),
    })
    assert.equal(last.waiting, 0)
    assert.equal((await show({ state })).readings.waiting, 0)
    checkBooks(await house.messages(), await keptReadings(state), eui64, acknowledged)
  }
}

/**
 * What the device kept, in order and each number once, is what the server stored, and nothing more.
 */
function checkBooks(
  stored: ReadonlyMap<string, unknown>,
  kept: readonly { number: number; data: unknown }[],
  eui64: string,
  acknowledged: ReadonlySet<number>,
): void {
  assert.ok(kept.length > 2, `only ${kept.length} readings were kept: the test proves nothing`)
  const numbers = kept.map(({ number }) => number)
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].toSorted((a, b) => a - b),
  )
  for (const { number, data } of kept) {
    assert.deepEqual(stored.get(`${eui64}-${number}`), data, `reading ${number}, seed ${seed}`)
  }
  const ofDevice = [...stored.keys()].filter((id) => id.startsWith(`${eui64}-`))
  assert.equal(ofDevice.length, kept.length)
  for (const number of acknowledged) assert.ok(stored.has(`${eui64}-${number}`))
}

/** Feeds lines until the kill, which comes so long after the first acknowledged reading. */
async function liveAndDie(
  { state, road }: { readonly state: string; readonly road: RoadName },
  from: number,
  afterMs: number,
  acknowledged: Set<number>,
): Promise<number> {
  const child = start([
    'device',
    'run',
    '--source',
    '-',
    '--topic',
    'count',
    '--state',
    state,
    '--road',
    road,
    '--json',
  ])
  const closed = once(child, 'close')
  child.stdin.on('error', () => undefined)
  let line = from
  const gone = new AbortController()
  const feed = async (): Promise<void> => {
    while (!gone.signal.aborted) {
      child.stdin.write(`{"line":${line++}}\n`)
      await sleep(1)
    }
  }
  const feeding = feed()
  let dying: Promise<void> | undefined
  for await (const text of createInterface({ input: child.stdout })) {
    const event = parseRecord(text)
    // The last line may be half a line: it was killed while it wrote.
    if (event?.['event'] !== 'sent') continue
    acknowledged.add(Number(event['number']))
    dying ??= sleep(afterMs).then(() => void child.kill('SIGKILL'))
  }
  gone.abort()
  await Promise.all([feeding, dying, closed])
  return line
}

/**
 * Every reading that was ever numbered: the outbox is short enough never to have been rewritten.
 */
async function keptReadings(state: string): Promise<{ number: number; data: unknown }[]> {
  const text = await readFile(join(state, 'outbox.jsonl'), 'utf8')
  return text
    .split('\n')
    .filter((each) => each.startsWith('{"number"'))
    .map((each) => {
      const { number, data } = parseRecord(each) ?? {}
      return {
        number: Number(number),
        data: JSON.parse(Buffer.from(String(data), 'base64').toString()),
      }
    })
}
