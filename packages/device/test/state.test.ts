import assert from 'node:assert/strict'
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { systemWorld } from '../src/index.ts'
import { openCounter, readReserved } from '../src/state/counter.ts'
import { openState } from '../src/state/folder.ts'
import { lockFolder } from '../src/state/lock.ts'
import { countWaiting, Outbox, type Reading } from '../src/state/outbox.ts'

const posix = process.platform === 'win32' ? 'Windows has no such modes' : false
const root = await mkdtemp(join(tmpdir(), 'countersign-state-'))
after(() => rm(root, { recursive: true }))
let files = 0
const freshPath = (): string => join(root, `file-${files++}`)
const opened: Outbox[] = []
after(() => Promise.all(opened.map((each) => each.close())))
async function openOutbox(...args: Parameters<typeof Outbox.open>): Promise<Outbox> {
  const outbox = await Outbox.open(...args)
  opened.push(outbox)
  return outbox
}
const reading = (number: number, text = `reading ${number}`): Reading => ({
  number,
  topic: 'room/temperature',
  contentType: 'text/plain',
  data: Buffer.from(text),
})

test('numbers start at one, and no two callers get the same', async () => {
  const counter = await openCounter(freshPath())
  const numbers = await Promise.all(Array.from({ length: 300 }, () => counter.next()))
  assert.deepEqual(
    numbers,
    Array.from({ length: 300 }, (_, index) => index + 1),
  )
})

test('a counter opened after a crash never gives a number that was given before', async () => {
  const path = freshPath()
  let highest = 0
  for (let life = 0; life < 20; life++) {
    // Nothing is closed: that is the crash.
    const counter = await openCounter(path)
    for (let count = 0; count <= life * 7; count++) {
      const number = await counter.next()
      assert.ok(number > highest, `${number} after ${highest}`)
      highest = number
    }
    assert.ok(highest < (await readReserved(path)))
  }
})

test('a counter that cannot be read is never started again at one', async () => {
  const path = freshPath()
  await (await openCounter(path)).next()
  for (const bad of ['', '{}', '{"reserved":0}', '{"reserved":1.5}', '{"reserved":"9"}', 'null']) {
    await writeFile(path, bad)
    await assert.rejects(openCounter(path), { code: 'ERR_STATE_DAMAGED' })
  }
})

test('the outbox gives readings in their order, and after a restart those that were not settled', async () => {
  const path = freshPath()
  const outbox = await openOutbox(path)
  for (const number of [1, 2, 3, 4]) await outbox.add(reading(number))
  assert.deepEqual(outbox.first(), reading(1))
  await outbox.settle(1)
  await outbox.settle(3)
  assert.equal((await stat(path)).mode & 0o077, 0)
  const again = await openOutbox(path)
  assert.equal(again.size, 2)
  assert.equal(await countWaiting(path), 2)
  assert.deepEqual(again.first(), reading(2))
  await again.settle(2)
  assert.deepEqual(again.first(), reading(4))
})

test('whatever a crash leaves of the last line, the readings before it are there', async () => {
  const path = freshPath()
  const outbox = await openOutbox(path)
  for (const number of [1, 2]) await outbox.add(reading(number))
  const two = (await readFile(path)).length
  await outbox.add(reading(3))
  const whole = await readFile(path)
  for (let length = two; length < whole.length; length++) {
    await writeFile(path, whole.subarray(0, length))
    const again = await openOutbox(path)
    assert.equal(again.size, 2, `cut at ${length}`)
    // And the file is in order again for what follows.
    await again.add(reading(4))
    assert.equal(await countWaiting(path), 3)
  }
  // Some file systems leave zeros where the data was not yet.
  await writeFile(path, whole.subarray(0, two))
  await appendFile(path, Buffer.alloc(5000))
  assert.equal((await openOutbox(path)).size, 2)
})

test('damage in the middle is said and not skipped', async () => {
  const path = freshPath()
  const outbox = await openOutbox(path)
  for (const number of [1, 2, 3]) await outbox.add(reading(number))
  const whole = await readFile(path)
  whole[3] = 0
  await writeFile(path, whole)
  await assert.rejects(Outbox.open(path), { code: 'ERR_STATE_DAMAGED' })
  assert.deepEqual(await readFile(path), whole)
})

test('a full outbox lets the oldest readings go and says which', async () => {
  const path = freshPath()
  const outbox = await openOutbox(path, { readingsMax: 3, bytesMax: 10_000 })
  const dropped: number[] = []
  for (let number = 1; number <= 5; number++) dropped.push(...(await outbox.add(reading(number))))
  assert.deepEqual(dropped, [1, 2])
  assert.equal(outbox.first()?.number, 3)
  assert.deepEqual(await outbox.add(reading(6, 'x'.repeat(7_450))), [3, 4, 5])
  assert.equal((await openOutbox(path)).first()?.number, 6)
})

test('one reading larger than the whole outbox is still kept', async () => {
  const outbox = await openOutbox(freshPath(), { readingsMax: 3, bytesMax: 10 })
  assert.deepEqual(await outbox.add(reading(1)), [])
  assert.equal(outbox.size, 1)
})

test('the file does not grow without end', async () => {
  const path = freshPath()
  const outbox = await openOutbox(path)
  await outbox.add(reading(1, 'stays'))
  for (let number = 2; number < 200; number++) {
    await outbox.add(reading(number, 'x'.repeat(20_000)))
    await outbox.settle(number)
  }
  assert.ok((await stat(path)).size < 2 * 1024 * 1024)
  const again = await openOutbox(path)
  assert.equal(again.size, 1)
  assert.deepEqual(again.first(), reading(1, 'stays'))
})

test('readings added at the same time are whole lines', async () => {
  const path = freshPath()
  const outbox = await openOutbox(path)
  const numbers = Array.from({ length: 50 }, (_, index) => index + 1)
  await Promise.all(numbers.map((number) => outbox.add(reading(number))))
  await Promise.all(numbers.filter((number) => number % 2 === 0).map((n) => outbox.settle(n)))
  assert.equal((await openOutbox(path)).size, 25)
})

test('a state folder is worked in by one at a time', async () => {
  const lock = lockFolder(root)
  assert.throws(() => lockFolder(root), { code: 'ERR_STATE_LOCKED' })
  lock.release()
  lockFolder(root).release()
})

async function mode(folder: string): Promise<number> {
  return (await stat(folder)).mode & 0o777
}

test('a folder that others may enter is taken only when it is empty', { skip: posix }, async () => {
  const empty = freshPath()
  await mkdir(empty, { mode: 0o755 })
  await (await openState(empty, systemWorld(), { create: true })).close()
  assert.equal(await mode(empty), 0o700)
  const used = freshPath()
  await mkdir(used, { mode: 0o755 })
  await writeFile(join(used, 'letter.txt'), 'not ours')
  for (const create of [true, false]) {
    await assert.rejects(openState(used, systemWorld(), { create }), { code: 'ERR_STATE_MODE' })
    assert.equal(await mode(used), 0o755)
  }
  await chmod(empty, 0o750)
  await assert.rejects(openState(empty, systemWorld(), { create: true }), {
    code: 'ERR_STATE_MODE',
  })
})

test('an outbox cut to nothing is an empty one', async () => {
  const path = freshPath()
  await (await openOutbox(path)).add(reading(1))
  await truncate(path, 0)
  assert.equal((await openOutbox(path)).size, 0)
})
