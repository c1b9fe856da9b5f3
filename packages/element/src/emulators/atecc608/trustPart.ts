/**
 * A part as it leaves a factory that configures it: both zones locked, the keys made. The
 * configuration is that of the TrustFLEX parts for TLS (ATECC608-TFLXTLS), as host code for them
 * shows it publicly: slot 0 an identity key for good, 1 the attestation key, 2 to 4 keys that GenKey
 * may replace, 6 the I/O protection key, 7 and 15 of secure boot, 8 data, 10 to 12 for certificates,
 * 13 and 14 public keys. That slot 1 attests is unconfirmed on silicon (U49). All private keys want
 * a random nonce where TempKey is folded in. What the vendor writes besides keys (certificates,
 * one-time zone) is not here.
 */
import { blankEeprom } from './blank.ts'
import { drawScalar } from './ecc.ts'
import type { Eeprom } from './eeprom.ts'
import { at, locked } from './layout.ts'

/** The default address of TFLX parts, 7 bits. Unconfirmed on silicon (U2). */
export const trustAddress = 0x36

export interface TrustPartOptions {
  /** Nine bytes, `01 23 .. .. .. .. .. .. 01`. */
  readonly serial: Uint8Array
  readonly i2cAddress?: number
  /** Exactly `length` random bytes. */
  readonly random: (length: number) => Uint8Array
  /** A part for the single wire, of which there is a kind too. */
  readonly swi?: boolean
}

const privateKeySlots = [0, 1, 2, 3, 4] as const

export function trustEeprom({
  serial,
  i2cAddress = trustAddress,
  random,
  swi = false,
}: TrustPartOptions): Eeprom {
  const eeprom = blankEeprom({ serial, revision: 3, i2cAddress, swi })
  // ChipMode: byte 85 may replace the address.
  eeprom.write('config', at.chipMode, Uint8Array.of(0x01))
  eeprom.write('config', at.slotConfig, slotConfigs)
  // The digest of secure boot is kept in slot 7, the public key stands in 15.
  eeprom.write('config', at.secureBoot, Uint8Array.of(0x03, 0xf7, 0x00, 0x69, 0x76))
  // I/O protection and KDF by AES are on, the key of the former is in slot 6.
  eeprom.write('config', at.chipOptions, Uint8Array.of(0x0e, 0x60))
  eeprom.write('config', at.keyConfig, keyConfigs)
  for (const slot of privateKeySlots) {
    eeprom.write(slot, 0, Uint8Array.of(0, 0, 0, 0, ...drawScalar(random)))
  }
  eeprom.write('config', at.lockValue, Uint8Array.of(locked, locked))
  return eeprom
}

// biome-ignore format: a slot each
const slotConfigs = Uint8Array.of(
  0x85, 0x00, 0x82, 0x00, 0x85, 0x20, 0x85, 0x20, 0x85, 0x20, 0x8f, 0x46, 0x8f, 0x0f, 0x9f, 0x8f,
  0x0f, 0x0f, 0x8f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0f, 0x0d, 0x1f, 0x0f, 0x0f,
)
// biome-ignore format: a slot each
const keyConfigs = Uint8Array.of(
  0x53, 0x00, 0x53, 0x00, 0x73, 0x00, 0x73, 0x00, 0x73, 0x00, 0x38, 0x00, 0x7c, 0x00, 0x1c, 0x00,
  0x3c, 0x00, 0x1a, 0x00, 0x3c, 0x00, 0x30, 0x00, 0x3c, 0x00, 0x30, 0x00, 0x12, 0x00, 0x30, 0x00,
)
