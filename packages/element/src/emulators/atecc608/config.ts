/**
 * The configuration zone as the commands read it. Nothing is copied: each question looks at the
 * cells as they are now. SlotConfig and KeyConfig are little-endian words.
 */
import type { Eeprom } from './eeprom.ts'
import { at, unlocked } from './layout.ts'

export interface SlotConfig {
  /** For secrets the key of encrypted reads; for private keys the uses, see `privateUse`. */
  readonly readKey: number
  readonly noMac: boolean
  readonly limitedUse: boolean
  readonly encryptRead: boolean
  readonly isSecret: boolean
  readonly writeKey: number
  readonly writeConfig: number
}

/** What ReadKey says when the slot holds a private key. */
export const privateUse = {
  externalSign: 0x1,
  internalSign: 0x2,
  ecdh: 0x4,
  /** The shared secret goes into the slot above, not to the bus. */
  ecdhToSlot: 0x8,
} as const

export interface KeyConfig {
  readonly isPrivate: boolean
  readonly pubInfo: boolean
  readonly keyType: number
  readonly lockable: boolean
  readonly reqRandom: boolean
  readonly reqAuth: boolean
  readonly authKey: number
  readonly persistentDisable: boolean
}

export const keyType = { p256: 4, aes: 6, other: 7 } as const

export class Config {
  readonly #eeprom: Eeprom

  constructor(eeprom: Eeprom) {
    this.#eeprom = eeprom
  }

  byte(offset: number): number {
    return this.#eeprom.byte('config', offset)
  }

  word(offset: number): number {
    return this.byte(offset) | (this.byte(offset + 1) << 8)
  }

  /** SN[0:8]. */
  get serial(): Uint8Array {
    const serial = new Uint8Array(9)
    serial.set(this.#eeprom.read('config', at.serialLow, 4), 0)
    serial.set(this.#eeprom.read('config', at.serialHigh, 5), 4)
    return serial
  }

  /**
   * Any other value than 0x55 is locked, also a cell that lost bits. Unconfirmed on silicon (U15).
   */
  get configLocked(): boolean {
    return this.byte(at.lockConfig) !== unlocked
  }

  /** Of the slots and the one-time zone. */
  get dataLocked(): boolean {
    return this.byte(at.lockValue) !== unlocked
  }

  slotLocked(slot: number): boolean {
    return (this.word(at.slotLocked) & (1 << slot)) === 0
  }

  slotConfig(slot: number): SlotConfig {
    const word = this.word(at.slotConfig + 2 * slot)
    return {
      readKey: word & 0x0f,
      noMac: (word & 0x10) !== 0,
      limitedUse: (word & 0x20) !== 0,
      encryptRead: (word & 0x40) !== 0,
      isSecret: (word & 0x80) !== 0,
      writeKey: (word >> 8) & 0x0f,
      writeConfig: word >> 12,
    }
  }

  keyConfig(slot: number): KeyConfig {
    const word = this.word(at.keyConfig + 2 * slot)
    return {
      isPrivate: (word & 0x01) !== 0,
      pubInfo: (word & 0x02) !== 0,
      keyType: (word >> 2) & 0x07,
      lockable: (word & 0x20) !== 0,
      reqRandom: (word & 0x40) !== 0,
      reqAuth: (word & 0x80) !== 0,
      authKey: (word >> 8) & 0x0f,
      persistentDisable: (word & 0x1000) !== 0,
    }
  }

  get aesEnabled(): boolean {
    return (this.byte(at.aesEnable) & 1) !== 0
  }
}
