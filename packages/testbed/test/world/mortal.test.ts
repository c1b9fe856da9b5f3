import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Mortal, VirtualTime } from '../../src/index.ts'

test('a process that stops at a step has done what was before it, and nothing behind', async () => {
  const done: string[] = []
  for (let stopAt = 1; stopAt <= 6; stopAt++) {
    const time = new VirtualTime(0)
    const world: string[] = []
    const life = new Mortal(time, { stopAt, stopped: () => world.push('stopped') })
    void work(life, world)
    await time.run()
    done.push(`${stopAt}: ${world.join(', ')}`)
    assert.equal(life.alive, false)
  }
  assert.deepEqual(done, [
    '1: stopped',
    '2: written, stopped',
    '3: written, heard, stopped',
    '4: written, heard, sent, stopped',
    '5: written, heard, sent, stopped',
    '6: written, heard, sent, late, stopped',
  ])
})

test('one that nobody stops does all of it, and says how many steps that were', async () => {
  const time = new VirtualTime(0)
  const world: string[] = []
  const life = new Mortal(time)
  await time.until(work(life, world))
  assert.deepEqual(world, ['written', 'heard', 'sent', 'late', 'over'])
  assert.deepEqual([life.steps, life.alive, time.now()], [6, true, 150])
})

test('what a dead process looks for does not come, and it stops once', async () => {
  const time = new VirtualTime(0)
  let [stops, came] = [0, false]
  const life = new Mortal(time, { stopped: () => stops++ })
  void life.look(async () => life.stop()).then(() => (came = true))
  void life.look(async () => undefined).then(() => (came = true))
  life.stop()
  life.act(() => (came = true))
  await time.run()
  assert.deepEqual([stops, came, life.steps], [1, false, 0])
})

/** A write, a message, and a write that takes time: two steps each. */
async function work(life: Mortal, world: string[]): Promise<void> {
  await life.effect(async () => world.push('written'))
  world.push('heard')
  life.act(() => world.push('sent'))
  await life.wait(100)
  await life.effect(async () => world.push('late'), 50)
  world.push('over')
}
