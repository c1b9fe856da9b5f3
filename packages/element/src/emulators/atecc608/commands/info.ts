/** Info (30): what the chip says of itself, always in four bytes. */

import type { Command, Inside } from '../inside.ts'
import { hasValidKey } from '../keys.ts'
import { at } from '../layout.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'

const mode = { revision: 0, keyValid: 1, state: 2, gpio: 3, latch: 4 } as const

export function info(inside: Inside, command: Command): Uint8Array {
  requireParse(command.data.length === 0)
  switch (command.mode) {
    case mode.revision:
      return inside.eeprom.read('config', at.revision, 4)
    case mode.keyValid:
      requireParse(command.param2 < 16)
      return flag(hasValidKey(inside, command.param2))
    case mode.state:
      return stateOf(inside)
    case mode.gpio:
      return pin(inside, command.param2)
    case mode.latch:
      return latch(inside, command.param2)
    default:
      throw new Refusal(status.parse)
  }
}

/**
 * Bits 0-7 the flags of TempKey, 10 a key is authorized, 11-14 which, 15 TempKey is valid.
 * Unconfirmed on silicon (U39).
 */
function stateOf({ registers }: Inside): Uint8Array {
  const { tempKey, authorized } = registers
  const high =
    (authorized === undefined ? 0 : 0x04 | (authorized << 3)) | (tempKey.valid ? 0x80 : 0)
  return Uint8Array.of(tempKey.flags, high, 0, 0)
}

/**
 * The pin that a part for the single wire has in place of the second wire: an output, low when the
 * power comes. Bit 1 of param2 sets it to bit 0; the value is answered. That every such part has it
 * as an output is unconfirmed on silicon (U40).
 */
function pin({ config, registers }: Inside, param2: number): Uint8Array {
  requireParse((param2 & ~3) === 0)
  requireExecution((config.byte(at.i2cEnable) & 1) === 0)
  if ((param2 & 2) !== 0) registers.pin = (param2 & 1) !== 0
  return flag(registers.pin)
}

/**
 * The persistent latch, which keys with PersistentDisable need. Bit 1 of param2 sets it to bit 0,
 * and a write answers zero whatever it wrote; to one only after the key of VolatileKeyPermission was
 * authorized, which is unconfirmed on silicon (U56).
 */
function latch({ config, registers }: Inside, param2: number): Uint8Array {
  requireParse((param2 & ~3) === 0)
  if ((param2 & 2) !== 0) {
    const wanted = (param2 & 1) !== 0
    const permission = config.byte(at.volatileKeyPermission)
    requireExecution((permission & 0x80) !== 0)
    requireExecution(!wanted || registers.authorized === (permission & 0x0f))
    registers.latch = wanted
    return flag(false)
  }
  return flag(registers.latch)
}

function flag(value: boolean): Uint8Array {
  return Uint8Array.of(value ? 1 : 0, 0, 0, 0)
}
