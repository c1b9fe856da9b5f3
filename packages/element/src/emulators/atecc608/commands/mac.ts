/**
 * MAC (08) and CheckMac (28): SHA-256 over a key, a challenge and 24 bytes more, made and checked.
 * Either of the first two may be TempKey. A CheckMac over the chip's own nonce authorizes the key
 * for others (KeyConfig.ReqAuth), and a good one copies a key into TempKey where ReadKey is 0.
 */
import { sha256, zeros } from '../digests.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { symmetricKeyOf } from '../keys.ts'
import { at } from '../layout.ts'
import {
  countUse,
  isKeyUsable,
  requireRandomNonce,
  requireSymmetricKey,
  requireTempKey,
} from '../policy.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'
import { tempKeySource } from '../tempKey.ts'

const bits = {
  challengeFromTempKey: 0x01,
  keyFromTempKey: 0x02,
  /** Must say where TempKey came from. */
  source: 0x04,
  otp: 0x20,
  includeSerial: 0x40,
} as const

/** 88 bytes; the eleven zeros are where older parts put their one-time zone. */
export function mac(inside: Inside, command: Command): Uint8Array {
  const { mode, param2, data } = command
  requireParse((mode & ~0x47) === 0 && param2 < 16)
  requireParse(data.length === ((mode & bits.challengeFromTempKey) === 0 ? 32 : 0))
  const { serial } = inside.config
  const [key, challenge] = takeParts(inside, command)
  const withSerial = (mode & bits.includeSerial) !== 0
  return sha256(
    key,
    challenge,
    Uint8Array.of(0x08, mode, param2, 0),
    zeros(11),
    serial.subarray(8),
    withSerial ? serial.subarray(4, 8) : zeros(4),
    serial.subarray(0, 2),
    withSerial ? serial.subarray(2, 4) : zeros(2),
  )
}

/** Challenge (32), the response to check (32), 13 bytes that stand in the message in four places. */
export function checkMac(inside: Inside, command: Command): Uint8Array {
  const { mode, param2, data } = command
  requireParse((mode & ~0x27) === 0 && param2 < 16 && data.length === 77)
  const { config, eeprom, registers } = inside
  const { tempKey } = registers
  // As Read of it: nothing is learnt of the one-time zone before it is locked. Unconfirmed on silicon
  // (U23).
  requireExecution((mode & bits.otp) === 0 || config.dataLocked)
  const fresh = (mode & bits.challengeFromTempKey) !== 0 && tempKey.source === tempKeySource.random
  const [key, challenge] = takeParts(inside, command)
  const other = data.subarray(64)
  const { serial } = config
  const expected = sha256(
    key,
    challenge,
    other.subarray(0, 4),
    (mode & bits.otp) === 0 ? zeros(8) : eeprom.read('otp', 0, 8),
    other.subarray(4, 7),
    serial.subarray(8),
    other.subarray(7, 11),
    serial.subarray(0, 2),
    other.subarray(11),
  )
  if (Buffer.compare(expected, data.subarray(32, 64)) !== 0) throw new Refusal(status.mismatch)
  if (fresh && (mode & bits.keyFromTempKey) === 0) authorize(inside, param2)
  if ((mode & ~bits.source) === bits.challengeFromTempKey) copyKey(inside, param2)
  return done()
}

/**
 * The password that was shown releases another key: that of the slot above an even one, of an odd
 * one itself. ReadKey 0 allows it; that it must be 0 in both slots is unconfirmed on silicon (U70).
 */
function copyKey(inside: Inside, slot: number): void {
  const { config, registers } = inside
  const target = slot | 1
  const isAllowed = [slot, target].every((one) => config.slotConfig(one).readKey === 0)
  if (!isAllowed || config.keyConfig(target).isPrivate || !isKeyUsable(inside, target)) return
  registers.tempKey.set(symmetricKeyOf(inside, target), tempKeySource.fixed)
}

/** Until sleep. Which commands authorize, and for how long, is unconfirmed on silicon (U53). */
export function authorize({ config, registers }: Inside, slot: number): void {
  registers.authorized = slot
  if (slot === config.byte(at.useLock) >> 4) registers.useUnlocked = true
}

/** Key and challenge; TempKey is gone when one of them was it. */
function takeParts(inside: Inside, { mode, param2, data }: Command): [Uint8Array, Uint8Array] {
  const { tempKey } = inside.registers
  const usesTempKey = (mode & (bits.challengeFromTempKey | bits.keyFromTempKey)) !== 0
  const fromSlot = (mode & bits.keyFromTempKey) === 0
  try {
    if (usesTempKey) requireMatchingTempKey(inside, mode)
    const fromTempKey = (mode & bits.challengeFromTempKey) !== 0
    if (fromSlot) {
      requireExecution(!inside.config.slotConfig(param2).noMac)
      requireRandomNonce(inside, param2, fromTempKey)
    }
    const key = fromSlot ? requireSymmetricKey(inside, param2) : tempKey.lower.slice()
    if (fromSlot) countUse(inside, param2)
    return [key, fromTempKey ? tempKey.lower.slice() : data.subarray(0, 32)]
  } finally {
    if (usesTempKey) tempKey.clear()
  }
}

export function requireMatchingTempKey(inside: Inside, mode: number): void {
  const { tempKey } = inside.registers
  requireTempKey(inside)
  requireExecution(!tempKey.noMac && ((mode & bits.source) === 0 ? 0 : 1) === tempKey.source)
}
