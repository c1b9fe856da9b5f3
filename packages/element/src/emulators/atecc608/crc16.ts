/**
 * The CRC of packets, replies and locks: polynomial 0x8005, start 0, the bits of each byte from the
 * lowest, the register shifted left, no final exclusive or. On the wire the low byte goes first.
 */
export function crc16(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  let register = seed
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    for (let bit = 0; bit < 8; bit++) {
      const differs = ((byte >> bit) & 1) !== register >> 15
      register = (register << 1) & 0xffff
      if (differs) register ^= 0x8005
    }
  }
  return register
}
