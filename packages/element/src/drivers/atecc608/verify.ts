/** Verify: signatures over 32 bytes that were loaded before, in the same sequence. */
import { timingSafeEqual } from 'node:crypto'
import { concat } from '@countersign/core/codec'
import { requireSlot } from './basics.ts'
import { verifyMac } from './hostMath.ts'
import { loadNonce, requireLength } from './keys.ts'
import type { CommandLine } from './session.ts'
import { status } from './status.ts'

/** Where the 32 bytes were loaded. */
export type VerifySource = 'tempKey' | 'messageDigest'

const sourceBit: Readonly<Record<VerifySource, number>> = { tempKey: 0x00, messageDigest: 0x20 }
const macBit = 0x80
const modes = {
  stored: 0x00,
  validateExternal: 0x01,
  external: 0x02,
  validate: 0x03,
  invalidate: 0x07,
} as const
/** Param2 of an external key: its curve. */
const p256 = 4

/** With a public key (X || Y) that comes along. False when the signature is not its. */
export function verifyExternal(
  line: CommandLine,
  signature: Uint8Array,
  publicKey: Uint8Array,
  source: VerifySource = 'tempKey',
): Promise<boolean> {
  requireLength('a public key', publicKey, 64)
  return verify(line, modes.external | sourceBit[source], p256, signature, publicKey)
}

/** With the public key that is stored in the slot. */
export function verifyStored(
  line: CommandLine,
  slot: number,
  signature: Uint8Array,
  source: VerifySource = 'tempKey',
): Promise<boolean> {
  return verify(line, modes.stored | sourceBit[source], requireSlot(slot), signature)
}

/** Validates the public key of the slot by a signature over a digest of it. */
export function validateExternal(
  line: CommandLine,
  slot: number,
  signature: Uint8Array,
  source: VerifySource = 'tempKey',
): Promise<boolean> {
  return verify(line, modes.validateExternal | sourceBit[source], requireSlot(slot), signature)
}

/** The fields of an internal signature that the chip does not know by itself. */
export const validateOtherLength = 19

/** Validates the public key of the slot by an internal signature of its authority. */
export function validateKey(
  line: CommandLine,
  slot: number,
  signature: Uint8Array,
  other: Uint8Array,
): Promise<boolean> {
  requireLength('the other data of Verify', other, validateOtherLength)
  return verify(line, modes.validate, requireSlot(slot), signature, other)
}

export function invalidateKey(
  line: CommandLine,
  slot: number,
  signature: Uint8Array,
  other: Uint8Array,
): Promise<boolean> {
  requireLength('the other data of Verify', other, validateOtherLength)
  return verify(line, modes.invalidate, requireSlot(slot), signature, other)
}

async function verify(
  line: CommandLine,
  mode: number,
  param2: number,
  signature: Uint8Array,
  more: Uint8Array = new Uint8Array(),
): Promise<boolean> {
  requireLength('a signature', signature, 64)
  const verdict = await line.run({
    name: 'Verify',
    param1: mode,
    param2,
    data: concat(signature, more),
    answer: 'verdict',
    repeat: 'alone',
  })
  return verdict[0] === status.ok
}

export interface VerifyWithMac {
  readonly message: Uint8Array
  readonly signature: Uint8Array
  /** X || Y, or the slot that stores it. */
  readonly key: Uint8Array | number
  /** 32 bytes that the host drew for this. */
  readonly hostNonce: Uint8Array
  /** The I/O protection key. */
  readonly ioKey: Uint8Array
}

/**
 * The same with an answer that nobody on the bus can forge: the chip proves by a MAC that it came
 * to its verdict. False also when that MAC is wrong.
 */
export async function verifyWithMac(line: CommandLine, input: VerifyWithMac): Promise<boolean> {
  const { message, signature, key, hostNonce, ioKey } = input
  requireLength('a message', message, 32)
  requireLength('the nonce of the host', hostNonce, 32)
  requireLength('a signature', signature, 64)
  await loadNonce(line, concat(message, hostNonce), 'messageDigest')
  const stored = typeof key === 'number'
  const kind = stored ? modes.stored : modes.external
  const mode = kind | sourceBit.messageDigest | macBit
  const param2 = stored ? requireSlot(key) : p256
  const mac = await line.run({
    name: 'Verify',
    param1: mode,
    param2,
    data: stored ? signature : concat(signature, key),
    answer: { length: 32, orStatus: status.mismatch },
    repeat: 'alone',
  })
  if (mac.length !== 32) return false
  return timingSafeEqual(mac, verifyMac(ioKey, message, hostNonce, signature, mode, param2))
}
