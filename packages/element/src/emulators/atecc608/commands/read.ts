/**
 * Read (02): the configuration always; the one-time zone and the slots when they are locked, and
 * the slots by the rules of SlotConfig, in clear or encrypted.
 * Unconfirmed on silicon (U17, U23, U59).
 */

import type { Cells } from '../address.ts'
import { cellsOf, wholeBlock } from '../address.ts'
import { xor } from '../digests.ts'
import type { Command, Inside } from '../inside.ts'
import { requireKeyUse } from '../policy.ts'
import { takeSessionKey } from '../sessionKey.ts'
import { requireExecution, requireParse } from '../status.ts'

export function read(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse((mode & ~(wholeBlock | 3)) === 0 && data.length === 0)
  const cells = cellsOf(mode, param2)
  if (cells.region === 'config') return bytesOf(inside, cells)
  requireExecution(inside.config.dataLocked)
  return cells.region === 'otp' ? bytesOf(inside, cells) : readSlot(inside, cells, cells.region)
}

function readSlot(inside: Inside, cells: Cells, slot: number): Uint8Array {
  const { isSecret, encryptRead, readKey } = inside.config.slotConfig(slot)
  requireExecution(!inside.config.keyConfig(slot).isPrivate)
  // Both or none: a secret that is read in clear, or a cipher for what is not secret, is no rule.
  requireExecution(isSecret === encryptRead)
  requireKeyUse(inside, slot)
  return isSecret ? encrypted(inside, cells, readKey) : bytesOf(inside, cells)
}

/** Exclusive or with TempKey, which Nonce and GenDig of the read key have made. */
function encrypted(inside: Inside, cells: Cells, readKey: number): Uint8Array {
  requireExecution(cells.length === 32)
  return xor(bytesOf(inside, cells), takeSessionKey(inside, readKey))
}

function bytesOf({ eeprom }: Inside, { region, offset, length }: Cells): Uint8Array {
  return eeprom.read(region, offset, length)
}
