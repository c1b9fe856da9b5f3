/**
 * Results encrypted between chip and host: under the IO protection key, a slot that ChipOptions
 * names, and a nonce that the chip adds to its answer.
 */
import { sha256, xor } from './digests.ts'
import type { Inside } from './inside.ts'
import { symmetricKeyOf } from './keys.ts'
import { at } from './layout.ts'
import { requireExecution } from './status.ts'

/** ChipOptions bit 1 allows it, 15:12 is the slot. */
export function requireIoKey(inside: Inside): Uint8Array {
  const options = inside.config.word(at.chipOptions)
  requireExecution(inside.config.dataLocked && (options & 0x2) !== 0)
  return symmetricKeyOf(inside, options >> 12)
}

/** The bytes encrypted, then a nonce of 32: its halves make the pads of the first two blocks. */
export function encryptOutput(inside: Inside, bytes: Uint8Array): Uint8Array {
  const key = requireIoKey(inside)
  const nonce = inside.random(32)
  const answer = new Uint8Array(bytes.length + nonce.length)
  for (let block = 0; 32 * block < bytes.length; block++) {
    const pad = sha256(key, nonce.subarray(16 * block, 16 * block + 16))
    answer.set(xor(bytes.subarray(32 * block, 32 * block + 32), pad), 32 * block)
  }
  answer.set(nonce, bytes.length)
  return answer
}

/** The two bits of ChipOptions for ECDH (9:8) and KDF (11:10). Unconfirmed on silicon (U72). */
export const protection = { clear: 0, encrypted: 1, inside: 2, tempKeyOnly: 3 } as const

export type Destination = 'clear' | 'encrypted' | 'slot' | 'tempKey'

export function requireDestination(inside: Inside, shift: 8 | 10, to: Destination): void {
  const level = (inside.config.word(at.chipOptions) >> shift) & 3
  requireExecution(to !== 'clear' || level === protection.clear)
  requireExecution(to !== 'encrypted' || level <= protection.encrypted)
  requireExecution(to !== 'slot' || level <= protection.inside)
}
