/**
 * What a host computes beside the chip, to speak with it under a key that both know: the value of
 * TempKey after a nonce and a GenDig, and the MACs and masks made of it. All is SHA-256 over fields
 * in a fixed order; the layouts are those of the vendor's public documents, and unconfirmed on
 * silicon (U68).
 */
import { createHash } from 'node:crypto'
import { concat } from '@countersign/core/codec'
import { opcodeOf } from './commandTable.ts'

const zeros = (length: number): Uint8Array => new Uint8Array(length)

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

/** TempKey after a random nonce. */
export function nonceValue(randOut: Uint8Array, input: Uint8Array, mode: number): Uint8Array {
  return sha256(randOut, input, Uint8Array.of(opcodeOf('Nonce'), mode, 0))
}

/** Opcode, mode and param2 as they go into a digest. */
function head(opcode: number, mode: number, param2: number): Uint8Array {
  return Uint8Array.of(opcode, mode, param2 & 0xff, param2 >> 8)
}

/** SN[8], SN[0], SN[1]: the bytes of the serial that every part of the family has in common. */
function familySerial(serial: Uint8Array): Uint8Array {
  return concat(serial.subarray(8, 9), serial.subarray(0, 2))
}

/** TempKey after GenDig of a slot that holds `key`. */
export function genDigValue(
  tempKey: Uint8Array,
  key: Uint8Array,
  slot: number,
  serial: Uint8Array,
): Uint8Array {
  const command = head(opcodeOf('GenDig'), 2, slot)
  return sha256(key, command, familySerial(serial), zeros(25), tempKey)
}

/** TempKey after GenKey digested a public key (modes 08 and 10). */
export function genKeyValue(
  tempKey: Uint8Array,
  mode: number,
  slot: number,
  serial: Uint8Array,
  publicKey: Uint8Array,
): Uint8Array {
  const command = head(opcodeOf('GenKey'), mode, slot)
  return sha256(tempKey, command, familySerial(serial), zeros(25), publicKey)
}

/** The MAC of an encrypted Write: over the bytes in clear. */
export function writeMac(
  sessionKey: Uint8Array,
  mode: number,
  address: number,
  serial: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  const command = head(opcodeOf('Write'), mode, address)
  return sha256(sessionKey, command, familySerial(serial), zeros(25), plain)
}

/** The MAC of an encrypted PrivWrite: over 4 bytes of zero and the key in clear. */
export function privWriteMac(
  sessionKey: Uint8Array,
  mode: number,
  slot: number,
  serial: Uint8Array,
  padded: Uint8Array,
): Uint8Array {
  const command = head(opcodeOf('PrivWrite'), mode, slot)
  return sha256(sessionKey, command, familySerial(serial), zeros(21), padded)
}

/** The MAC that allows a DeriveKey where the slot wants one. */
export function deriveKeyMac(
  parentKey: Uint8Array,
  mode: number,
  slot: number,
  serial: Uint8Array,
): Uint8Array {
  return sha256(parentKey, head(opcodeOf('DeriveKey'), mode, slot), familySerial(serial))
}

/** The key that DeriveKey leaves in its slot. */
export function derivedKey(
  parentKey: Uint8Array,
  mode: number,
  slot: number,
  serial: Uint8Array,
  tempKey: Uint8Array,
): Uint8Array {
  const command = head(opcodeOf('DeriveKey'), mode, slot)
  return sha256(parentKey, command, familySerial(serial), zeros(25), tempKey)
}

/** The answer of MAC without one-time zone; `withSerial` is bit 6 of its mode. */
export function macValue(
  first: Uint8Array,
  second: Uint8Array,
  mode: number,
  slot: number,
  serial: Uint8Array,
): Uint8Array {
  const withSerial = (mode & 0x40) !== 0
  return sha256(
    first,
    second,
    head(opcodeOf('MAC'), mode, slot),
    zeros(11),
    serial.subarray(8, 9),
    withSerial ? serial.subarray(4, 8) : zeros(4),
    serial.subarray(0, 2),
    withSerial ? serial.subarray(2, 4) : zeros(2),
  )
}

/** What ECDH and KDF give out under the I/O protection key, 32 bytes per 16 of the chip's nonce. */
export function unmaskOutput(ioKey: Uint8Array, nonce: Uint8Array, masked: Uint8Array): Uint8Array {
  const plain = Uint8Array.from(masked)
  for (let block = 0; block * 32 < plain.length; block++) {
    const mask = sha256(ioKey, nonce.subarray(block * 16, block * 16 + 16))
    xorInto(plain.subarray(block * 32, block * 32 + 32), mask)
    mask.fill(0)
  }
  return plain
}

/** The answer of Verify with bit 7 of its mode: over message, host's nonce and signature. */
export function verifyMac(
  ioKey: Uint8Array,
  message: Uint8Array,
  nonce: Uint8Array,
  signature: Uint8Array,
  mode: number,
  param2: number,
): Uint8Array {
  return sha256(ioKey, message, nonce, signature, head(opcodeOf('Verify'), mode, param2))
}

/** The mask of an encrypted SecureBoot digest, and the key of its MAC. */
export function secureBootKey(ioKey: Uint8Array, tempKey: Uint8Array): Uint8Array {
  return sha256(ioKey, tempKey)
}

export function secureBootMac(
  key: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
  mode: number,
): Uint8Array {
  return sha256(key, digest, signature, head(opcodeOf('SecureBoot'), mode, 0))
}

export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  const result = Uint8Array.from(a)
  xorInto(result, b)
  return result
}

function xorInto(target: Uint8Array, mask: Uint8Array): void {
  for (let index = 0; index < target.length; index++) {
    target[index] = (target[index] ?? 0) ^ (mask[index] ?? 0)
  }
}
