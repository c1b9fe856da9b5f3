/**
 * The longest that each command may take, in milliseconds, for the three clocks of ChipMode. Where
 * the public lists have one number, the clock makes no difference. Unconfirmed on silicon (U75),
 * and DeriveKey is in none of them.
 */
type Times = readonly [m0: number, m1: number, m2: number]

function same(ms: number): Times {
  return [ms, ms, ms]
}

const times: ReadonlyMap<number, Times> = new Map<number, Times>([
  [0x02, same(5)], // Read
  [0x08, same(55)], // MAC
  [0x12, same(45)], // Write
  [0x15, [25, 35, 35]], // GenDig
  [0x16, same(20)], // Nonce
  [0x17, same(35)], // Lock
  [0x1b, same(23)], // Random
  [0x1c, same(50)], // DeriveKey
  [0x20, same(10)], // UpdateExtra
  [0x24, same(25)], // Counter
  [0x28, same(40)], // CheckMac
  [0x30, same(5)], // Info
  [0x40, [115, 215, 653]], // GenKey
  [0x41, [115, 220, 665]], // Sign
  [0x43, [75, 172, 531]], // ECDH
  [0x45, [105, 295, 1085]], // Verify
  [0x46, same(50)], // PrivWrite
  [0x47, [36, 42, 75]], // SHA
  [0x51, same(27)], // AES
  [0x56, same(165)], // KDF
  [0x77, [250, 625, 2324]], // SelfTest
  [0x80, [80, 160, 480]], // SecureBoot
])

/**
 * How long the chip is busy with a packet that it does not understand or has no time for. Unconfirmed
 * on silicon (U76).
 */
export const parseMs = 1

export function executionMs(opcode: number | undefined, chipMode: number): number {
  const known = opcode === undefined ? undefined : times.get(opcode)
  return known?.[clockOf(chipMode)] ?? parseMs
}

/** ChipMode bits 7:3: 0x28 is M1, 0x68 M2; any other value M0, unconfirmed on silicon (U77). */
function clockOf(chipMode: number): 0 | 1 | 2 {
  const divider = chipMode & 0xf8
  if (divider === 0x28) return 1
  return divider === 0x68 ? 2 : 0
}
