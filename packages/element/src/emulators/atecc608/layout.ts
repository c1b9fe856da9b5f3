/** Where things are in the non-volatile memory of an ATECC608. */

export const slotCount = 16
export const blockLength = 32
export const wordLength = 4

export const configLength = 128
export const otpLength = 64

/** Slots 0 to 7 have room for a private key, 8 for a certificate, the others for a public key. */
export function slotLength(slot: number): number {
  if (slot < 8) return 36
  return slot === 8 ? 416 : 72
}

/** Offsets in the configuration zone. */
export const at = {
  serialLow: 0,
  revision: 4,
  serialHigh: 8,
  aesEnable: 13,
  i2cEnable: 14,
  i2cAddress: 16,
  countMatch: 18,
  chipMode: 19,
  slotConfig: 20,
  counters: 52,
  useLock: 68,
  volatileKeyPermission: 69,
  secureBoot: 70,
  kdfIvLocation: 72,
  kdfIvString: 73,
  userExtra: 84,
  userExtraAddress: 85,
  lockValue: 86,
  lockConfig: 87,
  slotLocked: 88,
  chipOptions: 90,
  x509Format: 92,
  keyConfig: 96,
} as const

export const unlocked = 0x55
export const locked = 0x00
