/**
 * Where keys stand in their slots, and whether one is there.
 * Unconfirmed on silicon (U63).
 */

import { keyType } from './config.ts'
import { isOnCurve, isScalar } from './ecc.ts'
import type { Inside } from './inside.ts'
import { slotLength } from './layout.ts'

/** Four bytes of padding, then the scalar. Unconfirmed on silicon (U30). */
const privateOffset = 4

/** The 32 bytes of a private key as they are, also when they are none. */
export function privateKeyOf({ eeprom }: Inside, slot: number): Uint8Array {
  return eeprom.read(slot, privateOffset, 32)
}

export function symmetricKeyOf({ eeprom }: Inside, slot: number): Uint8Array {
  return eeprom.read(slot, 0, 32)
}

/** Public keys stand as 4 pad + X + 4 pad + Y, in slots with room for that. X || Y. */
export function publicKeyOf({ eeprom }: Inside, slot: number): Uint8Array {
  const point = new Uint8Array(64)
  point.set(eeprom.read(slot, 4, 32), 0)
  point.set(eeprom.read(slot, 40, 32), 32)
  return point
}

export function hasPublicKeyRoom(slot: number): boolean {
  return slotLength(slot) >= 72
}

/** Of a slot for public keys that must be validated: the high nibble of its first byte. */
export const validity = { valid: 0x50, invalid: 0xa0 } as const

export function isValidated({ eeprom }: Inside, slot: number): boolean {
  return (eeprom.byte(slot, 0) & 0xf0) === validity.valid
}

/** For private keys: there is one. For public ones: a point, and validated where it must be. */
export function hasValidKey(inside: Inside, slot: number): boolean {
  const { isPrivate, keyType: type, pubInfo } = inside.config.keyConfig(slot)
  if (type !== keyType.p256) return false
  if (isPrivate) return isScalar(privateKeyOf(inside, slot))
  if (!hasPublicKeyRoom(slot)) return false
  return (!pubInfo || isValidated(inside, slot)) && isOnCurve(publicKeyOf(inside, slot))
}

/** One atomic write of a private key, with its padding. */
export function writePrivateKey({ eeprom }: Inside, slot: number, scalar: Uint8Array): void {
  const cells = new Uint8Array(privateOffset + 32)
  cells.set(scalar, privateOffset)
  eeprom.write(slot, 0, cells)
}
