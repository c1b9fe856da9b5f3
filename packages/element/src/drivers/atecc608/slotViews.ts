/**
 * What the configuration zone says of a slot, as far as the port asks: SlotConfig (bytes 20 to 51),
 * KeyConfig (96 to 127), the lock bytes (86, 87) and the slot locks (88, 89).
 */
import type { SlotUse } from '../../ports.ts'
import {
  keyTypes,
  type PrivateUses,
  privateUses,
  readKeyRules,
  readSlotRules,
  writeConfigGenKey,
} from './slotRules.ts'
import { slotLength } from './zones.ts'

const unlocked = 0x55

export interface SlotView {
  readonly slot: number
  /** A private key of P-256. */
  readonly isKey: boolean
  readonly uses: readonly SlotUse[]
  /** GenKey may make a new key once the data zone is locked. */
  readonly takesGenKey: boolean
  /** What is made of the key and TempKey wants a number of the chip in TempKey. */
  readonly wantsRandom: boolean
  readonly isLocked: boolean
  /** The public key of a private one may be asked for. */
  readonly tellsPublicKey: boolean
  /** Its uses are counted, and end. */
  readonly isCounted: boolean
  /** It is off until a latch is set. */
  readonly isLatched: boolean
  /** Uses hang on more than the rules above: a random nonce, another key, a count, a latch. */
  readonly isConditional: boolean
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

export function rulesOf(config: Uint8Array, slot: number): SlotView {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength)
  const rules = readSlotRules(view.getUint16(20 + 2 * slot, true))
  const key = readKeyRules(view.getUint16(96 + 2 * slot, true))
  const isKey = key.private && key.type === keyTypes.p256
  return {
    slot,
    isKey,
    uses: isKey ? usesOf(privateUses(rules)) : [],
    takesGenKey: isKey && (rules.writeConfig & writeConfigGenKey) !== 0,
    wantsRandom: key.reqRandom,
    tellsPublicKey: isKey && key.pubInfo,
    isCounted: rules.limitedUse,
    isLatched: key.persistentDisable,
    isConditional: key.reqRandom || key.reqAuth || key.persistentDisable || rules.limitedUse,
    isLocked: (view.getUint16(88, true) & (1 << slot)) === 0,
    isReadable: !key.private && !rules.isSecret && !rules.encryptRead,
    // WriteConfig 0 of any other slot: always, and in clear.
    isWritable: !key.private && rules.writeConfig === 0,
    size: slotLength(slot),
  }
}

export function allRules(config: Uint8Array): readonly SlotView[] {
  return Array.from({ length: 16 }, (_, slot) => rulesOf(config, slot))
}

function usesOf({ signExternal, ecdh, ecdhToNextSlot, signInternal }: PrivateUses): SlotUse[] {
  const uses: SlotUse[] = []
  if (signExternal) uses.push('sign')
  // A secret that goes into the slot beside it is none for a host.
  if (ecdh && !ecdhToNextSlot) uses.push('ecdh')
  if (signInternal) uses.push('attest')
  return uses
}
