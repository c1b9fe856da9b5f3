/**
 * What the configuration zone says of a slot, as far as the port asks: SlotConfig (bytes 20 to 51),
 * KeyConfig (96 to 127), the lock bytes (86, 87) and the slot locks (88, 89).
 */
import type { SlotUse } from '../../ports.ts'
import { slotLength } from './zones.ts'

const unlocked = 0x55

export interface SlotRules {
  readonly slot: number
  /** A private key of P-256. */
  readonly isKey: boolean
  readonly uses: readonly SlotUse[]
  /** GenKey may make a new key once the data zone is locked. */
  readonly takesGenKey: boolean
  readonly isLocked: boolean
  /** Read in clear by anyone. */
  readonly isReadable: boolean
  /** Written in clear by anyone once the data zone is locked. */
  readonly isWritable: boolean
  readonly size: number
}

export function isConfigLocked(config: Uint8Array): boolean {
  return config[87] !== unlocked
}

export function isDataLocked(config: Uint8Array): boolean {
  return config[86] !== unlocked
}

export function rulesOf(config: Uint8Array, slot: number): SlotRules {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength)
  const slotConfig = view.getUint16(20 + 2 * slot, true)
  const keyConfig = view.getUint16(96 + 2 * slot, true)
  const isPrivate = (keyConfig & 1) !== 0
  const isP256 = ((keyConfig >> 2) & 7) === 4
  const isKey = isPrivate && isP256
  const isSecret = (slotConfig & 0x80) !== 0
  const isEncrypted = (slotConfig & 0x40) !== 0
  return {
    slot,
    isKey,
    uses: isKey ? usesOf(slotConfig) : [],
    // WriteConfig of a private key: bit 13 lets GenKey in.
    takesGenKey: isKey && (slotConfig & 0x2000) !== 0,
    isLocked: (view.getUint16(88, true) & (1 << slot)) === 0,
    isReadable: !isPrivate && !isSecret && !isEncrypted,
    // WriteConfig 0 of any other slot: always, and in clear.
    isWritable: !isPrivate && slotConfig >> 12 === 0,
    size: slotLength(slot),
  }
}

export function allRules(config: Uint8Array): readonly SlotRules[] {
  return Array.from({ length: 16 }, (_, slot) => rulesOf(config, slot))
}

/** ReadKey of a private key says what it may do. Bit 3 would write a secret beside it, not give it. */
function usesOf(slotConfig: number): readonly SlotUse[] {
  const uses: SlotUse[] = []
  if ((slotConfig & 1) !== 0) uses.push('sign')
  if ((slotConfig & 4) !== 0 && (slotConfig & 8) === 0) uses.push('ecdh')
  if ((slotConfig & 2) !== 0) uses.push('attest')
  return uses
}
