/**
 * The rules that SlotConfig, KeyConfig and the locks put on the use of a key, whatever the command:
 * prior authorization, a random nonce, the latch, and the counter of limited use.
 * Unconfirmed on silicon (U19, U50, U53, U54, U55).
 */
import { keyType } from './config.ts'
import { incrementCounter, usesLeft } from './counters.ts'
import { isScalar } from './ecc.ts'
import type { Inside } from './inside.ts'
import { privateKeyOf, symmetricKeyOf } from './keys.ts'
import { at } from './layout.ts'
import { Refusal, requireExecution } from './status.ts'
import { tempKeySource } from './tempKey.ts'

const useLockOn = 0x0a

/** KeyConfig.ReqAuth and PersistentDisable: before the content of a slot is used at all. */
export function requireKeyUse(inside: Inside, slot: number): void {
  requireAuthorized(inside, slot)
  // GenKey alone does not look at the latch.
  requireExecution(!inside.config.keyConfig(slot).persistentDisable || inside.registers.latch)
  requireUseUnlocked(inside, slot)
}

/** The same as an answer, where a refusal is not the host's business. */
export function isKeyUsable(inside: Inside, slot: number): boolean {
  try {
    requireKeyUse(inside, slot)
    return true
  } catch (error) {
    if (error instanceof Refusal) return false
    throw error
  }
}

/**
 * UseLock, for transport: while it is on, no key but its own is used before that one was
 * authorized. That A means on, what it stops, and for how long, is unconfirmed on
 * silicon (U58).
 */
function requireUseUnlocked({ config, registers }: Inside, slot: number): void {
  const useLock = config.byte(at.useLock)
  const isOn = (useLock & 0x0f) === useLockOn
  requireExecution(!isOn || registers.useUnlocked || slot === useLock >> 4)
}

export function requireAuthorized({ config, registers }: Inside, slot: number): void {
  const { reqAuth, authKey } = config.keyConfig(slot)
  requireExecution(!reqAuth || registers.authorized === authKey)
}

/**
 * KeyConfig.ReqRandom, for the commands that fold TempKey into what they make of the key: it must
 * have the chip's own randomness in it, and be used. Sign is not among them: parts whose keys have
 * this bit are documented to sign what a host loads.
 */
export function requireRandomNonce(
  { config, registers: { tempKey } }: Inside,
  slot: number,
  usesTempKey = true,
): void {
  const isRandom = tempKey.valid && tempKey.source === tempKeySource.random
  requireExecution(!config.keyConfig(slot).reqRandom || (usesTempKey && isRandom))
}

/** A private P-256 key that may be used for what the bit of ReadKey says. */
export function requirePrivateKey(inside: Inside, slot: number, use: number): Uint8Array {
  const { config } = inside
  const { isPrivate, keyType: type } = config.keyConfig(slot)
  requireExecution(config.dataLocked && isPrivate && type === keyType.p256)
  requireExecution((config.slotConfig(slot).readKey & use) !== 0)
  requireKeyUse(inside, slot)
  const scalar = privateKeyOf(inside, slot)
  requireExecution(isScalar(scalar))
  return scalar
}

/** The first 32 bytes of a slot that is no private key, for a command that computes with them. */
export function requireSymmetricKey(inside: Inside, slot: number): Uint8Array {
  const { config } = inside
  requireExecution(config.dataLocked && !config.keyConfig(slot).isPrivate)
  requireKeyUse(inside, slot)
  return symmetricKeyOf(inside, slot)
}

/** SlotConfig.LimitedUse: one use less, in the EEPROM before the key is used. */
export function countUse(inside: Inside, slot: number): void {
  if (!inside.config.slotConfig(slot).limitedUse) return
  requireExecution(usesLeft(inside) > 0)
  incrementCounter(inside, 0)
}

/** The lower half of TempKey, for a digest or a MAC; an ephemeral private key is none. */
export function requireTempKey({ registers }: Inside): Uint8Array {
  const { tempKey } = registers
  requireExecution(tempKey.valid && !tempKey.isPrivateKey)
  return tempKey.lower
}
