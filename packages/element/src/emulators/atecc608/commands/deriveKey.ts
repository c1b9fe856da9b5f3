/**
 * DeriveKey (1C): a slot's key becomes the digest of a parent key and TempKey: its own old key
 * (roll) or that of SlotConfig.WriteKey (create). WriteConfig says which, and whether a MAC is due.
 * Unconfirmed on silicon (U67).
 */
import { headOf, serialMark, sha256, zeros } from '../digests.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { countUse, requireRandomNonce, requireSymmetricKey } from '../policy.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'
import { requireMatchingTempKey } from './mac.ts'

const source = 0x04
const rule = { fromParent: 0x1, allowed: 0x2, needsMac: 0x8 } as const

export function deriveKey(inside: Inside, command: Command): Uint8Array {
  const { mode, param2, data } = command
  requireParse((mode & ~source) === 0 && param2 < 16)
  requireParse(data.length === 0 || data.length === 32)
  const { config, registers, eeprom } = inside
  const { writeConfig, writeKey } = config.slotConfig(param2)
  requireExecution((writeConfig & rule.allowed) !== 0 && !config.slotLocked(param2))
  requireExecution(!config.keyConfig(param2).isPrivate)
  const parent = (writeConfig & rule.fromParent) === 0 ? param2 : writeKey
  const key = requireSymmetricKey(inside, parent)
  requireMatchingTempKey(inside, mode)
  requireRandomNonce(inside, parent)
  const head = [headOf(command), serialMark(inside)]
  if ((writeConfig & rule.needsMac) !== 0) {
    requireExecution(data.length === 32)
    // Under WriteKey also where the key is rolled: who may change it need not know it. Unconfirmed on
    // silicon (U57).
    const expected = sha256(requireSymmetricKey(inside, writeKey), ...head)
    if (Buffer.compare(expected, data) !== 0) throw new Refusal(status.mismatch)
  }
  countUse(inside, parent)
  const derived = sha256(key, ...head, zeros(25), registers.tempKey.lower)
  registers.tempKey.clear()
  eeprom.write(param2, 0, derived)
  return done()
}
