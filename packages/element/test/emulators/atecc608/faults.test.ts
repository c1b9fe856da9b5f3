import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { I2cBus } from '../../../src/bus/ports.ts'
import { flipBit, lengthenBy, truncateTo } from '../../../src/emulators/atecc608/faults.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { emulatedSwi } from '../../../src/emulators/atecc608/swiEndpoint.ts'
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
/** Lock of slot 3, of which the scripted chip makes three EEPROM writes. */
const lockCommand = '07 17 8E 00 00 12 34'
const done = '04 00 03 40'

interface Bench {
  readonly bus: I2cBus
  readonly part: EmulatedPart
  readonly chip: ScriptedChip
  readonly time: ManualTime
}

async function bench(): Promise<Bench> {
  const time = new ManualTime()
  const chip = new ScriptedChip({ replies: { [lockCommand]: done } })
  const part = new EmulatedPart(chip, { time, times: 'none' })
  const bus = emulatedI2c([part])
  await wake(bus, time)
  return { bus, part, chip, time }
}

async function wake(bus: I2cBus, time: ManualTime): Promise<void> {
  await bus.write(0, bytes('01'))
  time.pass(1.5)
}

async function ask({ bus }: Bench, command: string, length: number): Promise<string | undefined> {
  if (!(await bus.write(address, bytes(`03 ${command}`)))) return undefined
  return text(await bus.read(address, length))
}

test('a bit of the second reply is flipped, the first and third are whole', async () => {
  const it = await bench()
  it.part.faults.bendReplyTo(2, flipBit(8 * 4 + 1))
  assert.equal(await ask(it, infoCommand, 7), info608b)
  assert.equal(await ask(it, infoCommand, 7), '07 00 00 60 01 83 BB')
  assert.equal(await ask(it, infoCommand, 7), info608b)
})

test('each bit of a command can be flipped on its way', async () => {
  for (let bit = 0; bit < 56; bit++) {
    const it = await bench()
    it.part.faults.flipCommandBit(1, bit)
    await ask(it, infoCommand, 7)
    const command = bytes(infoCommand).map((byte, at) =>
      at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte,
    )
    // A count that grew waits for more, until the read ends it.
    assert.equal(it.chip.calls[1], text(command), `bit ${bit}`)
    assert.equal(await ask(it, infoCommand, 7), info608b)
  }
})

function bitsOf(byte: number): number[] {
  return [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => ((byte >> bit) & 1 ? 0x7f : 0x7d))
}

test('a bit flipped on the single wire', async () => {
  const time = new ManualTime()
  const chip = new ScriptedChip({ config: { 14: 0x38 } })
  const part = new EmulatedPart(chip, { time, times: 'none' })
  const uart = emulatedSwi(part, time)
  part.faults.flipCommandBit(1, 9)
  await uart.setBaudRate(115_200)
  await uart.write(bytes('00'))
  await uart.setBaudRate(230_400)
  time.pass(1.5)
  await uart.write(Uint8Array.from([0x77, ...bytes(infoCommand)].flatMap(bitsOf)))
  assert.deepEqual(chip.calls, ['wake', '07 32 00 00 00 03 5D'])
})

test('a reply that is too short or too long', async () => {
  const it = await bench()
  it.part.faults.bendReplyTo(1, truncateTo(3))
  it.part.faults.bendReplyTo(2, lengthenBy(bytes('AA BB')))
  assert.equal(await ask(it, infoCommand, 7), '07 00 00 FF FF FF FF')
  assert.equal(await ask(it, infoCommand, 9), `${info608b} AA BB`)
})

test('two wakes are lost and the third is heard', async () => {
  const time = new ManualTime()
  const part = new EmulatedPart(new ScriptedChip(), { time })
  const bus = emulatedI2c([part])
  part.faults.loseWakes(2)
  for (let lost = 0; lost < 2; lost++) {
    await wake(bus, time)
    assert.equal(await bus.read(address, 4), undefined)
  }
  await wake(bus, time)
  assert.equal(text(await bus.read(address, 4)), wakeReply)
})

test('a part that refuses for ever, and one that is dead', async () => {
  for (const fault of ['nackForEver', 'die'] as const) {
    const it = await bench()
    it.part.faults[fault]()
    for (let again = 0; again < 3; again++) {
      assert.equal(await ask(it, infoCommand, 7), undefined)
      await wake(it.bus, it.time)
      assert.equal(await it.bus.read(address, 4), undefined)
      it.time.pass(2_000)
    }
  }
})

test('the power goes after each number of writes, and the part comes back asleep', async () => {
  for (let writes = 0; writes <= 3; writes++) {
    const it = await bench()
    it.part.faults.cutPower(2, writes)
    assert.equal(await ask(it, infoCommand, 7), info608b)
    assert.equal(await ask(it, lockCommand, 4), undefined)
    const written = ['write 1', 'write 2', 'write 3'].slice(0, writes)
    assert.deepEqual(it.chip.calls.slice(2), [lockCommand, ...written, 'sleep'])
    await wake(it.bus, it.time)
    assert.equal(text(await it.bus.read(address, 4)), wakeReply)
    assert.equal(await ask(it, lockCommand, 4), done)
  }
})

test('a command that has fewer writes than the cut waits for ends as usual', async () => {
  const it = await bench()
  it.part.faults.cutPower(1, 4)
  assert.equal(await ask(it, lockCommand, 4), done)
  // The demand is over with its command.
  assert.equal(await ask(it, lockCommand, 4), done)
})

test('another chip takes its place before the second command', async () => {
  const it = await bench()
  const other = new ScriptedChip({ replies: { [infoCommand]: '07 00 00 60 02 80 38' } })
  it.part.faults.before(2, () => it.part.swap(other))
  assert.equal(await ask(it, infoCommand, 7), info608b)
  assert.equal(await ask(it, infoCommand, 7), undefined)
  await wake(it.bus, it.time)
  assert.equal(await ask(it, infoCommand, 7), '07 00 00 60 02 80 38')
  assert.deepEqual(it.chip.calls, ['wake', infoCommand, 'sleep'])
  assert.deepEqual(other.calls, ['wake', infoCommand])
})

test('without a demand nothing is bent', async () => {
  const it = await bench()
  assert.equal(await ask(it, lockCommand, 4), done)
  assert.equal(await ask(it, '07 30 00 00 00 03 5C', 4), notReceived)
})
