/** The session key of encrypted reads and writes: TempKey as Nonce and GenDig have made it. */
import type { Inside } from './inside.ts'
import { requireExecution } from './status.ts'
import { tempKeySource } from './tempKey.ts'

/** Made of the key that the slot names, over the chip's own nonce. It is gone then. */
export function takeSessionKey({ registers }: Inside, slot: number): Uint8Array {
  const { tempKey } = registers
  requireExecution(tempKey.valid && tempKey.genDig && !tempKey.noMac)
  requireExecution(tempKey.keyId === slot && tempKey.source === tempKeySource.random)
  const key = tempKey.lower
  tempKey.clear()
  return key
}
