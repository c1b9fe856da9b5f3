/**
 * AES (51): one block of AES-128 under sixteen bytes of a slot or of TempKey, and the
 * multiplication of GCM (NIST SP 800-38D §6.3), which needs no key. Modes are the host's business.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { keyType } from '../config.ts'
import type { Command, Inside } from '../inside.ts'
import { slotLength } from '../layout.ts'
import { countUse, requireKeyUse, requireTempKey } from '../policy.ts'
import { requireExecution, requireParse } from '../status.ts'

const act = { encrypt: 0, decrypt: 1, multiply: 3 } as const
const ofTempKey = 0xffff
const blockLength = 16

export function aes(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireExecution(inside.config.aesEnabled)
  if ((mode & 0x07) === act.multiply) {
    requireParse(mode === act.multiply && data.length === 2 * blockLength)
    return multiply(data.subarray(0, blockLength), data.subarray(blockLength))
  }
  requireParse((mode & 0x3e) === 0 && data.length === blockLength)
  requireParse(param2 < 16 || param2 === ofTempKey)
  const key = keyOf(inside, param2, mode >> 6)
  return (mode & 1) === act.encrypt ? encryptBlock(key, data) : decryptBlock(key, data)
}

function keyOf(inside: Inside, slot: number, block: number): Uint8Array {
  const offset = block * blockLength
  if (slot === ofTempKey) {
    requireTempKey(inside)
    const { value } = inside.registers.tempKey
    requireExecution(offset + blockLength <= value.length)
    return value.subarray(offset, offset + blockLength)
  }
  requireParse(offset + blockLength <= slotLength(slot))
  return aesKeyOf(inside, slot, offset)
}

export function aesKeyOf(inside: Inside, slot: number, offset: number): Uint8Array {
  const { isPrivate, keyType: type } = inside.config.keyConfig(slot)
  requireExecution(inside.config.dataLocked && !isPrivate && type === keyType.aes)
  requireKeyUse(inside, slot)
  countUse(inside, slot)
  return inside.eeprom.read(slot, offset, blockLength)
}

export function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false)
  return new Uint8Array(cipher.update(block))
}

function decryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const decipher = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false)
  return new Uint8Array(decipher.update(block))
}

/** In GF(2^128), the first bit of the first byte the lowest power. */
function multiply(x: Uint8Array, y: Uint8Array): Uint8Array {
  const reduction = 0xe1n << 120n
  let product = 0n
  let shifted = toNumber(y)
  for (let bit = 127n, value = toNumber(x); bit >= 0n; bit--) {
    if (((value >> bit) & 1n) === 1n) product ^= shifted
    shifted = (shifted & 1n) === 0n ? shifted >> 1n : (shifted >> 1n) ^ reduction
  }
  return new Uint8Array(Buffer.from(product.toString(16).padStart(32, '0'), 'hex'))
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}
