/**
 * SecureBoot (80): is this the digest of a firmware that the key in the configured slot signed? The
 * configuration chooses what is kept between boots: nothing (FullBoth), the signature (FullSig) or
 * the digest (FullDig), so that the short form can be asked. The digest may come encrypted under
 * the IO protection key and TempKey, and the good answer is a MAC then.
 * Unconfirmed on silicon (U74).
 */
import { headOf, sha256, xor } from '../digests.ts'
import { verifyDigest } from '../ecc.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { requireIoKey } from '../ioProtection.ts'
import { hasPublicKeyRoom, publicKeyOf } from '../keys.ts'
import { at, slotLength } from '../layout.ts'
import { requireTempKey } from '../policy.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'
import { tempKeySource } from '../tempKey.ts'

const form = { full: 5, fullStore: 6, fullCopy: 7 } as const
const bits = { prohibit: 0x40, encrypted: 0x80 } as const
const keeps = { disabled: 0, nothing: 1, signature: 2, digest: 3 } as const

export function secureBoot(inside: Inside, command: Command): Uint8Array {
  const { mode, data, param2 } = command
  const { config, registers } = inside
  requireParse((mode & 0x38) === 0 && (mode & 7) >= form.full && param2 === 0)
  const short = (mode & 7) === form.fullStore
  requireParse(data.length === (short ? 32 : 96))
  const settings = settingsOf(config.word(at.secureBoot))
  requireExecution(config.dataLocked && settings.keeps !== keeps.disabled)
  requireExecution(!registers.secureBootProhibited)
  requireExecution((mode & 7) === form.full || settings.keeps >= keeps.signature)
  const session = takeSession(inside, command, settings.randomNonce)
  const digest = session === undefined ? data.subarray(0, 32) : xor(data.subarray(0, 32), session)
  const signature = signatureOf(inside, command, settings)
  if (!fits(inside, settings, digest, signature)) throw new Refusal(status.mismatch)
  if ((mode & 7) === form.fullCopy) keep(inside, settings, digest, data.subarray(32))
  if (settings.persist) registers.latch = true
  if ((mode & bits.prohibit) !== 0) registers.secureBootProhibited = true
  return session === undefined
    ? done()
    : sha256(session, digest, signature ?? new Uint8Array(0), headOf(command))
}

interface Settings {
  readonly keeps: number
  readonly persist: boolean
  readonly randomNonce: boolean
  readonly keptSlot: number
  readonly keySlot: number
}

function settingsOf(word: number): Settings {
  return {
    keeps: word & 3,
    persist: (word & 0x08) !== 0,
    randomNonce: (word & 0x10) !== 0,
    keptSlot: (word >> 8) & 0x0f,
    keySlot: word >> 12,
  }
}

/** The pad of the digest, of IO key and TempKey; absent when the digest came in clear. */
function takeSession(
  inside: Inside,
  { mode }: Command,
  randomNonce: boolean,
): Uint8Array | undefined {
  const { tempKey } = inside.registers
  requireExecution(!randomNonce || (tempKey.valid && tempKey.source === tempKeySource.random))
  if ((mode & bits.encrypted) === 0) return undefined
  const session = sha256(requireIoKey(inside), requireTempKey(inside))
  tempKey.clear()
  return session
}

/** Of the packet or of the slot; absent when only a digest is compared. */
function signatureOf(
  { eeprom }: Inside,
  { mode, data }: Command,
  settings: Settings,
): Uint8Array | undefined {
  if ((mode & 7) !== form.fullStore) return data.subarray(32)
  if (settings.keeps === keeps.digest) return undefined
  requireExecution(slotLength(settings.keptSlot) >= 64)
  return eeprom.read(settings.keptSlot, 0, 64)
}

function fits(
  inside: Inside,
  { keptSlot, keySlot }: Settings,
  digest: Uint8Array,
  signature: Uint8Array | undefined,
): boolean {
  if (signature === undefined) {
    return Buffer.compare(inside.eeprom.read(keptSlot, 0, 32), digest) === 0
  }
  requireExecution(hasPublicKeyRoom(keySlot) && !inside.config.keyConfig(keySlot).isPrivate)
  return verifyDigest(publicKeyOf(inside, keySlot), digest, signature)
}

function keep(
  { config, eeprom }: Inside,
  settings: Settings,
  digest: Uint8Array,
  signature: Uint8Array,
): void {
  const { keptSlot } = settings
  requireExecution(!config.slotLocked(keptSlot) && !config.keyConfig(keptSlot).isPrivate)
  const bytes = settings.keeps === keeps.digest ? digest : signature
  requireExecution(slotLength(keptSlot) >= bytes.length)
  eeprom.write(keptSlot, 0, bytes)
}
