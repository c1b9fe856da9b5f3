/**
 * An emulated ATECC608 whose configuration lets every command but Lock be repeated at will: locked,
 * with a key or a place for each of them.
 */
import { randomBytes } from 'node:crypto'
import { blankEeprom } from '../packages/element/src/emulators/atecc608/blank.ts'
import { coreOf } from '../packages/element/src/emulators/atecc608/core.ts'
import { at, locked } from '../packages/element/src/emulators/atecc608/layout.ts'
import type { Core } from '../packages/element/src/emulators/atecc608/part.ts'

export const slots = {
  identity: 0,
  /** Takes a private key by PrivWrite, encrypted under `secret`. */
  privWritten: 1,
  signer: 2,
  secret: 5,
  aes: 6,
  limited: 7,
  data: 9,
  /** DeriveKey rolls it. */
  rolled: 10,
  bootKey: 15,
} as const

export const serial: Uint8Array = Uint8Array.of(0x01, 0x23, 1, 2, 3, 4, 5, 6, 0xee)
/** What the slot `secret` holds. */
export const secret: Uint8Array = new Uint8Array(randomBytes(32))

/** SlotConfig and KeyConfig; what is not here keeps what a blank part has. */
const rules: readonly (readonly [slot: number, slotConfig: number, keyConfig: number])[] = [
  [slots.identity, 0x2085, 0x0033],
  [slots.privWritten, 0x4085 | (slots.secret << 8), 0x0033],
  [slots.signer, 0x2085, 0x0033],
  [slots.secret, 0x808f, 0x001c],
  [slots.aes, 0x808f, 0x0018],
  [slots.limited, 0x80af, 0x001c],
  [slots.data, 0x0000, 0x003c],
  [slots.rolled, 0x208f, 0x001c],
  [slots.bootKey, 0x0000, 0x0030],
]
/** FullBoth: digest and signature come with each command. */
const secureBoot = 0x0001 | (slots.bootKey << 12)

export function benchCore(): Core {
  const eeprom = blankEeprom({ serial, revision: 3 })
  for (const [slot, slotConfig, keyConfig] of rules) {
    eeprom.write('config', at.slotConfig + 2 * slot, short(slotConfig))
    eeprom.write('config', at.keyConfig + 2 * slot, short(keyConfig))
  }
  eeprom.write('config', at.secureBoot, short(secureBoot))
  eeprom.write(slots.secret, 0, secret)
  eeprom.write('config', at.lockValue, Uint8Array.of(locked, locked))
  return coreOf(eeprom)
}

function short(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8)
}
