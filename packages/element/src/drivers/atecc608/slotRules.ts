/** SlotConfig and KeyConfig: two bytes each for every slot, which say what may be done with it. */
import { elementError } from '@countersign/core/ports'

export interface SlotRules {
  /** The slot of the key that encrypts reads; for a private key its uses, see `privateUses`. */
  readonly readKey: number
  readonly noMac: boolean
  readonly limitedUse: boolean
  readonly encryptRead: boolean
  readonly isSecret: boolean
  readonly writeKey: number
  /**
   * Four bits. Of a private key: 2 allows GenKey, 4 PrivWrite. Of data: 0 is open, 4 wants writes
   * masked and with a MAC, 8 is never after the data lock.
   */
  readonly writeConfig: number
}

/** Of a private key: GenKey is allowed (b13 of SlotConfig). Unconfirmed on silicon (U47). */
export const writeConfigGenKey = 0b0010

export interface PrivateUses {
  readonly signExternal: boolean
  readonly signInternal: boolean
  readonly ecdh: boolean
  /** The secret goes into the slot after this one and not out. */
  readonly ecdhToNextSlot: boolean
}

/** What the ReadKey of a slot with a private key means. */
export function privateUses(rules: SlotRules): PrivateUses {
  const { readKey } = rules
  return {
    signExternal: (readKey & 1) !== 0,
    signInternal: (readKey & 2) !== 0,
    ecdh: (readKey & 4) !== 0,
    ecdhToNextSlot: (readKey & 8) !== 0,
  }
}

export function readSlotRules(short: number): SlotRules {
  return {
    readKey: short & 15,
    noMac: has(short, 4),
    limitedUse: has(short, 5),
    encryptRead: has(short, 6),
    isSecret: has(short, 7),
    writeKey: (short >> 8) & 15,
    writeConfig: (short >> 12) & 15,
  }
}

export function packSlotRules(rules: SlotRules): number {
  return (
    nibble(rules.readKey) |
    flag(rules.noMac, 4) |
    flag(rules.limitedUse, 5) |
    flag(rules.encryptRead, 6) |
    flag(rules.isSecret, 7) |
    (nibble(rules.writeKey) << 8) |
    (nibble(rules.writeConfig) << 12)
  )
}

export interface KeyRules {
  readonly private: boolean
  /** Of a private key: its public key may be computed. Of a public key: it must be validated. */
  readonly pubInfo: boolean
  /** 4 is P-256, 6 AES, 7 anything else. */
  readonly type: number
  readonly lockable: boolean
  readonly reqRandom: boolean
  readonly reqAuth: boolean
  readonly authKey: number
  readonly persistentDisable: boolean
  readonly x509Id: number
  /** Bit 13, which has no meaning that we know. */
  readonly reserved: boolean
}

export const keyTypes = { p256: 4, aes: 6, other: 7 } as const

export function readKeyRules(short: number): KeyRules {
  return {
    private: has(short, 0),
    pubInfo: has(short, 1),
    type: (short >> 2) & 7,
    lockable: has(short, 5),
    reqRandom: has(short, 6),
    reqAuth: has(short, 7),
    authKey: (short >> 8) & 15,
    persistentDisable: has(short, 12),
    x509Id: (short >> 14) & 3,
    reserved: has(short, 13),
  }
}

export function packKeyRules(rules: KeyRules): number {
  return (
    flag(rules.private, 0) |
    flag(rules.pubInfo, 1) |
    (bits(rules.type, 7) << 2) |
    flag(rules.lockable, 5) |
    flag(rules.reqRandom, 6) |
    flag(rules.reqAuth, 7) |
    (nibble(rules.authKey) << 8) |
    flag(rules.persistentDisable, 12) |
    flag(rules.reserved, 13) |
    (bits(rules.x509Id, 3) << 14)
  )
}

function has(short: number, position: number): boolean {
  return ((short >> position) & 1) === 1
}

function flag(set: boolean, position: number): number {
  return set ? 1 << position : 0
}

function nibble(value: number): number {
  return bits(value, 15)
}

function bits(value: number, valueMax: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= valueMax) return value
  throw elementError('ERR_ELEMENT_CONFIG', `a rule of a slot has the value ${value}`, { value })
}
