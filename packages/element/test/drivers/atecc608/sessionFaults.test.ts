/** What a bus and a chip can do to a conversation, and what the caller hears of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { incrementCounter, random, revision } from '../../../src/drivers/atecc608/basics.ts'
import { startSha } from '../../../src/drivers/atecc608/digests.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import {
  createKey,
  digestPrivateSlot,
  loadNonce,
  signExternal,
} from '../../../src/drivers/atecc608/keys.ts'
import { type ChipSession, openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { lockConfig, writeZone } from '../../../src/drivers/atecc608/zones.ts'
import { of, r } from './recorder.ts'
import {
  answer,
  bytes,
  hexOf,
  identity,
  ManualTime,
  opening,
  readIdentity,
  ScriptedChip,
  type Step,
  wakeAnswer,
} from './scripted.ts'

interface Bench {
  readonly chip: ScriptedChip
  readonly time: ManualTime
  readonly session: ChipSession
}

async function open(...steps: readonly Step[]): Promise<Bench> {
  return openAs(0, ...steps)
}

async function openAs(chipMode: number, ...steps: readonly Step[]): Promise<Bench> {
  const time = new ManualTime()
  const chip = new ScriptedChip(time, [opening(chipMode), ...steps])
  const session = await openChipSession(i2cWire(chip, time), time)
  chip.log.length = 0
  return { chip, time, session }
}

const info = '07 30 00 00 00 03 5d'
const infoAnswer = answer('00006003')
const increment = '07 24 01 01 00 06 f7'
const nonce = `27 16 03 00 00 ${r('5a', 32)} 50 b0`
const sign = '07 41 80 00 00 28 05'
const signature = r('c3', 64)

const flip =
  (bit: number) =>
  (given: Uint8Array): Uint8Array =>
    given.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
const cut =
  (length: number) =>
  (given: Uint8Array): Uint8Array =>
    given.slice(0, length)
const garble = (): Uint8Array => bytes('ff ff ff ff')
const always = (
  damage: (given: Uint8Array) => Uint8Array,
): readonly ((given: Uint8Array) => Uint8Array)[] => [damage, damage, damage]

function signing(session: ChipSession): Promise<Uint8Array> {
  return session.sequence(async (line) => {
    await loadNonce(line, of('5a', 32))
    return signExternal(line, 0)
  })
}

test('an answer with any bit flipped is read again, and never believed', async () => {
  for (let bit = 0; bit < infoAnswer.length * 8; bit++) {
    const { chip, session } = await open([info, infoAnswer, { damage: [flip(bit)] }])
    assert.equal(hexOf(await revision(session)), '00006003', `bit ${bit}`)
    assert.deepEqual(chip.log, ['wake', '3000', 'idle'])
    chip.done()
  }
})

test('an answer cut at any length is read again, and never believed', async () => {
  for (let length = 0; length < infoAnswer.length; length++) {
    const { session, chip } = await open([info, infoAnswer, { damage: [cut(length)] }])
    assert.equal(hexOf(await revision(session)), '00006003', `${length} bytes`)
    chip.done()
  }
})

test('an answer that stays damaged is asked for anew, after a look at who is there', async () => {
  const { chip, session } = await open([info, infoAnswer, { damage: always(flip(9)) }], opening(), [
    info,
    infoAnswer,
  ])
  assert.equal(hexOf(await revision(session)), '00006003')
  assert.deepEqual(chip.log, ['wake', '3000', 'idle', 'wake', '0280', '3000', 'idle'])
  chip.done()
})

test('damage without end is ERR_ELEMENT_CRC after three commands', async () => {
  const { chip, session } = await open(
    [info, infoAnswer, { damage: always(garble) }],
    opening(),
    [info, infoAnswer, { damage: always(garble) }],
    opening(),
    [info, infoAnswer, { damage: always(garble) }],
  )
  await assert.rejects(revision(session), { code: 'ERR_ELEMENT_CRC' })
  chip.done()
  // The chip is put down, so that the next command finds it.
  assert.equal(chip.awake, false)
})

test('what burns, counts or makes something is sent once', async () => {
  const once: readonly (readonly [string, (session: ChipSession) => Promise<unknown>])[] = [
    [increment, (session) => incrementCounter(session, 1)],
    ['07 40 04 02 00 85 07', (session) => createKey(session, 2)],
    ['07 17 00 34 12 9d 64', (session) => lockConfig(session, 0x1234)],
    [
      `0b 12 00 05 00 ${r('77', 4)} 13 fc`,
      (session) => writeZone(session, { kind: 'config' }, 20, of('77', 4)),
    ],
  ]
  for (const [packet, call] of once) {
    const { chip, session } = await open([packet, answer('00'), { damage: always(flip(0)) }])
    await assert.rejects(call(session), { code: 'ERR_ELEMENT_CRC', hint: /read the state/ })
    chip.done()
    const silent = await open([packet, undefined])
    await assert.rejects(call(silent.session), { code: 'ERR_ELEMENT_BUS', hint: /read the state/ })
    silent.chip.done()
  }
})

test('a command that works on volatile memory is not sent alone again', async () => {
  const { chip, session } = await open([
    '07 47 00 00 00 2e 85',
    answer('00'),
    { damage: always(flip(0)) },
  ])
  await assert.rejects(startSha(session), { code: 'ERR_ELEMENT_CRC' })
  chip.done()
})

test('a command that the chip says it did not receive is sent again, also one that counts', async () => {
  const { chip, session } = await open(
    [increment, answer('ff')],
    [increment, answer('ff')],
    [increment, answer('05000000')],
  )
  assert.equal(await incrementCounter(session, 1), 5)
  assert.deepEqual(chip.log, ['wake', '2401', '2401', '2401', 'idle'])
})

test('a chip without time before its watchdog is woken anew', async () => {
  const { chip, session } = await open([increment, answer('ee')], [increment, answer('05000000')])
  assert.equal(await incrementCounter(session, 1), 5)
  assert.deepEqual(chip.log, ['wake', '2401', 'idle', 'wake', '2401', 'idle'])
})

test('a watchdog that never leaves time is ERR_ELEMENT_WATCHDOG', async () => {
  const late: Step = [increment, answer('ee')]
  const { chip, session } = await open(late, late, late)
  await assert.rejects(incrementCounter(session, 1), { code: 'ERR_ELEMENT_WATCHDOG' })
  chip.done()
})

test('a wake that is lost is repeated', async () => {
  const { chip, session } = await open(opening(), [info, infoAnswer])
  chip.lostWakes = 3
  assert.equal(hexOf(await revision(session)), '00006003')
  // It was silent, so it could be another one: its serial was read.
  assert.deepEqual(chip.log, ['wake', '0280', '3000', 'idle'])
})

test('nobody on the bus is ERR_ELEMENT_BUS, with a hint and in bounded time', async () => {
  const time = new ManualTime()
  const chip = new ScriptedChip(time, [])
  chip.gone = true
  await assert.rejects(openChipSession(i2cWire(chip, time), time), {
    code: 'ERR_ELEMENT_BUS',
    hint: /100 kHz/,
    where: '/dev/scripted address 0x60',
  })
  assert.ok(time.now() < 2000)
  assert.ok(chip.closed)
})

test('a chip that vanished is ERR_ELEMENT_GONE, and found again when it is back', async () => {
  const { chip, session } = await open(opening(), [info, infoAnswer])
  chip.gone = true
  await assert.rejects(revision(session), { code: 'ERR_ELEMENT_GONE' })
  chip.gone = false
  assert.equal(hexOf(await revision(session)), '00006003')
  chip.done()
})

test('a chip that dies under a command is ERR_ELEMENT_GONE', async () => {
  const bench = await open([info, undefined, { onArrival: () => die() }])
  const die = (): void => {
    bench.chip.gone = true
  }
  await assert.rejects(revision(bench.session), { code: 'ERR_ELEMENT_GONE' })
})

test('another chip under way is ERR_ELEMENT_SWAPPED, and stays so', async () => {
  const other: Step = [readIdentity, answer(identity(0, '0123ffffffffffffee'))]
  const { chip, session } = await open([info, undefined, { onArrival: () => pull() }], other, other)
  const pull = (): void => {
    chip.awake = false
  }
  await assert.rejects(revision(session), {
    code: 'ERR_ELEMENT_SWAPPED',
    details: { serial: '0123ffffffffffffee', expected: '0123aabbccddeeffee' },
  })
  await assert.rejects(revision(session), { code: 'ERR_ELEMENT_SWAPPED' })
  chip.done()
})

test('a chip that woke and failed its self-test says so, with either CRC', async () => {
  for (const said of ['04 07 40 c2', '04 07 c4 40']) {
    const time = new ManualTime()
    const chip = new ScriptedChip(time, [])
    chip.wakeSays = bytes(said)
    await assert.rejects(openChipSession(i2cWire(chip, time), time), {
      code: 'ERR_ELEMENT_SELFTEST',
    })
  }
})

test('a wake answer that came damaged costs a second wake, not a watchdog', async () => {
  const { chip, session, time } = await open(opening(), [info, infoAnswer])
  const begun = time.now()
  chip.wakeSays = bytes('04 11 33 42')
  chip.onIdle = () => {
    chip.wakeSays = wakeAnswer
  }
  assert.equal(hexOf(await revision(session)), '00006003')
  assert.ok(time.now() - begun < 50)
})

test('a generator before the lock is ERR_ELEMENT_NOT_LOCKED', async () => {
  const { session } = await open(['07 1b 00 00 00 24 cd', answer(r('ffff0000', 8))])
  await assert.rejects(random(session), { code: 'ERR_ELEMENT_NOT_LOCKED' })
})

test('a sequence whose memory the watchdog took begins again', async () => {
  const { chip, session, time } = await open(
    [nonce, answer('00'), { onArrival: () => stall() }],
    opening(),
    [nonce, answer('00')],
    [sign, answer(signature)],
  )
  // The machine was busy with something else.
  let stalls = 1
  const stall = (): void => {
    if (stalls-- === 0) return
    time.pass(1400)
    // Its watchdog let it sleep, and there is nothing to put down.
    chip.awake = false
  }
  assert.equal(hexOf(await signing(session)), signature)
  assert.deepEqual(chip.log, ['wake', '1603', 'wake', '0280', '1603', '4180', 'idle'])
})

test('a sequence that the watchdog breaks twice is ERR_ELEMENT_WATCHDOG', async () => {
  const { chip, session, time } = await open(
    [nonce, answer('00'), { onArrival: () => stall() }],
    opening(),
    [nonce, answer('00'), { onArrival: () => stall() }],
  )
  const stall = (): void => {
    time.pass(1400)
    chip.awake = false
  }
  await assert.rejects(signing(session), { code: 'ERR_ELEMENT_WATCHDOG' })
  chip.done()
})

test('a sequence that would not end in time is woken anew between its commands', async () => {
  // The slowest clock: GenKey takes 653 ms, Sign 665.
  const { chip, session } = await openAs(
    0x68,
    [nonce, answer('00'), { busyMs: 20 }],
    ['07 40 08 02 00 45 04', answer(r('d4', 64)), { busyMs: 650 }],
    [sign, answer(signature), { busyMs: 660 }],
  )
  await session.sequence(async (line) => {
    await loadNonce(line, of('5a', 32))
    await digestPrivateSlot(line, 2)
    return signExternal(line, 0)
  })
  assert.deepEqual(chip.log, ['wake', '1603', '4008', 'idle', 'wake', '4180', 'idle'])
})

test('a sequence into whose pause someone else came begins again', async () => {
  const digest: Step = ['07 40 08 02 00 45 04', answer(r('d4', 64)), { busyMs: 650 }]
  const { chip, session, time } = await openAs(
    0x68,
    [nonce, answer('00'), { busyMs: 20 }],
    digest,
    opening(0x68),
    [nonce, answer('00'), { busyMs: 20 }],
    digest,
    [sign, answer(signature), { busyMs: 660 }],
  )
  let comes = true
  chip.onIdle = () => {
    if (!comes) return
    comes = false
    // Another driver wakes it, works with its memory, and lets it go.
    chip.awake = true
    chip.readAt = 4
    otherIdlesAt(chip, time, time.now() + 40)
  }
  await session.sequence(async (line) => {
    await loadNonce(line, of('5a', 32))
    await digestPrivateSlot(line, 2)
    return signExternal(line, 0)
  })
  const first = ['wake', '1603', '4008', 'idle', 'wake', 'idle']
  const second = ['wake', '0280', '1603', '4008', 'idle', 'wake', '4180', 'idle']
  assert.deepEqual(chip.log, [...first, ...second])
  chip.done()
})

test('the long watchdog is believed', async () => {
  const { chip, session } = await openAs(
    0x6c,
    ['07 40 08 02 00 45 04', answer(r('d4', 64)), { busyMs: 650 }],
    [sign, answer(signature), { busyMs: 660 }],
  )
  await session.sequence(async (line) => {
    await digestPrivateSlot(line, 2)
    return signExternal(line, 0)
  })
  assert.deepEqual(chip.log, ['wake', '4008', '4180', 'idle'])
})

test('a refusal after the first command may be a lost memory: once more from the start', async () => {
  const { session, chip } = await open(
    [nonce, answer('00')],
    [sign, answer('0f')],
    [nonce, answer('00')],
    [sign, answer('0f')],
  )
  await assert.rejects(signing(session), { code: 'ERR_ELEMENT_POLICY' })
  chip.done()
})

test('a sequence with a command that is sent once is not repeated', async () => {
  const { session, chip } = await open(
    [nonce, answer('00')],
    [increment, answer('05000000'), { damage: always(flip(3)) }],
  )
  const run = session.sequence(async (line) => {
    await loadNonce(line, of('5a', 32))
    return incrementCounter(line, 1)
  })
  await assert.rejects(run, { code: 'ERR_ELEMENT_CRC' })
  chip.done()
})

test('steps that go on over a broken command have no result', async () => {
  const { session } = await open([nonce, answer('00'), { damage: always(flip(3)) }], opening(), [
    nonce,
    answer('00'),
    { damage: always(flip(3)) },
  ])
  const run = session.sequence(async (line) => {
    await loadNonce(line, of('5a', 32)).catch(() => undefined)
    return 'a result without a nonce'
  })
  await assert.rejects(run, { code: 'ERR_ELEMENT_CRC' })
})

test('a command after its sequence is refused', async () => {
  const { session, chip } = await open()
  const line = await session.sequence(async (each) => each)
  await assert.rejects(revision(line), { code: 'ERR_ELEMENT_ARGUMENT' })
  chip.done()
})

test('an answer of another length belongs to someone else, and is asked for anew', async () => {
  const { chip, session } = await open([info, answer(r('a7', 32))], opening(), [info, infoAnswer])
  assert.equal(hexOf(await revision(session)), '00006003')
  chip.done()
})

test('a wake answer in the place of an answer: the command is lost with the memory', async () => {
  const { chip, session } = await open([info, wakeAnswer], opening(), [info, infoAnswer])
  assert.equal(hexOf(await revision(session)), '00006003')
  chip.done()
})

test('a chip that someone else has is not spoken to', async () => {
  const { chip, session, time } = await open(opening(), [info, infoAnswer])
  // Someone woke it and read its wake answer; what is left in the buffer is 0xFF.
  chip.awake = true
  chip.readAt = 4
  const idles: number[] = []
  chip.onIdle = () => idles.push(time.now())
  otherIdlesAt(chip, time, 700)
  assert.equal(hexOf(await revision(session)), '00006003')
  // Until the other one was done, not a byte was sent.
  assert.equal(idles.length, 1)
  assert.ok((idles[0] ?? 0) > 700)
})

test('a chip that someone else never lets go is ERR_ELEMENT_BUSY', async () => {
  const { chip, session } = await open()
  chip.awake = true
  chip.readAt = 4
  await assert.rejects(revision(session), { code: 'ERR_ELEMENT_BUSY' })
  assert.deepEqual(chip.log, [])
})

/** The other one's idle, at this time. */
function otherIdlesAt(chip: ScriptedChip, time: ManualTime, at: number): void {
  const wait = time.wait.bind(time)
  let isDone = false
  time.wait = async (milliseconds) => {
    await wait(milliseconds)
    if (isDone || time.now() < at) return
    isDone = true
    chip.awake = false
  }
}

test('commands of many callers go one after the other', async () => {
  const { chip, session } = await open([info, infoAnswer], [info, infoAnswer], [info, infoAnswer])
  const all = await Promise.all([revision(session), revision(session), revision(session)])
  assert.deepEqual(all.map(hexOf), ['00006003', '00006003', '00006003'])
  assert.deepEqual(chip.log, Array.from({ length: 3 }, () => ['wake', '3000', 'idle']).flat())
})

test('a session that is closed puts its chip to sleep, and then refuses', async () => {
  const { chip, session } = await open()
  await session.close()
  assert.deepEqual(chip.log, ['wake', 'sleep'])
  assert.ok(chip.closed)
  await assert.rejects(revision(session), { code: 'ERR_ELEMENT_GONE' })
  await session.close()
})
