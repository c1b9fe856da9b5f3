/**
 * The configuration zone of an ATECC608, 128 bytes, as fields. What has no field here (the serial
 * and revision that a chip is made with, counters, reserved bits) stays as it was read: writing
 * changes the bits of the fields and no others.
 */
import { concat } from '@countersign/core/codec'
import { type ElementError, elementError } from '@countersign/core/ports'
import { slotCount } from './basics.ts'
import { type ClockMode, clockModeOf } from './commandTable.ts'
import type { KeyRules, SlotRules } from './slotRules.ts'
import { packKeyRules, packSlotRules, readKeyRules, readSlotRules } from './slotRules.ts'
import { configLength } from './zones.ts'

export interface ChipConfig {
  /** SN[0:3] and SN[4:8]; made with the chip. */
  readonly serial: Uint8Array
  /** RevNum; made with the chip. */
  readonly revision: Uint8Array
  readonly aesEnabled: boolean
  /** False: a part for the single wire. */
  readonly i2cEnabled: boolean
  /** 8-bit form, as the byte stands there. */
  readonly i2cAddress: number
  /** The slot whose uses a counter limits, or none. */
  readonly countMatchSlot: number | undefined
  readonly chipMode: ChipModeFields
  readonly slots: readonly SlotRules[]
  readonly keys: readonly KeyRules[]
  readonly useLock: number
  readonly volatileKeyPermission: VolatileKeyPermission
  readonly secureBoot: SecureBootFields
  readonly kdfIvLocation: number
  readonly kdfIvText: Uint8Array
  readonly userExtra: number
  readonly userExtraAdd: number
  readonly dataLocked: boolean
  readonly configLocked: boolean
  /** By slot. */
  readonly slotLocked: readonly boolean[]
  readonly options: ChipOptions
  readonly x509Formats: Uint8Array
  /** As it was read. */
  readonly bytes: Uint8Array
}

export interface ChipModeFields {
  /** The I2C address is UserExtraAdd when that is not zero. */
  readonly addressOverride: boolean
  readonly ttlLevels: boolean
  readonly longWatchdog: boolean
  readonly clock: ClockMode
}

export interface VolatileKeyPermission {
  readonly enabled: boolean
  readonly slot: number
}

export interface SecureBootFields {
  readonly mode: 0 | 1 | 2 | 3
  readonly persist: boolean
  readonly randomNonce: boolean
  readonly digestSlot: number
  readonly publicKeySlot: number
}

export interface ChipOptions {
  readonly powerOnSelfTest: boolean
  readonly ioProtection: boolean
  readonly kdfAes: boolean
  readonly ecdhProtection: 0 | 1 | 2 | 3
  readonly kdfProtection: 0 | 1 | 2 | 3
  readonly ioProtectionSlot: number
}

const at = {
  aes: 13,
  i2cEnable: 14,
  i2cAddress: 16,
  countMatch: 18,
  chipMode: 19,
  slots: 20,
  useLock: 68,
  volatileKey: 69,
  secureBoot: 70,
  kdfIvLocation: 72,
  kdfIvText: 73,
  userExtra: 84,
  userExtraAdd: 85,
  lockData: 86,
  lockConfig: 87,
  slotLocked: 88,
  options: 90,
  x509: 92,
  keys: 96,
} as const

const unlocked = 0x55
const locked = 0x00
const clockBits: Readonly<Record<ClockMode, number>> = { 0: 0x00, 1: 0x28, 2: 0x68 }

/** ERR_ELEMENT_CONFIG for anything but 128 bytes whose locks say one thing or the other. */
export function parseChipConfig(bytes: Uint8Array): ChipConfig {
  if (bytes.length !== configLength) throw wrong(`has ${bytes.length} bytes, not 128`)
  const byte = (offset: number): number => bytes[offset] ?? 0
  const short = (offset: number): number => byte(offset) | (byte(offset + 1) << 8)
  const slots = Array.from({ length: slotCount }, (_, slot) => slot)
  return {
    serial: concat(bytes.subarray(0, 4), bytes.subarray(8, 13)),
    revision: bytes.slice(4, 8),
    aesEnabled: (byte(at.aes) & 1) === 1,
    i2cEnabled: (byte(at.i2cEnable) & 1) === 1,
    i2cAddress: byte(at.i2cAddress),
    countMatchSlot: (byte(at.countMatch) & 1) === 1 ? byte(at.countMatch) >> 4 : undefined,
    chipMode: readChipMode(byte(at.chipMode)),
    slots: slots.map((slot) => readSlotRules(short(at.slots + slot * 2))),
    keys: slots.map((slot) => readKeyRules(short(at.keys + slot * 2))),
    useLock: byte(at.useLock),
    volatileKeyPermission: {
      enabled: (byte(at.volatileKey) & 0x80) !== 0,
      slot: byte(at.volatileKey) & 15,
    },
    secureBoot: readSecureBoot(short(at.secureBoot)),
    kdfIvLocation: byte(at.kdfIvLocation),
    kdfIvText: bytes.slice(at.kdfIvText, at.kdfIvText + 2),
    userExtra: byte(at.userExtra),
    userExtraAdd: byte(at.userExtraAdd),
    dataLocked: readLock('LockValue', byte(at.lockData)),
    configLocked: readLock('LockConfig', byte(at.lockConfig)),
    slotLocked: slots.map((slot) => ((short(at.slotLocked) >> slot) & 1) === 0),
    options: readOptions(short(at.options)),
    x509Formats: bytes.slice(at.x509, at.x509 + 4),
    bytes: bytes.slice(),
  }
}

/** The same 128 bytes with these fields in them. Serial, revision and locks stay as they were. */
export function writeChipConfig(config: ChipConfig): Uint8Array {
  const bytes = config.bytes.slice()
  if (bytes.length !== configLength) throw wrong(`has ${bytes.length} bytes, not 128`)
  const view = new DataView(bytes.buffer)
  const mask8 = (offset: number, mask: number, value: number): void =>
    view.setUint8(offset, (view.getUint8(offset) & ~mask) | checked(value, mask))
  const mask16 = (offset: number, mask: number, value: number): void =>
    view.setUint16(offset, (view.getUint16(offset, true) & ~mask) | checked(value, mask), true)
  mask8(at.aes, 1, bit(config.aesEnabled, 0))
  mask8(at.i2cEnable, 1, bit(config.i2cEnabled, 0))
  mask8(at.i2cAddress, 0xff, config.i2cAddress)
  const { countMatchSlot } = config
  if (countMatchSlot === undefined) mask8(at.countMatch, 1, 0)
  else mask8(at.countMatch, 0xf1, 1 | (countMatchSlot << 4))
  writeChipMode(config.chipMode, mask8, view.getUint8(at.chipMode))
  mask8(at.useLock, 0xff, config.useLock)
  const { enabled, slot } = config.volatileKeyPermission
  mask8(at.volatileKey, 0x8f, bit(enabled, 7) | slot)
  mask16(at.secureBoot, 0xff1b, packSecureBoot(config.secureBoot))
  mask8(at.kdfIvLocation, 0xff, config.kdfIvLocation)
  writeText(bytes, at.kdfIvText, config.kdfIvText, 2)
  mask16(at.options, 0xff07, packOptions(config.options))
  writeText(bytes, at.x509, config.x509Formats, 4)
  requireAll(config.slots)
  requireAll(config.keys)
  for (const [index, rules] of config.slots.entries()) {
    mask16(at.slots + index * 2, 0xffff, packSlotRules(rules))
  }
  for (const [index, rules] of config.keys.entries()) {
    mask16(at.keys + index * 2, 0xffff, packKeyRules(rules))
  }
  return bytes
}

function readChipMode(byte: number): ChipModeFields {
  return {
    addressOverride: (byte & 1) !== 0,
    ttlLevels: (byte & 2) !== 0,
    longWatchdog: (byte & 4) !== 0,
    clock: clockModeOf(byte),
  }
}

function writeChipMode(
  fields: ChipModeFields,
  mask8: (offset: number, mask: number, value: number) => void,
  before: number,
): void {
  const low =
    bit(fields.addressOverride, 0) | bit(fields.ttlLevels, 1) | bit(fields.longWatchdog, 2)
  // A divider that has no name counts as the slowest clock; it stays what it was unless that changes.
  const high = clockModeOf(before) === fields.clock ? before & 0xf8 : clockBits[fields.clock]
  mask8(at.chipMode, 0xff, low | high)
}

function readSecureBoot(short: number): SecureBootFields {
  return {
    mode: twoBits(short),
    persist: (short & 0x08) !== 0,
    randomNonce: (short & 0x10) !== 0,
    digestSlot: (short >> 8) & 15,
    publicKeySlot: short >> 12,
  }
}

function packSecureBoot(fields: SecureBootFields): number {
  const flags = bit(fields.persist, 3) | bit(fields.randomNonce, 4)
  return fields.mode | flags | (fields.digestSlot << 8) | (fields.publicKeySlot << 12)
}

function readOptions(short: number): ChipOptions {
  return {
    powerOnSelfTest: (short & 1) !== 0,
    ioProtection: (short & 2) !== 0,
    kdfAes: (short & 4) !== 0,
    ecdhProtection: twoBits(short >> 8),
    kdfProtection: twoBits(short >> 10),
    ioProtectionSlot: short >> 12,
  }
}

function packOptions(options: ChipOptions): number {
  const { powerOnSelfTest, ioProtection, kdfAes } = options
  const flags = bit(powerOnSelfTest, 0) | bit(ioProtection, 1) | bit(kdfAes, 2)
  const protections = (options.ecdhProtection << 8) | (options.kdfProtection << 10)
  return flags | protections | (options.ioProtectionSlot << 12)
}

function readLock(name: string, byte: number): boolean {
  if (byte === locked) return true
  if (byte === unlocked) return false
  throw wrong(`says neither "locked" nor "open": ${name} is 0x${byte.toString(16)}`)
}

function twoBits(value: number): 0 | 1 | 2 | 3 {
  const bits = value & 3
  return bits === 0 || bits === 1 || bits === 2 ? bits : 3
}

function bit(set: boolean, position: number): number {
  return set ? 1 << position : 0
}

/** A value that has bits outside its field would change another. */
function checked(value: number, mask: number): number {
  if (Number.isInteger(value) && value >= 0 && (value & ~mask) === 0) return value
  throw wrong(`has a field with the value ${value}, which has no room there`)
}

function writeText(bytes: Uint8Array, offset: number, text: Uint8Array, length: number): void {
  if (text.length !== length) throw wrong(`has a field of ${text.length} bytes, not ${length}`)
  bytes.set(text, offset)
}

function requireAll(rules: readonly unknown[]): void {
  if (rules.length !== slotCount) throw wrong(`has rules for ${rules.length} slots, not 16`)
}

function wrong(what: string): ElementError {
  return elementError('ERR_ELEMENT_CONFIG', `the configuration ${what}`)
}
