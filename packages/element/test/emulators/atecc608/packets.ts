/**
 * Packets for tests of the emulated chip. The CRC here is a second hand's: the reflected form of
 * the polynomial, mirrored at the end, checked against the literals of chip.test.ts.
 */
import { fromHex, hex } from '@countersign/core/codec'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { Chip } from '../../../src/emulators/atecc608/chip.ts'
import type { Eeprom } from '../../../src/emulators/atecc608/eeprom.ts'

export function crcHex(bytes: Uint8Array): string {
  let register = 0
  for (const byte of bytes) {
    register ^= byte
    for (let bit = 0; bit < 8; bit++) {
      register = (register & 1) === 0 ? register >> 1 : (register >> 1) ^ 0xa001
    }
  }
  const bits = register.toString(2).padStart(16, '0')
  const mirrored = Number.parseInt(bits.split('').toReversed().join(''), 2)
  return hex(Uint8Array.of(mirrored & 0xff, mirrored >> 8))
}

/** `40 04 0000` (opcode, param1, param2 as it goes, data) with count before and CRC behind. */
export function packet(text: string): Uint8Array {
  const inner = fromHex(text.replaceAll(' ', ''))
  const counted = Uint8Array.of(inner.length + 3, ...inner)
  return fromHex(hex(counted) + crcHex(counted))
}

/** Runs a packet of which count and CRC are made here; the bytes between count and CRC. */
export function ask(chip: Chip, text: string): string {
  return hex(chip.execute(packet(text)).response).slice(2, -4)
}

/** Runs a packet exactly as written; the whole reply. */
export function exchange(chip: Chip, text: string): string {
  return hex(chip.execute(fromHex(text.replaceAll(' ', ''))).response)
}

export const serialHex = '0123456789abcdefee'

export function blank(): Eeprom {
  return blankEeprom({ serial: fromHex(serialHex), revision: 2 })
}

/** A generator of A5 bytes, so that digests over its numbers can be written down. */
export function fixedRandom(length: number): Uint8Array {
  return new Uint8Array(length).fill(0xa5)
}

export function chipOn(eeprom: Eeprom): Chip {
  return new Chip(eeprom, { random: fixedRandom })
}

export interface Setup {
  /** SlotConfig and KeyConfig by slot, each as its two bytes stand in the zone. */
  readonly slots?: Readonly<Record<number, readonly [slotConfig: string, keyConfig: string]>>
  /** Other bytes of the configuration, by offset. */
  readonly config?: Readonly<Record<number, string>>
  /** Content of slots from their first byte on. */
  readonly data?: Readonly<Record<number, string>>
  readonly locks?: 'none' | 'config' | 'both'
  /** Slots that are locked one by one. */
  readonly slotLocks?: readonly number[]
}

/** A chip's memory as a factory may have left it, written past the commands. */
export function memory({
  slots = {},
  config = {},
  data = {},
  locks = 'both',
  slotLocks = [],
}: Setup): Eeprom {
  const eeprom = blank()
  for (const [slot, [slotConfig, keyConfig]] of Object.entries(slots)) {
    eeprom.write('config', 20 + 2 * Number(slot), fromHex(slotConfig))
    eeprom.write('config', 96 + 2 * Number(slot), fromHex(keyConfig))
  }
  for (const [offset, text] of Object.entries(config)) {
    eeprom.write('config', Number(offset), fromHex(text))
  }
  for (const [slot, text] of Object.entries(data)) eeprom.write(Number(slot), 0, fromHex(text))
  if (locks !== 'none') eeprom.write('config', 87, Uint8Array.of(0))
  if (locks === 'both') eeprom.write('config', 86, Uint8Array.of(0))
  for (const slot of slotLocks) {
    const at = 88 + (slot >> 3)
    eeprom.write('config', at, Uint8Array.of(eeprom.byte('config', at) & ~(1 << (slot & 7))))
  }
  return eeprom
}
