/**
 * Devices and a server with the parts they really have, in virtual time, over a hostile network, and
 * each stopped at any step: what is said in OSCORE's and EDHOC's name has to hold all the same. A
 * witness in the crypto provider and on the wire sees each nonce, another one what each message leads
 * to (testbed/src/world).
 *
 * Tried by hand, one defect at a time. Nonces come twice on the wire when either side does not write
 * down its next numbers, or the first of a context; when a response takes the nonce of its request
 * before that is written down; when the server does not write a window with its message; when it loads
 * a context twice; when a window forgets. A message is taken twice when the device does not write down
 * its window; a command runs twice when its id is not kept; a reading is lost when it is answered before
 * it is stored, and doubled when its number is not kept. Not seen, since each message has written it down
 * already: a clean end without the windows.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allAttacks, type Seeded, seeded } from '@countersign/testbed'
import { parseRecord } from '@countersign/element/shapes'
import { checkBooks } from './books.ts'
import { converse, type Script } from './conversation.ts'
import type { Fate } from './lives.ts'
import { anyLink } from './links.ts'

/** A slice in the tests, many in a soak. */
const conversations = Number(process.env['COAP_LIVES'] ?? 10)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

const minuteMs = 60_000
test(`conversations under attack and stops keep every nonce and every reading (seed ${seed})`, async () => {
  const sum = { nonces: 0, deeds: 0, attacked: 0, stopped: 0, ended: 0 }
  for (let number = 0; number < conversations; number++) {
    const script = scriptOf(seed + number)
    const outcome = await converse(script)
    checkBooks(outcome, `seed ${script.seed}`)
    for (const { stopped, ended } of [
      outcome.server,
      ...outcome.devices.map(({ lives }) => lives),
    ]) {
      sum.stopped += stopped
      sum.ended += ended
    }
    sum.nonces += outcome.seals.seen
    sum.deeds += outcome.deeds.count
    sum.attacked += outcome.attacked
  }
  // Less would prove nothing.
  const least = { nonces: 60, deeds: 3, attacked: 5, stopped: 1, ended: 0.2 }
  for (const [what, of] of Object.entries(sum)) {
    const wanted = conversations * Number(parseRecord(JSON.stringify(least))?.[what])
    assert.ok(of >= wanted, `${of} ${what} in ${conversations} conversations, seed ${seed}`)
  }
})

function scriptOf(number: number): Script {
  const random = seeded(number)
  const link = anyLink(random)
  const fates = random.fork(1)
  return {
    seed: number,
    devices: 1 + random.below(3),
    readings: Array.from({ length: 2 + random.below(5) }, () =>
      random.chance(0.15) ? 1025 + random.below(2500) : 1 + random.below(200),
    ),
    commands: random.below(9),
    suspensions: random.chance(0.4) ? 1 + random.below(2) : 0,
    method: random.chance(0.5) ? 0 : 1,
    hasClock: random.chance(0.6),
    link,
    attacks: { share: 0.1 * random.below(6), attacks: allAttacks, lateMsMax: 4 * minuteMs },
    warMs: 10 * minuteMs,
    fateOf: { device: () => fateBy(fates, 60), server: () => fateBy(fates, 90) },
    awayMsMax: 20_000,
    reserve: random.chance(0.4) ? 64 : 1 + random.below(3),
    contextsInMemoryMax: random.chance(0.5) ? 10_000 : 1,
    hasSuccessor: random.chance(0.3),
    replayAll: random.chance(0.7),
    rekeyAfterMs: random.chance(0.3) ? 10_000 + random.below(2 * minuteMs) : undefined,
    wornAfterMs: random.chance(0.3) ? 5_000 : undefined,
  }
}

function fateBy(random: Seeded, stepsMax: number): Fate {
  const [draw, step] = [random.below(10), 1 + random.below(stepsMax)]
  const ms = random.below(2 * minuteMs)
  if (draw < 5) return { stopAt: step }
  if (draw < 8) return { endsAfterMs: ms }
  // It ends by itself, and is killed perhaps while it does.
  return draw < 9 ? { endsAfterMs: ms, stopAt: step } : {}
}
