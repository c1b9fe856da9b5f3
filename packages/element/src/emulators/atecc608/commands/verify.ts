/**
 * Verify (45): ECDSA over a digest that was loaded before, by a stored public key or one in the
 * packet; and, over the message that an internal signature would have, the validation of a stored
 * public key by its parent. On request the good answer is a MAC under the IO protection key.
 * The mode for X.509 content (1) is not here.
 * Unconfirmed on silicon (U32, U63).
 */
import { keyType } from '../config.ts'
import { headOf, sha256 } from '../digests.ts'
import { verifyDigest } from '../ecc.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { requireIoKey } from '../ioProtection.ts'
import { hasPublicKeyRoom, isValidated, publicKeyOf, validity } from '../keys.ts'
import { countUse, requireKeyUse, requireRandomNonce, requireTempKey } from '../policy.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'
import { tempKeySource } from '../tempKey.ts'
import { authorize } from './mac.ts'

const kind = { stored: 0, external: 2, validate: 3, invalidate: 7 } as const
const bits = { messageDigest: 0x20, mac: 0x80 } as const
const externalP256 = 4
const signatureLength = 64

export function verify(inside: Inside, command: Command): Uint8Array {
  requireParse((command.mode & 0x58) === 0)
  switch (command.mode & 7) {
    case kind.stored:
      return verifyStored(inside, command)
    case kind.external:
      return verifyExternal(inside, command)
    case kind.validate:
    case kind.invalidate:
      return validate(inside, command)
    default:
      throw new Refusal(status.parse)
  }
}

function verifyExternal(inside: Inside, command: Command): Uint8Array {
  const { param2, data } = command
  requireParse(param2 === externalP256 && data.length === 2 * signatureLength)
  return judge(inside, command, data.subarray(signatureLength), take(inside, command))
}

function verifyStored(inside: Inside, command: Command): Uint8Array {
  const { param2, data } = command
  requireParse(param2 < 16 && data.length === signatureLength)
  const point = requirePublicKey(inside, param2)
  requireExecution(!inside.config.keyConfig(param2).pubInfo || isValidated(inside, param2))
  requireRandomNonce(inside, param2, (command.mode & bits.messageDigest) === 0)
  const { tempKey } = inside.registers
  const fresh = (command.mode & bits.messageDigest) === 0 && tempKey.source === tempKeySource.random
  const message = take(inside, command)
  countUse(inside, param2)
  const answer = judge(inside, command, point, message)
  // As CheckMac: a signature over the chip's own nonce shows that the key is here.
  if (fresh) authorize(inside, param2)
  return answer
}

/**
 * The message of an internal signature is rebuilt of TempKey, which GenKey must have made for this
 * slot, and of what the host says of the signer; SlotConfig.ReadKey is the slot of the parent.
 */
function validate(inside: Inside, command: Command): Uint8Array {
  const { mode, param2, data } = command
  requireParse(param2 < 16 && data.length === signatureLength + 19)
  const { config, eeprom, registers } = inside
  requireExecution(config.keyConfig(param2).pubInfo && !config.slotLocked(param2))
  requirePublicKey(inside, param2)
  const parent = requirePublicKey(inside, config.slotConfig(param2).readKey)
  const { genKey, keyId } = registers.tempKey
  const tempKey = requireTempKey(inside)
  requireExecution(genKey && keyId === param2)
  const other = data.subarray(signatureLength)
  const isValidation = (mode & 7) === kind.validate
  // The signer said which of the two it wanted.
  requireExecution(other[17] === (isValidation ? 0 : 1))
  const message = validationMessage(inside, tempKey, other)
  registers.tempKey.clear()
  const answer = judge(inside, command, parent, message)
  const mark = isValidation ? validity.valid : validity.invalid
  eeprom.write(param2, 0, Uint8Array.of((eeprom.byte(param2, 0) & 0x0f) | mark))
  return answer
}

function validationMessage({ config }: Inside, tempKey: Uint8Array, other: Uint8Array): Uint8Array {
  const { serial } = config
  return sha256(
    tempKey,
    Uint8Array.of(0x41),
    other.subarray(0, 10),
    serial.subarray(8),
    other.subarray(10, 14),
    serial.subarray(0, 2),
    other.subarray(14),
  )
}

function requirePublicKey(inside: Inside, slot: number): Uint8Array {
  const { isPrivate, keyType: type } = inside.config.keyConfig(slot)
  requireExecution(inside.config.dataLocked && !isPrivate && type === keyType.p256)
  requireExecution(hasPublicKeyRoom(slot))
  requireKeyUse(inside, slot)
  return publicKeyOf(inside, slot)
}

/** The digest, which is gone then; the system nonce of a MAC is read by `judge` before. */
function take(inside: Inside, { mode }: Command): Uint8Array {
  const { registers } = inside
  if ((mode & bits.messageDigest) === 0) {
    const digest = requireTempKey(inside).slice()
    registers.tempKey.clear()
    return digest
  }
  requireExecution(registers.messageDigest !== undefined)
  return registers.messageDigest.subarray(0, 32)
}

function judge(
  inside: Inside,
  command: Command,
  point: Uint8Array,
  message: Uint8Array,
): Uint8Array {
  const signature = command.data.subarray(0, signatureLength)
  const mac = (command.mode & bits.mac) === 0 ? undefined : macOf(inside, command, message)
  if ((command.mode & bits.messageDigest) !== 0) inside.registers.messageDigest = undefined
  if (!verifyDigest(point, message, signature)) throw new Refusal(status.mismatch)
  return mac ?? done()
}

/** Nonce: behind the digest in the message digest buffer, or alone in it. */
function macOf(inside: Inside, command: Command, message: Uint8Array): Uint8Array {
  const loaded = inside.registers.messageDigest
  const start = (command.mode & bits.messageDigest) === 0 ? 0 : 32
  requireExecution(loaded !== undefined && loaded.length >= start + 32)
  const nonce = loaded.subarray(start, start + 32)
  const signature = command.data.subarray(0, signatureLength)
  return sha256(requireIoKey(inside), message, nonce, signature, headOf(command))
}
