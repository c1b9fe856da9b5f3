/** A chip that was swapped while nobody looked, and one that another driver has had meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { I2cBus } from '../../../src/bus/ports.ts'
import { paperTime } from '../../../src/bus/time.ts'
import { readCounter, revision } from '../../../src/drivers/atecc608/basics.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { swiWire } from '../../../src/drivers/atecc608/swiWire.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { parseEepromSnapshot } from '../../../src/emulators/atecc608/eeprom.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { emulatedSwi } from '../../../src/emulators/atecc608/swiEndpoint.ts'
import { type Framing, partsFor } from './livesWorld.ts'
import { bytes, hexOf } from './scripted.ts'

async function partOf(framing: Framing = 'i2c') {
  const { own, other } = await partsFor(framing)
  const time = paperTime()
  const part = new EmulatedPart(coreOf(parseEepromSnapshot(own)), { time })
  return { time, part, other: coreOf(parseEepromSnapshot(other)) }
}

for (const framing of ['i2c', 'swi'] as const) {
  test(`a chip that was swapped on ${framing} while it was idle is named, and ours is taken again`, async () => {
    const { time, part, other } = await partOf(framing)
    const wire =
      framing === 'i2c'
        ? i2cWire(emulatedI2c([part]), time)
        : swiWire(emulatedSwi(part, time), time)
    const element = await openAtecc608(wire, time)
    const point = await element.generateKey(0)
    await time.wait(1_000)
    const { own } = await partsFor(framing)
    const ours = coreOf(parseEepromSnapshot(own))
    part.swap(other)
    await assert.rejects(element.publicKey(0), { code: 'ERR_ELEMENT_SWAPPED' })
    await assert.rejects(element.generateKey(0), { code: 'ERR_ELEMENT_SWAPPED' })
    assert.equal(point.length, 64)
    await time.wait(1_000)
    part.swap(ours)
    assert.equal((await element.info()).serial, '0123456789abcdefee')
  })
}

/** Read at 0x60; the CRC is from the reference (§1.2). */
const otherAsks = '03 07 30 00 00 00 03 5D'

test('an answer that is looked for after the watchdog is not taken for ours, nor its driver cut off', async () => {
  const { time, part } = await partOf()
  const bus = emulatedI2c([part])
  let isLate = false
  let otherHas: number | undefined
  let cutOff = 0
  const late: I2cBus = {
    ...bus,
    write: async (address, sent) => {
      if (isLate && sent[0] === 0x00 && sent.length === 1) {
        isLate = false
        // The machine was busy; our chip slept, and somebody else has asked it for as many bytes.
        await time.wait(1_400)
        await bus.write(0, Uint8Array.of(1))
        await time.wait(2)
        assert.equal(hexOf((await bus.read(0x60, 4)) ?? bytes('')), '04113343')
        assert.ok(await bus.write(0x60, bytes(otherAsks)))
        await time.wait(6)
        otherHas = part.wakes
      }
      if (sent[0] === 0x02 && otherHas === part.wakes) cutOff++
      return bus.write(address, sent)
    },
  }
  const session = await openChipSession(i2cWire(late, time), time)
  assert.equal(await readCounter(session, 0), 0)
  isLate = true
  assert.equal(await readCounter(session, 0), 0)
  assert.ok(otherHas !== undefined)
  assert.equal(cutOff, 0)
  assert.equal(hexOf(await revision(session)), '00006003')
})

test('bytes written beside each other at the same time are all there', async () => {
  const { time, part } = await partOf()
  const bus = emulatedI2c([part])
  const { data } = await openAtecc608(i2cWire(bus, time), time)
  assert.ok(data !== undefined)
  const writes = Array.from({ length: 36 }, (_, at) =>
    data.write(9, 2 * at, Uint8Array.of(2 * at, 2 * at + 1)),
  )
  await Promise.all(writes)
  assert.deepEqual(
    await data.read(9, 0, 72),
    Uint8Array.from({ length: 72 }, (_, at) => at),
  )
})

test('a digest that the chip has lost twice is no rule of its slot', async () => {
  const { time, part } = await partOf()
  const element = await openAtecc608(i2cWire(emulatedI2c([part]), time), time)
  await element.generateKey(0)
  const forget = (): void => {
    part.sleep()
    part.wake()
  }
  // Nonce, Sign, and both again.
  part.faults.before(2, forget)
  part.faults.before(4, forget)
  await assert.rejects(element.sign(0, new Uint8Array(32).fill(7)), { code: 'ERR_ELEMENT_BUSY' })
  assert.equal((await element.sign(0, new Uint8Array(32).fill(7))).length, 64)
  await assert.rejects(element.sign(3, new Uint8Array(32)), { code: 'ERR_ELEMENT_SLOT_EMPTY' })
  await element.generateKey(3)
  await assert.rejects(element.sign(3, new Uint8Array(32)), { code: 'ERR_ELEMENT_POLICY' })
})
