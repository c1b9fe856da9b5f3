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
import { allAttacks, type LinkPlan, perfectLink, type Seeded, seeded } from '@countersign/testbed'
import { parseRecord } from '@countersign/element/shapes'
import { converse, type DeviceBook, type Outcome, type Script } from './conversation.ts'
import { textOf } from './deviceSide.ts'
import type { Fate } from './lives.ts'

/** A slice in the tests, many in a soak. */
const conversations = Number(process.env['COAP_LIVES'] ?? 10)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

const minuteMs = 60_000
const links: readonly LinkPlan[] = [
  { ...perfectLink, delayMsMin: 10, delayMsMax: 50 },
  {
    loss: 0.1,
    duplication: 0.1,
    corruption: 0.02,
    delayMsMin: 20,
    delayMsMax: 900,
    mtuBytes: 1280,
  },
  {
    loss: 0.3,
    duplication: 0.2,
    corruption: 0.05,
    delayMsMin: 200,
    delayMsMax: 4000,
    mtuBytes: 1280,
  },
]

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

/** Every step of one conversation in the soak, some of them in the tests. */
for (const who of ['device', 'server'] as const) {
  test(`a ${who} may stop at any step of a conversation (seed ${seed})`, async () => {
    const { device, server } = stepsOf(await converse(quietScript({})))
    const steps = who === 'device' ? device : server
    assert.ok(steps > 30, `only ${steps} steps`)
    const stride = Math.max(1, Math.floor(steps / conversations))
    for (let step = 1 + (seed % stride); step <= steps; step += stride) {
      const outcome = await converse(quietScript({ [who]: { stopAt: step } }))
      checkBooks(outcome, `stopped at ${step} of ${steps}`)
      assert.equal(stopsOf(outcome)[who], 1)
    }
  })
}

/** No enemy but one who sends everything again after the stop. */
function quietScript(first: Partial<Record<'device' | 'server', Fate>>): Script {
  const fate = (who: 'device' | 'server', life: number): Fate =>
    life === 0 ? (first[who] ?? {}) : {}
  return {
    seed: 1,
    devices: 1,
    readings: [20, 1100, 20],
    commands: 3,
    suspensions: 0,
    method: 1,
    hasClock: false,
    link: { ...perfectLink, delayMsMin: 10, delayMsMax: 50 },
    attacks: { share: 0, lateMsMax: 1 },
    warMs: minuteMs,
    fateOf: { device: (life) => fate('device', life), server: (life) => fate('server', life) },
    awayMsMax: 5_000,
    reserve: 2,
    contextsInMemoryMax: 10_000,
    hasSuccessor: true,
    replayAll: true,
  }
}

function stepsOf({ devices: [device], server }: Outcome): Record<'device' | 'server', number> {
  return { device: device?.lives.steps ?? 0, server: server.steps }
}

function stopsOf({ devices: [device], server }: Outcome): Record<'device' | 'server', number> {
  return { device: device?.lives.stopped ?? 0, server: server.stopped }
}

function scriptOf(number: number): Script {
  const random = seeded(number)
  const link = links[random.below(links.length)] ?? perfectLink
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

function checkBooks(outcome: Outcome, name: string): void {
  assert.deepEqual(outcome.faults, [], name)
  assert.deepEqual(outcome.seals.reused, [], `${name}: nonces used twice on the wire`)
  assert.deepEqual(outcome.seals.remade, [], `${name}: nonces used twice`)
  assert.deepEqual(outcome.deeds.twice, [], `${name}: messages that were taken twice`)
  assert.ok(outcome.isDone, `${name}: not everything came to its end`)
  for (const device of outcome.devices) {
    checkReadings(device, name)
    checkCommands(device, name)
    checkSuccessor(device, outcome, name)
  }
}

/** Each that was measured is there once, as it was measured. */
function checkReadings(
  { eui64, measured, acknowledged, messages }: DeviceBook,
  name: string,
): void {
  const readings = messages.filter(({ type }) => type === 'countersign.message')
  const stored = new Map(readings.map(({ id, body }) => [id, parseRecord(body)?.['data']]))
  assert.equal(stored.size, readings.length, name)
  const expected = [...measured].map(([number, length]) => [
    `${eui64}-${number}`,
    textOf(number, length),
  ])
  assert.deepEqual(Object.fromEntries(stored), Object.fromEntries(expected), name)
  assert.deepEqual(
    [...acknowledged].toSorted((a, b) => a - b),
    [...measured.keys()],
    name,
  )
}

/** What the server counts on, the device has written down. */
function checkSuccessor(
  { known, confirmed }: DeviceBook,
  { successor }: Outcome,
  name: string,
): void {
  assert.equal(known.includes(successor ?? ''), successor !== undefined, name)
  for (const one of confirmed) assert.equal(one, successor, name)
}

function checkCommands({ ran, commands, lives }: DeviceBook, name: string): void {
  for (const { id, state, data, result } of commands) {
    const times = ran.get(id) ?? 0
    assert.ok(times <= 1, `${name}: a command ran ${times} times`)
    if (state === 'answered') {
      assert.equal(times, 1, `${name}: a command was answered and never ran`)
      assert.equal(Buffer.from(result ?? []).toString(), data, name)
    } else {
      // Its result can be lost with the device alone.
      assert.ok(state === 'delivered' && lives.stopped + lives.ended > 0, `${name}: ${state}`)
    }
  }
}
