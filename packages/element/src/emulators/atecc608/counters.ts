/**
 * The two counters, which only go up. Each has eight bytes of the configuration zone, of which
 * every step clears one bit: two linear halves of 16 bits taken in turns, and two binary numbers of
 * what the halves have gone through. Public listings of used parts fit this; the details are
 * unconfirmed on silicon (U52).
 */
import type { Inside } from './inside.ts'
import { at } from './layout.ts'
import { requireExecution } from './status.ts'

const counterMax = 2_097_151

export function readCounter({ eeprom }: Inside, counter: number): number {
  const cells = Buffer.from(eeprom.read('config', at.counters + 8 * counter, 8))
  const first = Math.clz32(cells.readUInt16BE(0)) - 16
  const count =
    first < 16
      ? cells.readUInt16BE(4) * 32 + first
      : cells.readUInt16BE(6) * 32 + 16 + Math.min(Math.clz32(cells.readUInt16BE(2)) - 16, 15)
  return Math.min(count, counterMax)
}

/** One atomic write; a status "execution" at the end of the counter. The new value. */
export function incrementCounter(inside: Inside, counter: number): number {
  const count = readCounter(inside, counter) + 1
  requireExecution(count <= counterMax)
  inside.eeprom.write('config', at.counters + 8 * counter, cellsOf(count))
  return count
}

function cellsOf(count: number): Uint8Array {
  const cells = Buffer.alloc(8)
  const behind = Math.max(count - 16, 0)
  cells.writeUInt16BE(0xffff >> (count % 32), 0)
  cells.writeUInt16BE(0xffff >> (behind % 32), 2)
  cells.writeUInt16BE(Math.floor(count / 32), 4)
  cells.writeUInt16BE(Math.floor(behind / 32), 6)
  return cells
}

/** Uses that keys of limited use have left, by Counter0 and by CountMatch where it is on. */
export function usesLeft(inside: Inside): number {
  const countMatch = inside.config.byte(at.countMatch)
  const limit = (countMatch & 1) === 0 ? counterMax : matchValue(inside, countMatch >> 4)
  return limit - readCounter(inside, 0)
}

/**
 * Little-endian, and once more for safety; a damaged pair allows nothing. Unconfirmed on silicon
 * (U51).
 */
function matchValue({ eeprom }: Inside, slot: number): number {
  const cells = Buffer.from(eeprom.read(slot, 0, 8))
  const value = cells.readUInt32LE(0)
  return value === cells.readUInt32LE(4) ? value : 0
}
