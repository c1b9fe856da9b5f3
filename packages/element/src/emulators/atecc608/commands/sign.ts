/**
 * Sign (41): ECDSA over a digest that the host loaded (external), or over a message of 55 bytes that
 * the chip composes of TempKey and its own configuration (internal): the attestation of a key when
 * GenKey made TempKey, and what Verify takes to validate or invalidate a public key.
 * Unconfirmed on silicon (U32, U48, U60).
 */
import { privateUse } from '../config.ts'
import { sha256 } from '../digests.ts'
import { signDigest } from '../ecc.ts'
import type { Command, Inside } from '../inside.ts'
import { at } from '../layout.ts'
import { countUse, requirePrivateKey, requireTempKey } from '../policy.ts'
import { requireExecution, requireParse } from '../status.ts'

const bits = { external: 0x80, includeSerial: 0x40, messageDigest: 0x20, invalidate: 0x01 } as const
const allBits = 0xe1

export function sign(inside: Inside, command: Command): Uint8Array {
  const { mode, param2, data } = command
  requireParse((mode & ~allBits) === 0 && param2 < 16 && data.length === 0)
  const external = (mode & bits.external) !== 0
  requireParse(!external || (mode & bits.invalidate) === 0)
  const use = external ? privateUse.externalSign : privateUse.internalSign
  const scalar = requirePrivateKey(inside, param2, use)
  const digest = external ? takeDigest(inside, mode) : sha256(takeMessage(inside, command))
  countUse(inside, param2)
  return signDigest(scalar, digest, (length) => inside.random(length))
}

/** What was signed is gone, as is TempKey behind any command that used it. */
function takeDigest(inside: Inside, mode: number): Uint8Array {
  const { registers } = inside
  if ((mode & bits.messageDigest) === 0) {
    const digest = requireTempKey(inside).slice()
    registers.tempKey.clear()
    return digest
  }
  const loaded = registers.messageDigest
  requireExecution(loaded !== undefined)
  registers.messageDigest = undefined
  return loaded.subarray(0, 32)
}

function takeMessage(inside: Inside, command: Command): Uint8Array {
  const { tempKey } = inside.registers
  requireTempKey(inside)
  // What a host loaded is no message of the chip's own.
  requireExecution(tempKey.madeInside && !tempKey.noMac)
  const message = internalMessage(inside, command)
  tempKey.clear()
  return message
}

/** 55 bytes; the configuration in them is that of TempKey's slot, not of the signing key's. */
function internalMessage({ config, registers }: Inside, { mode, param2 }: Command): Uint8Array {
  const { tempKey } = registers
  const { keyId } = tempKey
  const { serial } = config
  const withSerial = (mode & bits.includeSerial) !== 0
  const message = new Uint8Array(55)
  message.set(tempKey.lower, 0)
  message.set([0x41, mode, param2 & 0xff, param2 >> 8], 32)
  message.set(wordAt(at.slotConfig), 36)
  message.set(wordAt(at.keyConfig), 38)
  message[40] = tempKey.flags
  message[43] = serial[8] ?? 0
  if (withSerial) message.set(serial.subarray(4, 8), 44)
  message.set(serial.subarray(0, 2), 48)
  if (withSerial) message.set(serial.subarray(2, 4), 50)
  // One while the slot is not locked.
  message[52] = config.slotLocked(keyId) ? 0 : 1
  message[53] = mode & bits.invalidate
  return message

  function wordAt(table: number): number[] {
    const word = config.word(table + 2 * keyId)
    return [word & 0xff, word >> 8]
  }
}
