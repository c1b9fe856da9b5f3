import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { VirtualTime } from '../../src/index.ts'

test('what is due first happens first, and equal times in the order of asking', async () => {
  const time = new VirtualTime(0)
  const said: string[] = []
  const say = (word: string) => () => void said.push(`${word} at ${time.now()}`)
  time.after(20, say('c'))
  time.after(10, say('a'))
  time.after(20, say('d'))
  time.after(10, () => {
    say('b')()
    time.after(0, say('b again'))
    time.after(10, say('e'))
  })
  await time.run()
  assert.deepEqual(said, ['a at 10', 'b at 10', 'b again at 10', 'c at 20', 'd at 20', 'e at 20'])
  assert.equal(time.waiting, 0)
})

test('time passes as far as it is told, and no timer beyond it runs', async () => {
  const time = new VirtualTime(1000)
  let ran = 0
  for (const after of [5, 10, 11]) time.after(after, () => ran++)
  await time.advance(10)
  assert.deepEqual([time.now(), ran, time.waiting], [1010, 2, 1])
  await time.advance(0)
  assert.deepEqual([time.now(), ran], [1010, 2])
  await time.run(3)
  assert.deepEqual([time.now(), ran], [1011, 3])
})

test('a timer that is cancelled does not run, also by one of the same time', async () => {
  const time = new VirtualTime()
  let ran = false
  time.after(5, () => late.cancel())
  const late = time.after(5, () => {
    ran = true
  })
  await time.run()
  assert.equal(ran, false)
})

test('promises have gone on before the next timer runs', async () => {
  const time = new VirtualTime(0)
  const said: string[] = []
  const wait = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => void time.after(milliseconds, resolve))
  const walk = async (name: string, step: number): Promise<void> => {
    for (let count = 0; count < 3; count++) {
      await wait(step)
      await new Promise(setImmediate)
      said.push(`${name}${time.now()}`)
    }
  }
  void walk('x', 10)
  void walk('y', 15)
  await time.run()
  // At 30 both are due: y asked for it at 15, x at 20.
  assert.deepEqual(said, ['x10', 'y15', 'x20', 'y30', 'x30', 'y45'])
})

test('time stands still while the machine works', async () => {
  const time = new VirtualTime(0)
  const said: string[] = []
  time.after(1, () => {
    void time.during(readFile(import.meta.filename)).then(() => said.push(`read at ${time.now()}`))
  })
  time.after(2, () => void said.push('next'))
  await time.run()
  assert.deepEqual(said, ['read at 1', 'next'])
})

test('what the machine fails at is told to whoever asked, and time goes on', async () => {
  const time = new VirtualTime(0)
  const failed = time.during(readFile(`${import.meta.filename}.not`))
  const told = assert.rejects(failed, { code: 'ENOENT' })
  time.after(1, () => undefined)
  await time.run()
  await told
  assert.equal(time.now(), 1)
})

test('a promise is awaited in virtual time, and one that nothing settles is told', async () => {
  const time = new VirtualTime(0)
  const hour = new Promise<string>(
    (resolve) => void time.after(3_600_000, () => resolve('an hour')),
  )
  assert.equal(await time.until(hour), 'an hour')
  assert.equal(time.now(), 3_600_000)
  await assert.rejects(time.until(new Promise(() => undefined)), { code: 'ERR_TIME_IDLE' })
  const late = new Promise<void>((resolve) => void time.after(100, resolve))
  await assert.rejects(time.until(late, 99), { code: 'ERR_TIME_IDLE' })
  const error = new Error('no')
  await assert.rejects(time.until(Promise.reject(error)), error)
})

test('what a timer throws comes out where time was let pass', async () => {
  const time = new VirtualTime(0)
  time.after(1, () => {
    throw new Error('broken')
  })
  await assert.rejects(time.advance(5), /broken/)
  await time.advance(5)
})

test('a life that ended has no timers and gets none', async () => {
  const time = new VirtualTime(0)
  const life = time.life()
  let ran = 0
  life.after(5, () => ran++)
  life.after(10, () => ran++)
  await time.advance(5)
  life.end()
  life.after(1, () => ran++)
  assert.equal(time.waiting, 0)
  await time.run()
  assert.deepEqual([ran, life.alive], [1, false])
})

test('time never goes back, and passes once at a time', async () => {
  const time = new VirtualTime(0)
  for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => time.after(wrong, () => undefined), { code: 'ERR_TIME_BACKWARDS' })
  }
  assert.throws(() => time.advance(-1), { code: 'ERR_TIME_BACKWARDS' })
  const first = time.advance(1)
  await assert.rejects(time.advance(1), { code: 'ERR_TIME_BUSY' })
  await first
})
