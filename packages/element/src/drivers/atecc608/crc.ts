/**
 * The CRC-16 of ATECC608 packets: polynomial 0x8005, register from zero and shifted left, the bits
 * of each input byte from the lowest, no final xor. It stands in a packet low byte first.
 */
const polynomial = 0x8005

export function crc16(bytes: Uint8Array, initial = 0): number {
  let register = initial
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const differs = ((byte >> bit) & 1) !== register >> 15
      register = (register << 1) & 0xffff
      if (differs) register ^= polynomial
    }
  }
  return register
}
