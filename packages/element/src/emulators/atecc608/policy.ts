/**
 * The rules that SlotConfig and KeyConfig put on the use of a key, whatever the command: prior
 * authorization, a random nonce, the latch, and the counter of limited use.
 */
import type { Inside } from './inside.ts'
import { requireExecution } from './status.ts'
import { tempKeySource } from './tempKey.ts'

/** Before the key or the content of a slot is used by any command but GenKey. */
export function requireKeyUse({ config, registers }: Inside, slot: number): void {
  const { reqAuth, authKey, persistentDisable } = config.keyConfig(slot)
  requireExecution(!reqAuth || registers.authorized === authKey)
  requireExecution(!persistentDisable || registers.latch)
}

/** KeyConfig.ReqRandom: what is in TempKey must have the chip's own randomness in it. */
export function requireRandomNonce({ config, registers }: Inside, slot: number): void {
  const { tempKey } = registers
  requireExecution(
    !config.keyConfig(slot).reqRandom || (tempKey.valid && tempKey.source === tempKeySource.random),
  )
}
