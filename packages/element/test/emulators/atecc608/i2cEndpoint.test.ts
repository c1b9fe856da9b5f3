import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { I2cBus } from '../../../src/bus/ports.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart, type ExecutionTimes } from '../../../src/emulators/atecc608/part.ts'
import {
  bytes,
  info608b,
  infoCommand,
  ManualTime,
  notReceived,
  ScriptedChip,
  text,
  wakeReply,
} from './support.ts'

const address = 0x60

interface Bench {
  readonly bus: I2cBus
  readonly time: ManualTime
  readonly chip: ScriptedChip
  readonly part: EmulatedPart
}

function bench(chip = new ScriptedChip(), times: ExecutionTimes = 'real'): Bench {
  const time = new ManualTime()
  const part = new EmulatedPart(chip, { time, times })
  return { bus: emulatedI2c([part]), time, chip, part }
}

/** As a Linux host does it: address 0, one byte, 1500 us. */
async function wake({ bus, time }: Pick<Bench, 'bus' | 'time'>): Promise<void> {
  assert.equal(await bus.write(0, bytes('01')), false)
  time.pass(1.5)
}

async function sendInfo({ bus, time }: Pick<Bench, 'bus' | 'time'>): Promise<void> {
  assert.equal(await bus.write(address, bytes(`03 ${infoCommand}`)), true)
  time.pass(5)
}

test('a part that sleeps acknowledges nothing', async () => {
  const { bus, time, chip } = bench()
  for (const at of [address, 0xc0 >> 1, 0x61, 1, 0x7f]) {
    assert.equal(await bus.write(at, bytes('00')), false)
    assert.equal(await bus.read(at, 4), undefined)
  }
  time.pass(10_000)
  assert.equal(await bus.write(address, bytes(`03 ${infoCommand}`)), false)
  assert.deepEqual(chip.calls, [])
})

test('the general call at 100 kHz wakes it, and the first read answers 04 11 33 43', async () => {
  const it = bench()
  await wake(it)
  assert.equal(text(await it.bus.read(address, 4)), wakeReply)
})

test('nothing is acknowledged before 1500 us have passed', async () => {
  const { bus, time } = bench()
  await bus.write(0, bytes('01'))
  time.pass(1.499)
  assert.equal(await bus.write(address, bytes('00')), false)
  assert.equal(await bus.read(address, 4), undefined)
  time.pass(0.001)
  assert.equal(text(await bus.read(address, 4)), wakeReply)
})

test('the zeros of a general call at 400 kHz are too short', async () => {
  const time = new ManualTime()
  const fast = emulatedI2c([new EmulatedPart(new ScriptedChip(), { time })], { clockHz: 400_000 })
  await fast.write(0, bytes('01'))
  time.pass(1.5)
  assert.equal(await fast.read(address, 4), undefined)
})

test('a part that is awake takes no second wake: the reply that waits stays', async () => {
  const it = bench()
  await wake(it)
  await sendInfo(it)
  await wake(it)
  assert.equal(text(await it.bus.read(address, 7)), info608b)
  assert.deepEqual(it.chip.calls, ['wake', infoCommand])
})

test('Info is executed, and its reply read at once', async () => {
  const it = bench()
  await wake(it)
  await sendInfo(it)
  assert.equal(text(await it.bus.read(address, 7)), info608b)
})

test('a reply read in two pieces goes on where the first ended, at every cut', async () => {
  for (let cut = 0; cut <= 7; cut++) {
    const it = bench()
    await wake(it)
    await sendInfo(it)
    await it.bus.write(address, bytes('00'))
    const first = await it.bus.read(address, cut)
    const second = await it.bus.read(address, 7 - cut)
    assert.equal(text(Uint8Array.of(...(first ?? []), ...(second ?? []))), info608b, `cut ${cut}`)
  }
})

test('a reply read byte by byte, and FF past its end', async () => {
  const it = bench()
  await wake(it)
  await sendInfo(it)
  const read: string[] = []
  for (let at = 0; at < 9; at++) read.push(text(await it.bus.read(address, 1)) ?? 'nack')
  assert.equal(read.join(' '), `${info608b} FF FF`)
})

test('more bytes than the reply has are FF', async () => {
  const it = bench()
  await wake(it)
  assert.equal(text(await it.bus.read(address, 6)), `${wakeReply} FF FF`)
})

test('word address 00 sets the read pointer back', async () => {
  const it = bench()
  await wake(it)
  await sendInfo(it)
  assert.equal(text(await it.bus.read(address, 3)), '07 00 00')
  assert.equal(await it.bus.write(address, bytes('00')), true)
  assert.equal(text(await it.bus.read(address, 7)), info608b)
  assert.equal(await it.bus.write(address, bytes('00')), true)
  assert.equal(text(await it.bus.read(address, 1)), '07')
})

test('every address byte is refused while it is busy, and the first after that is not', async () => {
  const { bus, time, chip } = bench(new ScriptedChip({ executionMs: 115 }))
  await wake({ bus, time })
  await bus.write(address, bytes(`03 ${infoCommand}`))
  for (let passed = 0; passed < 115; passed += 5) {
    assert.equal(await bus.read(address, 1), undefined)
    for (const write of ['', '00', '01', '02', `03 ${infoCommand}`]) {
      assert.equal(await bus.write(address, bytes(write)), false)
    }
    time.pass(5)
  }
  assert.equal(text(await bus.read(address, 1)), '07')
  assert.deepEqual(chip.calls, ['wake', infoCommand])
})

async function busyFor(times: ExecutionTimes): Promise<number> {
  const { bus, time } = bench(new ScriptedChip({ executionMs: 115 }), times)
  await wake({ bus, time })
  await bus.write(address, bytes(`03 ${infoCommand}`))
  const from = time.now()
  while ((await bus.read(address, 1)) === undefined) time.pass(1)
  return time.now() - from
}

test('execution times are those of silicon, none, or what a function says', async () => {
  assert.equal(await busyFor('real'), 115)
  assert.equal(await busyFor('none'), 0)
  assert.equal(await busyFor(({ opcode, executionMs }) => (opcode ?? 0) + executionMs / 5), 71)
})

test('word address 01 puts it to sleep, 02 to idle, and both are deaf until the next wake', async () => {
  for (const [word, name] of [
    ['01', 'sleep'],
    ['02', 'idle'],
  ] as const) {
    const it = bench()
    await wake(it)
    assert.equal(await it.bus.write(address, bytes(word)), true)
    assert.equal(await it.bus.read(address, 4), undefined)
    assert.equal(await it.bus.write(address, bytes('00')), false)
    await wake(it)
    assert.equal(text(await it.bus.read(address, 4)), wakeReply)
    assert.deepEqual(it.chip.calls, ['wake', name, 'wake'])
  }
})

test('the watchdog ends it 1.3 s after the wake, whatever is running', async () => {
  const it = bench(new ScriptedChip({ executionMs: 115 }))
  await wake(it)
  it.time.pass(1_298.4)
  assert.equal(await it.bus.write(address, bytes(`03 ${infoCommand}`)), true)
  it.time.pass(0.1)
  assert.equal(await it.bus.read(address, 1), undefined)
  it.time.pass(200)
  assert.equal(await it.bus.read(address, 1), undefined)
  assert.deepEqual(it.chip.calls, ['wake', infoCommand, 'sleep'])
  await wake(it)
  assert.equal(text(await it.bus.read(address, 4)), wakeReply)
})

test('with bit 2 of ChipMode the watchdog takes 13 s', async () => {
  const it = bench(new ScriptedChip({ config: { 19: 0x04 } }))
  await wake(it)
  it.time.pass(12_998)
  assert.equal(text(await it.bus.read(address, 4)), wakeReply)
  it.time.pass(0.5)
  assert.equal(await it.bus.read(address, 4), undefined)
})

test('idle stops the watchdog: what is volatile outlives an hour', async () => {
  const it = bench()
  await wake(it)
  await it.bus.write(address, bytes('02'))
  it.time.pass(3_600_000)
  await wake(it)
  assert.deepEqual(it.chip.calls, ['wake', 'idle', 'wake'])
})

test('the address is that of byte 16, or of byte 85 when ChipMode says so', async () => {
  const cases: readonly (readonly [Record<number, number>, number])[] = [
    [{ 16: 0xc0 }, 0x60],
    [{ 16: 0x6a }, 0x35],
    [{ 16: 0x6c, 19: 0x01 }, 0x36],
    [{ 16: 0x6c, 85: 0xd2 }, 0x36],
    [{ 16: 0x6c, 19: 0x01, 85: 0xd2 }, 0x69],
  ]
  for (const [config, own] of cases) {
    const { bus, time } = bench(new ScriptedChip({ config }))
    await wake({ bus, time })
    for (let at = 0; at <= 0x7f; at++) {
      assert.equal(text(await bus.read(at, 1)), at === own ? '04' : undefined)
    }
  }
})

test('a new address counts from the next wake', async () => {
  const it = bench()
  await wake(it)
  it.chip.configuration[16] = 0xaa
  assert.equal(await it.bus.write(address, bytes('01')), true)
  await wake(it)
  assert.equal(await it.bus.read(address, 4), undefined)
  assert.equal(text(await it.bus.read(0x55, 4)), wakeReply)
})

test('a part for the single wire does not answer on I2C', async () => {
  const it = bench(new ScriptedChip({ config: { 14: 0x38 } }))
  await wake(it)
  assert.equal(await it.bus.read(address, 4), undefined)
})

test('a command may come in two writes, at every cut', async () => {
  for (let cut = 1; cut < 7; cut++) {
    const it = bench()
    await wake(it)
    const command = bytes(infoCommand)
    await it.bus.write(address, Uint8Array.of(3, ...command.subarray(0, cut)))
    assert.deepEqual(it.chip.calls, ['wake'])
    await it.bus.write(address, Uint8Array.of(3, ...command.subarray(cut)))
    it.time.pass(5)
    assert.equal(text(await it.bus.read(address, 7)), info608b)
  }
})

test('a command that is cut short was not received, when its reply is asked for', async () => {
  const it = bench()
  await wake(it)
  await it.bus.write(address, bytes('03 07 30 00'))
  assert.equal(await it.bus.read(address, 4), undefined)
  it.time.pass(5)
  assert.equal(text(await it.bus.read(address, 4)), notReceived)
  assert.deepEqual(it.chip.calls, ['wake', '07 30 00'])
})

test('a command with more bytes than its count was not received', async () => {
  const it = bench()
  await wake(it)
  await it.bus.write(address, bytes(`03 ${infoCommand} 00`))
  it.time.pass(5)
  assert.equal(text(await it.bus.read(address, 4)), notReceived)
})

test('word address 00 forgets the beginning of a command', async () => {
  const it = bench()
  await wake(it)
  await it.bus.write(address, bytes('03 07 30 00'))
  await it.bus.write(address, bytes('00'))
  await sendInfo(it)
  assert.equal(text(await it.bus.read(address, 7)), info608b)
})

test('sleep forgets the beginning of a command and a reply that waits', async () => {
  const it = bench()
  await wake(it)
  await sendInfo(it)
  assert.equal(text(await it.bus.read(address, 2)), '07 00')
  await it.bus.write(address, bytes('03 07 30'))
  await it.bus.write(address, bytes('01'))
  await wake(it)
  assert.equal(text(await it.bus.read(address, 4)), wakeReply)
  await sendInfo(it)
  assert.equal(text(await it.bus.read(address, 7)), info608b)
})

test('other word addresses are acknowledged and do nothing', async () => {
  const it = bench()
  await wake(it)
  for (let word = 4; word <= 0xff; word++) {
    assert.equal(await it.bus.write(address, Uint8Array.of(word, 1, 2, 3)), true)
  }
  assert.equal(await it.bus.write(address, bytes('')), true)
  assert.equal(text(await it.bus.read(address, 4)), wakeReply)
  assert.deepEqual(it.chip.calls, ['wake'])
})

test('several parts on one bus wake together and answer for themselves', async () => {
  const time = new ManualTime()
  const chips = [0xc0, 0x6a, 0x6c].map((byte) => new ScriptedChip({ config: { 16: byte } }))
  const bus = emulatedI2c(chips.map((chip) => new EmulatedPart(chip, { time })))
  await wake({ bus, time })
  await bus.write(0x35, bytes('01'))
  assert.equal(text(await bus.read(0x60, 4)), wakeReply)
  assert.equal(await bus.read(0x35, 4), undefined)
  assert.equal(text(await bus.read(0x36, 4)), wakeReply)
  assert.deepEqual(
    chips.map(({ calls }) => calls.join()),
    ['wake', 'wake,sleep', 'wake'],
  )
})

test('of two hosts on one bus neither gets into a transfer of the other', async () => {
  const { bus, time, chip } = bench(new ScriptedChip(), 'none')
  await wake({ bus, time })
  const sent = Array.from({ length: 50 }, () => bus.write(address, bytes(`03 ${infoCommand}`)))
  assert.deepEqual(
    await Promise.all(sent),
    sent.map(() => true),
  )
  assert.deepEqual(chip.calls, ['wake', ...sent.map(() => infoCommand)])
  assert.equal(text(await bus.read(address, 7)), info608b)
})

test('a transfer that no bus could make is refused', async () => {
  const { bus } = bench()
  for (const at of [-1, 0x80, 0.5, Number.NaN]) {
    await assert.rejects(bus.write(at, bytes('00')), { code: 'ERR_ELEMENT_ARGUMENT' })
    await assert.rejects(bus.read(at, 1), { code: 'ERR_ELEMENT_ARGUMENT' })
  }
  await assert.rejects(bus.read(address, -1), { code: 'ERR_ELEMENT_ARGUMENT' })
})
