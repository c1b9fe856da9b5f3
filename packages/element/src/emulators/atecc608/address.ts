/**
 * Zones and addresses of Read, Write and GenDig. In configuration and one-time zone an address is
 * `block << 3 | word`; in the data zone `block << 8 | slot << 3 | word`.
 */
import type { Region } from './eeprom.ts'
import { blockLength, configLength, otpLength, slotLength, wordLength } from './layout.ts'
import { requireParse } from './status.ts'

export const zone = { config: 0, otp: 1, data: 2 } as const
/** Bit 7 of the zone byte: a block of 32 bytes, not a word of 4. */
export const wholeBlock = 0x80

export interface Cells {
  readonly region: Region
  readonly offset: number
  /** That travel: 4 or 32. */
  readonly length: number
  /** That are there: fewer than travel when the last block of a slot is not full. */
  readonly held: number
}

/**
 * The cells that a zone byte and an address mean; a status "parse" when there are none such. A block
 * may go beyond the end of its slot where the command lets it, and else not: unconfirmed on silicon
 * (U29).
 */
export function cellsOf(zoneByte: number, address: number, mayOverhang = false): Cells {
  const length = (zoneByte & wholeBlock) === 0 ? wordLength : blockLength
  const word = address & 7
  // A block begins at word 0, anything else is refused: unconfirmed on silicon (U28).
  requireParse(length === wordLength || word === 0)
  const { region, block, size } = placeOf(zoneByte & 3, address)
  const offset = block * blockLength + word * wordLength
  const held = Math.min(length, size - offset)
  requireParse(held === length || (mayOverhang && held > 0))
  return { region, offset, length, held }
}

function placeOf(
  zoneNumber: number,
  address: number,
): { region: Region; block: number; size: number } {
  requireParse(zoneNumber <= zone.data)
  if (zoneNumber === zone.data) {
    const slot = (address >> 3) & 0x0f
    requireParse((address & 0x80) === 0)
    return { region: slot, block: address >> 8, size: slotLength(slot) }
  }
  return zoneNumber === zone.config
    ? { region: 'config', block: address >> 3, size: configLength }
    : { region: 'otp', block: address >> 3, size: otpLength }
}
