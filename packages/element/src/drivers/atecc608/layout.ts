/**
 * "countersign-1": how we configure an ATECC608 that comes blank. Three slots for identities, so
 * that a renewal makes its key beside the one in use; a key that only attests; a key that only
 * agrees; secrets that never come out; room for certificates and public keys.
 *
 * | slot | holds | rules |
 * | 0, 2, 4 | identity keys | external signatures, ECDH, GenKey any time |
 * | 1 | attestation key | internal signatures only; no GenKey after the data lock |
 * | 3 | agreement key | ECDH only, GenKey any time |
 * | 5, 7 | secrets (HMAC, KDF) | written before the data lock, never read |
 * | 6 | AES key | the same |
 * | 8 | certificate of the attestation key | 416 bytes, open |
 * | 9 to 12, 15 | data | 72 bytes each, open |
 * | 13, 14 | public keys | open |
 */

export const layoutName = 'countersign-1'

export const attestationSlot = 1
export const certificateSlot = 8

interface SlotRule {
  readonly slotConfig: number
  readonly keyConfig: number
}

// SlotConfig of a private key: bits 3:0 say what it may do (1 external, 2 internal signatures, 4
// ECDH), bit 7 that it is secret, bit 13 that GenKey may replace it: unconfirmed on
// silicon (U47).
// KeyConfig: bit 0 private, bit 1 the public key may be asked for, bits 4:2 P-256, bit 5 lockable.
const identity: SlotRule = { slotConfig: 0x2085, keyConfig: 0x0033 }
const attestation: SlotRule = { slotConfig: 0x0082, keyConfig: 0x0013 }
const agreement: SlotRule = { slotConfig: 0x2084, keyConfig: 0x0033 }
// Bits 15:12 of a slot that holds no private key: 8 is never written after the data lock. Bits 3:0
// (ReadKey) are not 0: that would let a CheckMac copy the secret into TempKey.
const secret: SlotRule = { slotConfig: 0x808f, keyConfig: 0x001c }
const aesKey: SlotRule = { slotConfig: 0x808f, keyConfig: 0x0018 }
const open: SlotRule = { slotConfig: 0x0000, keyConfig: 0x003c }
const publicKey: SlotRule = { slotConfig: 0x0000, keyConfig: 0x0030 }

const rules: readonly SlotRule[] = [
  identity,
  attestation,
  identity,
  agreement,
  identity,
  secret,
  aesKey,
  secret,
  open,
  open,
  open,
  open,
  open,
  publicKey,
  publicKey,
  open,
]

/**
 * The 128 bytes of the configuration zone as this layout wants them. What the part brings stays:
 * serial, revision, I2C address (byte 16), and what no Write reaches (bytes 84 to 89).
 */
export function wantedConfig(found: Uint8Array): Uint8Array {
  const wanted = found.slice()
  const view = new DataView(wanted.buffer)
  // CountMatch and ChipMode: no use counter; watchdog of 1.3 s, the fastest clock.
  wanted.fill(0, 17, 20)
  // UseLock, VolatileKeyPermission, SecureBoot, KDF, reserved: off.
  wanted.fill(0, 68, 84)
  // ChipOptions and X509format: off.
  wanted.fill(0, 90, 96)
  rules.forEach(({ slotConfig, keyConfig }, slot) => {
    view.setUint16(20 + 2 * slot, slotConfig, true)
    view.setUint16(96 + 2 * slot, keyConfig, true)
  })
  return wanted
}

/** Bytes 52 to 67 count: they are never compared, and written as the part brings them. */
export function isComparable(at: number): boolean {
  return at < 52 || at >= 68
}
