/**
 * A part as a distributor delivers it: nothing locked, no key, the factory's configuration. Bytes
 * 16 to 127 are as public listings of unused parts of both revisions show them; what fills unused
 * slots and the one-time zone (here FF) is unconfirmed on silicon (U27).
 */
import { Eeprom } from './eeprom.ts'
import { configLength, otpLength, slotCount, slotLength, unlocked } from './layout.ts'

export interface BlankOptions {
  /** Nine bytes, `01 23 .. .. .. .. .. .. EE`. */
  readonly serial: Uint8Array
  /** The last byte of Info: 2 is an ATECC608A, 3 an ATECC608B. Unconfirmed on silicon (U13). */
  readonly revision: 2 | 3
  /** 7 bits; 0x60 when it is absent. */
  readonly i2cAddress?: number
  /** A part for the single wire. */
  readonly swi?: boolean
}

export function blankEeprom(options: BlankOptions): Eeprom {
  const { serial } = options
  if (serial.length !== 9) throw new RangeError('a serial number has nine bytes')
  return new Eeprom({
    config: blankConfig(options),
    otp: new Uint8Array(otpLength).fill(0xff),
    slots: Array.from({ length: slotCount }, (_, slot) =>
      new Uint8Array(slotLength(slot)).fill(0xff),
    ),
  })
}

function blankConfig({
  serial,
  revision,
  i2cAddress = 0x60,
  swi = false,
}: BlankOptions): Uint8Array {
  const config = new Uint8Array(configLength)
  config.set(serial.subarray(0, 4), 0)
  config.set([0x00, 0x00, 0x60, revision], 4)
  config.set(serial.subarray(4), 8)
  // Bit 0 of 13 enables AES, bit 0 of 14 I2C; the other bits differ from part to part.
  config.set([0x01, swi ? 0x38 : 0x39, 0x00, i2cAddress << 1], 13)
  config.set(slotConfigs, 20)
  config.set([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 52)
  config.set([unlocked, unlocked, 0xff, 0xff], 86)
  config.set(keyConfigs, 96)
  return config
}

// biome-ignore format: a slot each
const slotConfigs = [
  0x83, 0x20, 0x87, 0x20, 0x8f, 0x20, 0xc4, 0x8f, 0x8f, 0x8f, 0x8f, 0x8f, 0x9f, 0x8f, 0xaf, 0x8f,
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xaf, 0x8f,
]
// biome-ignore format: a slot each
const keyConfigs = [
  0x33, 0x00, 0x33, 0x00, 0x33, 0x00, 0x1c, 0x00, 0x1c, 0x00, 0x1c, 0x00, 0x1c, 0x00, 0x1c, 0x00,
  0x3c, 0x00, 0x3c, 0x00, 0x3c, 0x00, 0x3c, 0x00, 0x3c, 0x00, 0x3c, 0x00, 0x3c, 0x00, 0x1c, 0x00,
]
