/**
 * Nonce (16): loads TempKey, the message digest buffer or the alternate key buffer, with the chip's
 * own randomness in it or exactly as the host says. What was there is gone, also when it fails.
 */
import { createHash } from 'node:crypto'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { requireParse } from '../status.ts'
import { tempKeySource } from '../tempKey.ts'

const passThrough = 3
/** Bit 5: 64 bytes instead of 32. */
const long = 0x20
const target = { tempKey: 0x00, messageDigest: 0x40, alternateKey: 0x80 } as const
/** Bit 15 of param2: answer what TempKey is now, not the random number that went into it. */
const answerTempKey = 0x8000

export function nonce(inside: Inside, command: Command): Uint8Array {
  const { tempKey } = inside.registers
  const { mode } = command
  if ((mode & 0xc0) === target.tempKey) tempKey.clear()
  requireParse((mode & 0x1c) === 0)
  return (mode & 3) === passThrough ? load(inside, command) : combine(inside, command)
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

/** Into TempKey only. Unconfirmed on silicon: other targets are refused as not understood. */
function combine(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse(mode <= 1 && (param2 & 0x7fff) === 0 && data.length === 20)
  const { registers } = inside
  if (mode === 0) registers.seeded = true
  const randOut = inside.random(32)
  const value = createHash('sha256')
    .update(randOut)
    .update(data)
    .update(Uint8Array.of(0x16, mode, 0x00))
    .digest()
  registers.tempKey.set(new Uint8Array(value), tempKeySource.random)
  return (param2 & answerTempKey) === 0 ? randOut : registers.tempKey.value.slice()
}
