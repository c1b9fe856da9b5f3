/**
 * GenKey (40): makes a private key in a slot (04) or an ephemeral one in TempKey, computes the
 * public key of one (00), and puts a digest of a public key into TempKey (08, and 10 for a stored
 * public key), for an internal signature over it. The variant with a MAC (20) is not here.
 * Unconfirmed on silicon (U61).
 */

import { keyType } from '../config.ts'
import { serialMark, sha256, zeros } from '../digests.ts'
import { drawScalar, isScalar, publicPoint } from '../ecc.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { hasPublicKeyRoom, privateKeyOf, publicKeyOf, writePrivateKey } from '../keys.ts'
import { requireAuthorized, requireRandomNonce, requireTempKey } from '../policy.ts'
import { requireExecution, requireParse } from '../status.ts'
import { tempKeySource } from '../tempKey.ts'

const bits = { create: 0x04, digest: 0x08, storedDigest: 0x10 } as const
const ephemeral = 0xffff
/** WriteConfig bit 1 (b13 of SlotConfig): GenKey may write here. Unconfirmed on silicon (U47). */
const mayGenerate = 0x2

export function genKey(inside: Inside, command: Command): Uint8Array {
  const { mode, param2, data } = command
  requireParse((mode & ~(bits.create | bits.digest | bits.storedDigest)) === 0)
  if (mode === bits.storedDigest) return digestStored(inside, command)
  requireParse((mode & bits.storedDigest) === 0 && data.length === 0)
  if (param2 === ephemeral) return createEphemeral(inside, command)
  requireParse(param2 < 16)
  // Before anything is written: a digest needs the nonce that is to be in it.
  if ((mode & bits.digest) !== 0) {
    requireTempKey(inside)
    requireRandomNonce(inside, param2)
  }
  const scalar = (mode & bits.create) === 0 ? stored(inside, param2) : create(inside, param2)
  const point = publicPoint(scalar)
  if ((mode & bits.digest) !== 0) {
    digestInto(inside, param2, Uint8Array.of(0x40, mode, param2, 0), point)
  }
  return point
}

function create(inside: Inside, slot: number): Uint8Array {
  const { config } = inside
  const { isPrivate, keyType: type } = config.keyConfig(slot)
  requireExecution(config.configLocked && isPrivate && type === keyType.p256)
  requireExecution(!config.slotLocked(slot))
  requireAuthorized(inside, slot)
  // Before the data zone is locked WriteConfig is not looked at. Unconfirmed on silicon (U20).
  requireExecution(!config.dataLocked || (config.slotConfig(slot).writeConfig & mayGenerate) !== 0)
  const scalar = drawScalar((length) => inside.random(length))
  writePrivateKey(inside, slot, scalar)
  return scalar
}

function stored(inside: Inside, slot: number): Uint8Array {
  const { config } = inside
  const { isPrivate, keyType: type, pubInfo } = config.keyConfig(slot)
  requireExecution(config.configLocked && isPrivate && type === keyType.p256 && pubInfo)
  requireAuthorized(inside, slot)
  const scalar = privateKeyOf(inside, slot)
  requireExecution(isScalar(scalar))
  return scalar
}

/** It stays in TempKey, is gone with it, and only ECDH takes it. Unconfirmed on silicon (U38). */
function createEphemeral(inside: Inside, { mode }: Command): Uint8Array {
  requireParse(mode === bits.create)
  requireExecution(inside.config.configLocked)
  const scalar = drawScalar((length) => inside.random(length))
  inside.registers.tempKey.set(scalar, tempKeySource.random)
  inside.registers.tempKey.isPrivateKey = true
  return publicPoint(scalar)
}

/**
 * Three bytes of the host stand where mode and slot would. A status: unconfirmed on silicon (U62).
 */
function digestStored(inside: Inside, { param2, data }: Command): Uint8Array {
  requireParse(param2 < 16 && data.length === 3)
  const { config } = inside
  const { isPrivate, keyType: type } = config.keyConfig(param2)
  requireExecution(config.dataLocked && !isPrivate && type === keyType.p256)
  requireExecution(hasPublicKeyRoom(param2))
  requireTempKey(inside)
  requireRandomNonce(inside, param2)
  digestInto(inside, param2, Uint8Array.of(0x40, ...data), publicKeyOf(inside, param2))
  return done()
}

/**
 * 128 bytes: TempKey, opcode and three bytes, SN, 25 zeros, X || Y. The source stays: unconfirmed
 * on silicon (U37).
 */
function digestInto(inside: Inside, slot: number, head: Uint8Array, point: Uint8Array): void {
  const { tempKey } = inside.registers
  const { source } = tempKey
  tempKey.set(sha256(tempKey.lower, head, serialMark(inside), zeros(25), point), source)
  tempKey.genKey = true
  tempKey.madeInside = true
  tempKey.keyId = slot
}
