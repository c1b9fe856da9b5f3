/**
 * The driver on the emulated part, which others wrote from the same public documents: faults on the
 * wire, two drivers at once, and both wires.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BusTime } from '../../../src/bus/ports.ts'
import { machineTime, paperTime } from '../../../src/bus/time.ts'
import { revision } from '../../../src/drivers/atecc608/basics.ts'
import { writeExtra } from '../../../src/drivers/atecc608/boot.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { type ChipSession, openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { swiWire } from '../../../src/drivers/atecc608/swiWire.ts'
import type { ChipWire } from '../../../src/drivers/atecc608/wire.ts'
import { readConfig, readZone } from '../../../src/drivers/atecc608/zones.ts'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { flipBit, lengthenBy, truncateTo } from '../../../src/emulators/atecc608/faults.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { emulatedSwi } from '../../../src/emulators/atecc608/swiEndpoint.ts'
import { bytes, hexOf, serialHex } from './scripted.ts'

function newPart(time = paperTime(), serial = serialHex, swi = false): EmulatedPart {
  const eeprom = blankEeprom({ serial: bytes(serial), revision: 3, swi })
  return new EmulatedPart(coreOf(eeprom), { time })
}

interface Bench {
  readonly part: EmulatedPart
  readonly time: BusTime
  readonly chip: ChipWire
}

function bench(wire: 'i2c' | 'swi'): Bench {
  const time = paperTime()
  const part = newPart(time, serialHex, wire === 'swi')
  const chip =
    wire === 'i2c' ? i2cWire(emulatedI2c([part]), time) : swiWire(emulatedSwi(part, time), time)
  return { part, time, chip }
}

async function open(wire: 'i2c' | 'swi'): Promise<Bench & { readonly session: ChipSession }> {
  const made = bench(wire)
  return { ...made, session: await openChipSession(made.chip, made.time) }
}

/** Milliseconds of the part's own clock until it failed. */
async function failsIn(
  { time }: Bench,
  act: () => Promise<unknown>,
  error: { readonly code: string } & Readonly<Record<string, unknown>>,
): Promise<number> {
  const begun = time.now()
  await assert.rejects(act, error)
  return time.now() - begun
}

for (const wire of ['i2c', 'swi'] as const) {
  test(`a part is read over ${wire}`, async () => {
    const { part, session } = await open(wire)
    assert.equal(session.serial, serialHex)
    assert.equal(hexOf(await revision(session)), '00006003')
    assert.equal((await readConfig(session)).length, 128)
    assert.equal(part.power, 'idle')
    await session.close()
    assert.equal(part.power, 'asleep')
  })

  test(`an answer with any bit flipped over ${wire} gives the right value all the same`, async () => {
    const { part, session } = await open(wire)
    for (let bit = 0; bit < 56; bit++) {
      part.faults.bendReplyTo(1, flipBit(bit))
      assert.equal(hexOf(await revision(session)), '00006003', `bit ${bit}`)
    }
  })

  test(`an answer too short or too long over ${wire} gives the right value all the same`, async () => {
    const { part, session } = await open(wire)
    for (let length = 0; length < 7; length++) {
      part.faults.bendReplyTo(1, truncateTo(length))
      assert.equal(hexOf(await revision(session)), '00006003', `${length} bytes`)
    }
    part.faults.bendReplyTo(1, lengthenBy(bytes('00 00')))
    assert.equal(hexOf(await revision(session)), '00006003')
  })

  test(`a command with any bit flipped over ${wire} is never carried out as another`, async () => {
    const { part, session } = await open(wire)
    for (let bit = 0; bit < 56; bit++) {
      part.faults.flipCommandBit(1, bit)
      assert.equal(hexOf(await revision(session)), '00006003', `bit ${bit}`)
    }
  })

  test(`a chip swapped over ${wire} is named`, async () => {
    const { part, session } = await open(wire)
    const other = blankEeprom({
      serial: bytes('01230102030405060e'),
      revision: 3,
      swi: wire === 'swi',
    })
    part.faults.before(1, () => part.swap(coreOf(other)))
    await assert.rejects(revision(session), { code: 'ERR_ELEMENT_SWAPPED' })
  })

  test(`a chip that dies over ${wire} is gone`, async () => {
    const { part, session } = await open(wire)
    part.faults.die()
    await assert.rejects(revision(session), { code: 'ERR_ELEMENT_GONE' })
  })

  test(`a chip that wakes and acknowledges nothing over ${wire} is given up in bounded time`, async () => {
    const deaf = bench(wire)
    deaf.part.faults.nackForEver()
    const nobody = { code: 'ERR_ELEMENT_BUS', message: 'nothing answers here' }
    const opening = await failsIn(deaf, () => openChipSession(deaf.chip, deaf.time), nobody)
    assert.ok(opening >= 1500 && opening < 2100, `${opening} ms`)

    const on = await open(wire)
    on.part.faults.nackForEver()
    const gone = { code: 'ERR_ELEMENT_GONE' }
    const waking = await failsIn(on, () => revision(on.session), gone)
    assert.ok(waking >= 1500 && waking < 2100, `${waking} ms`)
    on.part.faults.end()
    assert.equal(hexOf(await revision(on.session)), '00006003')
  })

  test(`a chip that acknowledges nothing any more under a command over ${wire} is given up`, async () => {
    const on = await open(wire)
    on.part.faults.before(1, () => on.part.faults.nackForEver())
    // The command in its time, and then the wakes.
    const reading = await failsIn(on, () => revision(on.session), { code: 'ERR_ELEMENT_GONE' })
    assert.ok(reading < 2500, `${reading} ms`)
    on.part.faults.end()

    on.part.faults.before(2, () => on.part.faults.nackForEver())
    // The serial number is asked for first, since the part was lost.
    const counting = await failsIn(on, () => writeExtra(on.session, 'userExtra', 0x5a), {
      code: 'ERR_ELEMENT_BUS',
      hint: /may have been carried out: read the state/,
    })
    assert.ok(counting < 900, `${counting} ms`)
    on.part.faults.end()
    assert.equal((await readConfig(on.session))[84], 0x5a, 'it was carried out')
  })

  test(`wakes that get lost over ${wire} are repeated`, async () => {
    const { part, session } = await open(wire)
    part.faults.loseWakes(4)
    assert.equal(hexOf(await revision(session)), '00006003')
  })

  test(`a chip that sleeps under a command over ${wire} is asked again`, async () => {
    const { part, session } = await open(wire)
    part.faults.before(1, () => part.sleep())
    assert.equal(hexOf(await revision(session)), '00006003')
  })
}

test('two drivers in real time get their own answers, whoever has the chip', async () => {
  const part = newPart(machineTime)
  const bus = emulatedI2c([part])
  const [first, second] = await Promise.all([
    openChipSession(i2cWire(bus, machineTime), machineTime),
    openChipSession(i2cWire(bus, machineTime), machineTime),
  ])
  const config = await readConfig(first)
  const reading = async (session: ChipSession, from: number): Promise<void> => {
    for (let offset = from; offset < 128; offset += 8) {
      const word = await readZone(session, { kind: 'config' }, offset, 4)
      assert.equal(hexOf(word), hexOf(config.subarray(offset, offset + 4)), `byte ${offset}`)
    }
  }
  // All answers have one length: a wrong one would be believed.
  await Promise.all([reading(first, 0), reading(second, 4)])
  await Promise.all([first.close(), second.close()])
})

test('a driver that was killed leaves a chip that the next one has after its watchdog', async () => {
  const time = paperTime()
  const part = newPart(time)
  const bus = emulatedI2c([part])
  await i2cWire(bus, time).wake()
  await time.wait(100)
  const session = await openChipSession(i2cWire(bus, time), time)
  assert.ok(time.now() > 1300)
  assert.equal(hexOf(await revision(session)), '00006003')
})
