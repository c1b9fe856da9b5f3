/**
 * Nonce (16): loads TempKey, the message digest buffer or the alternate key buffer, with the chip's
 * own randomness in it or exactly as the host says. What was there is gone, also when it fails.
 * Unconfirmed on silicon (U34).
 */
import { createHash } from 'node:crypto'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { requireExecution, requireParse } from '../status.ts'
import { tempKeySource } from '../tempKey.ts'

const passThrough = 3
/** Bit 5: 64 bytes instead of 32. */
const long = 0x20
const target = { tempKey: 0x00, messageDigest: 0x40, alternateKey: 0x80 } as const
/** Bit 15 of param2: TempKey as it was stands where a new random number would. */
const fromTempKey = 0x8000

export function nonce(inside: Inside, command: Command): Uint8Array {
  const { tempKey } = inside.registers
  const { mode } = command
  const before = tempKey.valid && !tempKey.isPrivateKey ? tempKey.lower.slice() : undefined
  if ((mode & 0xc0) === target.tempKey) tempKey.clear()
  requireParse((mode & 0x1c) === 0)
  return (mode & 3) === passThrough ? load(inside, command) : combine(inside, command, before)
}

function load({ registers }: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse(param2 === 0 && data.length === ((mode & long) === 0 ? 32 : 64))
  switch (mode & 0xc0) {
    case target.tempKey:
      registers.tempKey.set(data, tempKeySource.fixed)
      return done()
    case target.messageDigest:
      registers.messageDigest = data
      return done()
    default:
      requireParse((mode & 0xc0) === target.alternateKey && data.length === 32)
      registers.alternateKey = data
      return done()
  }
}

/**
 * Into TempKey only; other targets are refused as not understood. Unconfirmed on silicon (U35).
 * Without a new random number the source counts as random all the same, as is documented; a host
 * that loaded TempKey knows the value then.
 */
function combine(
  inside: Inside,
  { mode, param2, data }: Command,
  before: Uint8Array | undefined,
): Uint8Array {
  requireParse(mode <= 1 && (param2 & 0x7fff) === 0 && data.length === 20)
  const { registers } = inside
  const isNew = (param2 & fromTempKey) === 0
  requireExecution(isNew || before !== undefined)
  const randOut = isNew || before === undefined ? inside.random(32) : before
  const value = createHash('sha256')
    .update(randOut)
    .update(data)
    .update(Uint8Array.of(0x16, mode, 0x00))
    .digest()
  registers.tempKey.set(new Uint8Array(value), tempKeySource.random)
  return isNew ? randOut : registers.tempKey.value.slice()
}
