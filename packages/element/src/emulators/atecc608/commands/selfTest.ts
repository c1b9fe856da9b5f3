/** SelfTest (77): an emulator has nothing that breaks. */
import type { Command, Inside } from '../inside.ts'
import { requireParse } from '../status.ts'

/** RNG 01, ECDSA 02, ECDH 08, AES 10, SHA 20; the bits of what failed are answered: never any. */
export function selfTest(_inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse((mode & ~0x3b) === 0 && param2 === 0 && data.length === 0)
  return Uint8Array.of(0)
}
