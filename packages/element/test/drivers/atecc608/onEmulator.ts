/** A session of the driver with an emulated part whose memory a test has laid out. */
import { type BusTime } from '../../../src/bus/ports.ts'
import { paperTime } from '../../../src/bus/time.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { type ChipSession, openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { type CoreOptions, coreOf } from '../../../src/emulators/atecc608/core.ts'
import type { Eeprom } from '../../../src/emulators/atecc608/eeprom.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'

export interface OnEmulator {
  readonly eeprom: Eeprom
  readonly part: EmulatedPart
  readonly chip: ChipSession
  readonly time: BusTime
  /** The supply goes and comes back. */
  powerCycle(): void
}

export async function onEmulator(eeprom: Eeprom, options: CoreOptions = {}): Promise<OnEmulator> {
  const time = paperTime()
  const part = new EmulatedPart(coreOf(eeprom, options), { time })
  const chip = await openChipSession(i2cWire(emulatedI2c([part]), time), time)
  return { eeprom, part, chip, time, powerCycle: () => part.swap(coreOf(eeprom, options)) }
}
