import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allFaults, applyFault, type ConnectionPlan, planConnection } from '../src/plan.ts'
import { seeded } from '../src/seeded.ts'

const chunk = Uint8Array.from([1, 2, 3, 4])
const plan = (fault: ConnectionPlan['fault']): ConnectionPlan => ({
  fault,
  direction: 'up',
  chunk: 2,
  at: 6,
  bit: 3,
})

test('one seed draws one world, another seed another', () => {
  assert.deepEqual(draw(7), draw(7))
  assert.notDeepEqual(draw(7), draw(8))
})

test('the share of faulty connections is the one that was asked for, and every fault is drawn', () => {
  const count = 4000
  const plans = Array.from({ length: count }, (_, number) =>
    planConnection({ faultShare: 0.25, delayMsMax: 0 }, seeded(1).fork(number)),
  )
  const faulty = plans.filter((each) => each.fault !== 'none')
  assert.ok(Math.abs(faulty.length / count - 0.25) < 0.03, `${faulty.length} of ${count}`)
  assert.deepEqual(new Set(faulty.map((each) => each.fault)), new Set(allFaults))
  assert.deepEqual(new Set(plans.map((each) => each.direction)), new Set(['up', 'down']))
})

test('no fault is drawn when the share is nothing, and always one when it is everything', () => {
  for (let number = 0; number < 200; number++) {
    const random = seeded(3).fork(number)
    assert.equal(planConnection({ faultShare: 0, delayMsMax: 0 }, random.fork(0)).fault, 'none')
    assert.notEqual(planConnection({ faultShare: 1, delayMsMax: 0 }, random.fork(0)).fault, 'none')
  }
})

test('each fault does to its chunk what its name says, and leaves the others alone', () => {
  const expected = {
    flip: [[1, 2, 3 ^ 8, 4]],
    duplicate: [
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ],
    reorder: [],
    truncate: [[1, 2]],
    drop: [],
  }
  for (const [fault, parts] of Object.entries(expected)) {
    const name = allFaults.find((each) => each === fault) ?? assert.fail(fault)
    const verdict = applyFault(plan(name), 2, chunk)
    assert.deepEqual(
      verdict.forward.map((part) => [...part]),
      parts,
      fault,
    )
    assert.equal(verdict.tampered, fault !== 'reorder')
    assert.equal(verdict.end, fault === 'drop' || fault === 'truncate')
    assert.deepEqual(verdict.hold, fault === 'reorder' ? chunk : undefined)
    assert.deepEqual(applyFault(plan(name), 1, chunk).forward, [chunk])
  }
  assert.deepEqual([...chunk], [1, 2, 3, 4])
})

function draw(seed: number): ConnectionPlan[] {
  return Array.from({ length: 50 }, (_, number) =>
    planConnection({ faultShare: 0.5, delayMsMax: 0 }, seeded(seed).fork(number)),
  )
}
