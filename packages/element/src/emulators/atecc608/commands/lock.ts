/**
 * Lock (17): configuration, data and one-time zones, or a single slot, for ever. Unless bit 7 says
 * otherwise, param2 must be the CRC of the zones that will be locked.
 */
import { crc16 } from '../crc16.ts'
import type { Region } from '../eeprom.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { at, configLength, locked, otpLength, slotCount, slotLength } from '../layout.ts'
import { requireExecution, requireParse } from '../status.ts'

const what = { config: 0, data: 1, slot: 2 } as const
const withoutCrc = 0x80

export function lock(inside: Inside, command: Command): Uint8Array {
  const { mode, data } = command
  requireParse((mode & 0x40) === 0 && data.length === 0)
  const target = mode & 3
  requireParse(target === what.slot || (target < what.slot && (mode & 0x3c) === 0))
  if (target === what.config) lockConfig(inside, command)
  else if (target === what.data) lockData(inside, command)
  else lockSlot(inside, (mode >> 2) & 0x0f)
  return done()
}

function lockConfig(inside: Inside, command: Command): void {
  requireExecution(!inside.config.configLocked)
  requireSummary(command, () => crcOf(inside, 'config', configLength))
  inside.eeprom.write('config', at.lockConfig, Uint8Array.of(locked))
}

function lockData(inside: Inside, command: Command): void {
  const { config } = inside
  requireExecution(config.configLocked && !config.dataLocked)
  requireSummary(command, () => dataCrc(inside))
  inside.eeprom.write('config', at.lockValue, Uint8Array.of(locked))
}

/**
 * The slots in order, without those of private keys, then the one-time zone. Unconfirmed on silicon
 * (U24).
 */
function dataCrc(inside: Inside): number {
  let crc = 0
  for (let slot = 0; slot < slotCount; slot++) {
    if (!inside.config.keyConfig(slot).isPrivate) crc = crcOf(inside, slot, slotLength(slot), crc)
  }
  return crcOf(inside, 'otp', otpLength, crc)
}

/**
 * No CRC is compared here: of a private key no host could know it. Unconfirmed on silicon (U25).
 */
function lockSlot({ config, eeprom }: Inside, slot: number): void {
  const { lockable } = config.keyConfig(slot)
  requireExecution(config.configLocked && lockable && !config.slotLocked(slot))
  const cell = at.slotLocked + (slot >> 3)
  eeprom.write('config', cell, Uint8Array.of(config.byte(cell) & ~(1 << (slot & 7))))
}

function requireSummary({ mode, param2 }: Command, summary: () => number): void {
  requireExecution((mode & withoutCrc) !== 0 || param2 === summary())
}

function crcOf({ eeprom }: Inside, region: Region, length: number, seed = 0): number {
  return crc16(eeprom.read(region, 0, length), 0, length, seed)
}
