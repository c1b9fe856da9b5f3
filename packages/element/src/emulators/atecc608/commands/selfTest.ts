/**
 * SelfTest (77). A test that fails puts the part into its failure state: until it passes, or the
 * next wake, everything but this command and reads of the configuration is answered 07.
 * Unconfirmed on silicon (U45).
 */
import type { Command, Inside } from '../inside.ts'
import { requireParse } from '../status.ts'

/** RNG 01, ECDSA 02, ECDH 08, AES 10, SHA 20. */
export const allTests = 0x3b

/** Runs the tests of the mode and answers the bits of those that failed; mode 0 tells what is failed. */
export function selfTest(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse((mode & ~allTests) === 0 && param2 === 0 && data.length === 0)
  const { registers } = inside
  if (mode === 0) return Uint8Array.of(registers.failedTests)
  const failed = inside.selfTest(mode) & mode
  registers.failedTests = (registers.failedTests & ~mode) | failed
  return Uint8Array.of(failed)
}
