/**
 * Write (12): words of 4 or blocks of 32 bytes. The configuration until it is locked; the one-time
 * zone and the slots freely until those are locked; then slots by WriteConfig: always, while the
 * public key in it is not validated, encrypted under TempKey with a MAC, or never.
 * Unconfirmed on silicon (U17, U42, U67).
 */
import { type Cells, cellsOf, wholeBlock } from '../address.ts'
import { headOf, serialMark, sha256, xor, zeros } from '../digests.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { isValidated } from '../keys.ts'
import { at, blockLength } from '../layout.ts'
import { requireAuthorized } from '../policy.ts'
import { takeSessionKey } from '../sessionKey.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'

const encrypted = 0x40
/** The high nibble of SlotConfig, as Write reads it. */
const writeRule = { always: 0, pubInvalid: 1, encryptedBit: 4 } as const

export function write(inside: Inside, command: Command): Uint8Array {
  const { mode, param2, data } = command
  requireParse((mode & ~(wholeBlock | encrypted | 3)) === 0)
  const cells = cellsOf(mode, param2, !inside.config.dataLocked)
  const withMac = (mode & encrypted) !== 0
  requireParse(!withMac || cells.length === 32)
  requireParse(data.length === cells.length + (withMac ? 32 : 0))
  const { region } = cells
  if (region === 'config') writeConfig(inside, cells, command)
  else if (region === 'otp') writeOneTime(inside, cells, command)
  else writeSlot(inside, cells, command, region)
  return done()
}

/**
 * Bytes 16 to 83 and 90 to 127. A word that has SlotLocked in it changes its other half only: which
 * slots are locked is said by Lock alone. Unconfirmed on silicon (U22).
 */
function writeConfig({ config, eeprom }: Inside, cells: Cells, { mode, data }: Command): void {
  const { offset, length } = cells
  requireExecution(!config.configLocked && (mode & encrypted) === 0)
  requireExecution(offset >= at.i2cAddress)
  requireExecution(offset + length <= at.userExtra || offset >= at.slotLocked)
  const kept = offset === at.slotLocked ? at.chipOptions - at.slotLocked : 0
  eeprom.write('config', offset + kept, data.subarray(kept))
}

/** After the lock it is read only. Unconfirmed on silicon (U23). */
function writeOneTime({ config, eeprom }: Inside, cells: Cells, { mode, data }: Command): void {
  requireExecution(config.configLocked && !config.dataLocked && (mode & encrypted) === 0)
  requireExecution(cells.length === blockLength)
  eeprom.write('otp', cells.offset, data)
}

function writeSlot(inside: Inside, cells: Cells, command: Command, slot: number): void {
  const { config, eeprom } = inside
  requireExecution(config.configLocked && !config.slotLocked(slot))
  // Private keys come by GenKey and PrivWrite.
  requireExecution(!config.keyConfig(slot).isPrivate)
  requireAuthorized(inside, slot)
  const withMac = (command.mode & encrypted) !== 0
  if (config.dataLocked) requireRule(inside, slot, withMac)
  // Before the data lock by whole blocks only; what goes beyond the slot is dropped. Both
  // unconfirmed on silicon (U21).
  else requireExecution(cells.length === blockLength)
  const bytes = withMac ? decrypted(inside, command, slot) : command.data
  eeprom.write(slot, cells.offset, bytes.subarray(0, cells.held))
}

function requireRule(inside: Inside, slot: number, withMac: boolean): void {
  const { writeConfig: rule } = inside.config.slotConfig(slot)
  if ((rule & writeRule.encryptedBit) !== 0) return requireExecution(withMac)
  requireExecution(!withMac && (rule === writeRule.always || rule === writeRule.pubInvalid))
  requireExecution(rule !== writeRule.pubInvalid || !isValidated(inside, slot))
}

/** Under TempKey, which Nonce and GenDig of the write key have made; it is gone then. */
function decrypted(inside: Inside, command: Command, slot: number): Uint8Array {
  const key = takeSessionKey(inside, inside.config.slotConfig(slot).writeKey)
  const bytes = xor(command.data.subarray(0, 32), key)
  const mac = sha256(key, headOf(command), serialMark(inside), zeros(25), bytes)
  if (Buffer.compare(mac, command.data.subarray(32)) !== 0) throw new Refusal(status.mismatch)
  return bytes
}
