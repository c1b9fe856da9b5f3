/**
 * The conversations of lives.test.ts, shorter, each had again and again: the device is stopped at its
 * first step, then at its second, and so on to the last, and after it the server. A step is a moment
 * before or after something that stays: a datagram sent, a record or a row written, a command run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allAttacks, seeded } from '@countersign/testbed'
import { checkBooks } from './books.ts'
import { converse, type Outcome, type Script } from './conversation.ts'
import { anyLink } from './links.ts'

type Side = 'device' | 'server'

/** Every step of many in a soak, a few steps of a few in the tests. */
const given = process.env['COAP_STEPS']
const conversations = Number(given ?? 3)
const stopsMax = given === undefined ? 4 : Number.POSITIVE_INFINITY
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

const minuteMs = 60_000

for (let number = seed; number < seed + conversations; number++) {
  test(`a conversation outlives a stop at any step of either side (seed ${number})`, async () => {
    const whole = await converse(scriptOf(number))
    checkBooks(whole, `seed ${number}`)
    for (const side of ['device', 'server'] as const) {
      const steps = stepsOf(whole, side)
      // To have said anything at all they need more.
      assert.ok(steps >= 20, `the ${side} took only ${steps} steps`)
      const stride = Math.max(1, Math.floor(steps / stopsMax))
      const first = 1 + (number % stride)
      let stops = 0
      while (stops < stopsMax && (await isOutlived(number, side, first + stops * stride))) stops++
      assert.ok(stops >= Math.min(20, stopsMax), `the ${side} was stopped ${stops} times`)
    }
  })
}

/**
 * False: it has no such step. Signatures are random, and so is what a damaged byte was part of: a
 * conversation that ended before the step is had again.
 */
async function isOutlived(number: number, side: Side, step: number): Promise<boolean> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const outcome = await converse(scriptOf(number, { side, step }))
    checkBooks(outcome, `seed ${number}, the ${side} stopped at ${step}`)
    if (stopsOf(outcome, side) > 0) return true
  }
  return false
}

function stepsOf({ devices: [device], server }: Outcome, side: Side): number {
  return side === 'server' ? server.steps : (device?.lives.steps ?? 0)
}

function stopsOf({ devices: [device], server }: Outcome, side: Side): number {
  return side === 'server' ? server.stopped : (device?.lives.stopped ?? 0)
}

/** One device; but for the one stop both live to the end. */
function scriptOf(number: number, stop?: { readonly side: Side; readonly step: number }): Script {
  const random = seeded(number)
  const fateOf = (side: Side) => (life: number) =>
    life === 0 && stop?.side === side ? { stopAt: stop.step } : {}
  return {
    seed: number,
    devices: 1,
    readings: Array.from({ length: 1 + random.below(3) }, () =>
      random.chance(0.15) ? 1025 + random.below(1500) : 1 + random.below(200),
    ),
    commands: random.below(3),
    suspensions: random.chance(0.2) ? 1 : 0,
    method: random.chance(0.5) ? 0 : 1,
    hasClock: random.chance(0.6),
    link: anyLink(random),
    attacks: { share: 0.1 * random.below(4), attacks: allAttacks, lateMsMax: minuteMs / 2 },
    warMs: minuteMs,
    fateOf: { device: fateOf('device'), server: fateOf('server') },
    awayMsMax: 10_000,
    reserve: random.chance(0.2) ? 64 : 1 + random.below(3),
    contextsInMemoryMax: random.chance(0.5) ? 10_000 : 1,
    hasSuccessor: random.chance(0.3),
    replayAll: random.chance(0.7),
    rekeyAfterMs: random.chance(0.3) ? 5_000 + random.below(minuteMs / 2) : undefined,
    wornAfterMs: random.chance(0.3) ? 5_000 : undefined,
  }
}
