/**
 * KDF (56): derives from a key in TempKey, the alternate key buffer or a slot, by the PRF of TLS
 * 1.2 (RFC 5246 §5), by one HMAC (either step of HKDF, RFC 5869 §2), or by one block of AES; into a
 * register, a slot, or to the bus. The extra outputs of the PRF for AEAD keys are not here.
 * Unconfirmed on silicon (U36, U64, U71).
 */
import { createHmac } from 'node:crypto'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { encryptOutput, requireDestination } from '../ioProtection.ts'
import { at, slotLength } from '../layout.ts'
import { countUse, requireSymmetricKey, requireTempKey } from '../policy.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'
import { tempKeySource } from '../tempKey.ts'
import { aesKeyOf, encryptBlock } from './aes.ts'
import { requireSecretSlot } from './ecdh.ts'

const source = { tempKey: 0, tempKeyUpper: 1, slot: 2, alternateKey: 3 } as const
const target = {
  tempKey: 0x00,
  tempKeyUpper: 0x04,
  slot: 0x08,
  alternateKey: 0x0c,
  output: 0x10,
  encryptedOutput: 0x14,
} as const
const algorithm = { prf: 0x00, aes: 0x20, hkdf: 0x40 } as const
const messageFrom = { slot: 0, tempKey: 1, input: 2, iv: 3 } as const

interface Request {
  readonly mode: number
  readonly sourceSlot: number
  readonly targetSlot: number
  /** 32 bits, little-endian, of which the highest eight are the length of the message. */
  readonly details: number
  readonly message: Uint8Array
}

export function kdf(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse((mode & 0x80) === 0 && data.length >= 4)
  const details = Buffer.from(data).readUInt32LE(0)
  const request: Request = {
    mode,
    sourceSlot: param2 & 0xff,
    targetSlot: param2 >> 8,
    details,
    message: data.subarray(4),
  }
  requireExecution(inside.config.dataLocked)
  const deliver = deliveryOf(inside, request)
  return deliver(derive(inside, request))
}

function derive(inside: Inside, request: Request): Uint8Array {
  switch (request.mode & 0x60) {
    case algorithm.prf:
      return derivePrf(inside, request)
    case algorithm.hkdf:
      return deriveHkdf(inside, request)
    case algorithm.aes:
      return deriveAes(inside, request)
    default:
      throw new Refusal(status.parse)
  }
}

/** Details: key length 1:0 in steps of 16, bit 8 for 64 bytes of output. Message = label and seed. */
function derivePrf(inside: Inside, request: Request): Uint8Array {
  const { details, message } = request
  requireParse((details & 0x00ff_fefc) === 0 && details >>> 24 === message.length)
  const key = keyOf(inside, request, 16 * ((details & 3) + 1))
  return pSha256(key, message, (details & 0x100) === 0 ? 32 : 64)
}

/** Details: 1:0 where the message is, bit 2 for a key of zeros, 11:8 the slot of the message. */
function deriveHkdf(inside: Inside, request: Request): Uint8Array {
  const { details } = request
  requireParse((details & 0x00ff_f0f8) === 0)
  const message = messageOf(inside, request)
  const key = (details & 4) === 0 ? keyOf(inside, request, 32) : new Uint8Array(32)
  return hmac(key, message)
}

function messageOf(inside: Inside, { details, message }: Request): Uint8Array {
  const length = details >>> 24
  switch (details & 3) {
    case messageFrom.slot: {
      const slot = (details >> 8) & 0x0f
      requireParse(length <= slotLength(slot))
      requireSymmetricKey(inside, slot)
      return inside.eeprom.read(slot, 0, length)
    }
    case messageFrom.tempKey:
      requireTempKey(inside)
      requireParse(length <= inside.registers.tempKey.value.length)
      return inside.registers.tempKey.value.slice(0, length)
    case messageFrom.iv:
      requireIv(inside, message)
      break
    default:
      break
  }
  requireParse(length === message.length)
  return message
}

/** The message must have the two bytes of the configuration at the place that it says. */
function requireIv({ config }: Inside, message: Uint8Array): void {
  const place = config.byte(at.kdfIvLocation)
  requireExecution(message[place] === config.byte(at.kdfIvString))
  requireExecution(message[place + 1] === config.byte(at.kdfIvString + 1))
}

/**
 * Details 1:0 the block of 16 bytes of the source. The block is answered with 16 zeros behind it:
 * unconfirmed on silicon (U73).
 */
function deriveAes(inside: Inside, request: Request): Uint8Array {
  const { mode, sourceSlot, details, message } = request
  requireParse((details & 0x00ff_fffc) === 0 && message.length === 16)
  const allowed = (inside.config.word(at.chipOptions) & 0x4) !== 0
  requireExecution(inside.config.aesEnabled && allowed)
  const offset = 16 * (details & 3)
  const ofSlot = (mode & 3) === source.slot
  requireParse(!ofSlot || (sourceSlot < 16 && offset + 16 <= slotLength(sourceSlot)))
  const key = ofSlot
    ? aesKeyOf(inside, sourceSlot, offset)
    : keyOf(inside, request, offset + 16).subarray(offset)
  const derived = new Uint8Array(32)
  derived.set(encryptBlock(key, message))
  return derived
}

/** The first `length` bytes of the source. */
function keyOf(inside: Inside, { mode, sourceSlot }: Request, length: number): Uint8Array {
  const { tempKey, alternateKey } = inside.registers
  switch (mode & 3) {
    case source.slot:
      requireParse(sourceSlot < 16 && length <= slotLength(sourceSlot))
      requireSymmetricKey(inside, sourceSlot)
      countUse(inside, sourceSlot)
      return inside.eeprom.read(sourceSlot, 0, length)
    case source.alternateKey:
      requireExecution(alternateKey !== undefined && length <= alternateKey.length)
      return alternateKey.slice(0, length)
    default: {
      requireTempKey(inside)
      const start = (mode & 3) === source.tempKey ? 0 : 32
      requireExecution(start + length <= tempKey.value.length)
      return tempKey.value.slice(start, start + length)
    }
  }
}

type Delivery = (derived: Uint8Array) => Uint8Array

/** Checked before a key is used. */
function deliveryOf(inside: Inside, { mode, targetSlot, details }: Request): Delivery {
  const { registers, eeprom } = inside
  const isLong = (mode & 0x60) === algorithm.prf && (details & 0x100) !== 0
  switch (mode & 0x1c) {
    case target.tempKey:
      return stored((derived) => registers.tempKey.set(derived, tempKeySource.fixed))
    case target.tempKeyUpper:
      requireParse(!isLong)
      requireTempKey(inside)
      return stored((derived) => {
        registers.tempKey.value = Buffer.concat([registers.tempKey.lower, derived])
      })
    case target.alternateKey:
      requireParse(!isLong)
      return stored((derived) => {
        registers.alternateKey = derived
      })
    case target.slot:
      requireParse(targetSlot < 16 && slotLength(targetSlot) >= (isLong ? 64 : 32))
      requireDestination(inside, 10, 'slot')
      requireSecretSlot(inside, targetSlot)
      return stored((derived) => eeprom.write(targetSlot, 0, derived))
    case target.output:
      requireDestination(inside, 10, 'clear')
      return (derived) => derived
    case target.encryptedOutput:
      requireDestination(inside, 10, 'encrypted')
      return (derived) => encryptOutput(inside, derived)
    default:
      throw new Refusal(status.parse)
  }
}

function stored(store: (derived: Uint8Array) => void): Delivery {
  return (derived) => {
    store(derived)
    return done()
  }
}

/** RFC 5246 §5: P_SHA256. */
function pSha256(key: Uint8Array, seed: Uint8Array, length: 32 | 64): Uint8Array {
  let chain = hmac(key, seed)
  const blocks = [hmac(key, Buffer.concat([chain, seed]))]
  if (length === 64) {
    chain = hmac(key, chain)
    blocks.push(hmac(key, Buffer.concat([chain, seed])))
  }
  return new Uint8Array(Buffer.concat(blocks))
}

function hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac('sha256', key).update(message).digest())
}
