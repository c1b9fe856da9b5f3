/**
 * ECDH (43): X of the shared point of a private key, in a slot or ephemeral in TempKey, with the
 * host's point; to the bus, clear or encrypted, into TempKey, or into a slot.
 * Unconfirmed on silicon (U36).
 */
import { privateUse } from '../config.ts'
import { sharedSecret } from '../ecc.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { encryptOutput, requireDestination } from '../ioProtection.ts'
import { countUse, requirePrivateKey } from '../policy.ts'
import { requireExecution, requireParse } from '../status.ts'
import { tempKeySource } from '../tempKey.ts'

const bits = { fromTempKey: 0x01, encrypted: 0x02 } as const
const target = { compatible: 0x00, slot: 0x04, tempKey: 0x08, output: 0x0c } as const

export function ecdh(inside: Inside, command: Command): Uint8Array {
  const { mode, data } = command
  requireParse((mode & 0xf0) === 0 && data.length === 64)
  return (mode & bits.fromTempKey) === 0 ? ofSlot(inside, command) : ofTempKey(inside, command)
}

function ofSlot(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse(param2 < 16)
  const scalar = requirePrivateKey(inside, param2, privateUse.ecdh)
  const staysInside = (inside.config.slotConfig(param2).readKey & privateUse.ecdhToSlot) !== 0
  const wanted = mode & 0x0c
  const to = wanted === target.compatible && staysInside ? target.slot : wanted
  requireExecution(!staysInside || to === target.slot)
  const destination = destinationOf(inside, to, mode, param2 + 1)
  countUse(inside, param2)
  return destination(sharedSecret(scalar, data))
}

/** The ephemeral key is gone then, also when the point was wrong. Unconfirmed on silicon (U38). */
function ofTempKey(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  const { tempKey } = inside.registers
  requireExecution(tempKey.valid && tempKey.isPrivateKey)
  const to = mode & 0x0c
  // A slot is only named where the secret goes into one.
  requireParse(to !== target.slot || param2 < 16)
  const destination = destinationOf(inside, to, mode, param2)
  const scalar = tempKey.value
  tempKey.clear()
  return destination(sharedSecret(scalar, data))
}

/** Checked before the work, so that a use is not counted for nothing. */
function destinationOf(
  inside: Inside,
  to: number,
  mode: number,
  slot: number,
): (secret: Uint8Array) => Uint8Array {
  if (to === target.tempKey) {
    requireDestination(inside, 8, 'tempKey')
    return (secret) => {
      inside.registers.tempKey.set(secret, tempKeySource.fixed)
      return done()
    }
  }
  if (to === target.slot) {
    requireDestination(inside, 8, 'slot')
    requireSecretSlot(inside, slot)
    return (secret) => {
      inside.eeprom.write(slot, 0, secret)
      return done()
    }
  }
  const encrypted = (mode & bits.encrypted) !== 0
  requireDestination(inside, 8, encrypted ? 'encrypted' : 'clear')
  return (secret) => (encrypted ? encryptOutput(inside, secret) : secret)
}

/**
 * Where a computed secret may go. What WriteConfig says about it is unconfirmed on silicon (U64).
 */
export function requireSecretSlot({ config }: Inside, slot: number): void {
  requireExecution(slot < 16 && config.dataLocked)
  requireExecution(!config.slotLocked(slot) && !config.keyConfig(slot).isPrivate)
}
