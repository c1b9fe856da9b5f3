/**
 * PrivWrite (46): a private key from outside into a slot: in clear until the data zone is locked,
 * afterwards encrypted under TempKey with a MAC, where WriteConfig allows that.
 * Unconfirmed on silicon (U20, U66, U67).
 */
import { keyType } from '../config.ts'
import { headOf, serialMark, sha256, xor, zeros } from '../digests.ts'
import { isScalar } from '../ecc.ts'
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { writePrivateKey } from '../keys.ts'
import { requireAuthorized } from '../policy.ts'
import { takeSessionKey } from '../sessionKey.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'

const encrypted = 0x40
/**
 * WriteConfig bit 2 (b14 of SlotConfig): encrypted PrivWrite is allowed. Unconfirmed on silicon
 * (U47).
 */
const mayWrite = 0x4
/** Four bytes of padding and the scalar. */
const keyLength = 36

export function privWrite(inside: Inside, command: Command): Uint8Array {
  const { mode, param2, data } = command
  requireParse((mode & ~encrypted) === 0 && param2 < 16 && data.length === keyLength + 32)
  const { config } = inside
  const { isPrivate, keyType: type } = config.keyConfig(param2)
  requireExecution(config.configLocked && !config.slotLocked(param2))
  requireExecution(isPrivate && type === keyType.p256)
  requireAuthorized(inside, param2)
  const secret = (mode & encrypted) !== 0
  // The MAC of a clear write is not looked at. Unconfirmed on silicon (U69).
  requireExecution(secret || !config.dataLocked)
  requireExecution(!config.dataLocked || (config.slotConfig(param2).writeConfig & mayWrite) !== 0)
  const bytes = secret ? decrypted(inside, command) : data.subarray(0, keyLength)
  const scalar = bytes.subarray(4)
  if (!isScalar(scalar)) throw new Refusal(status.ecc)
  writePrivateKey(inside, param2, scalar)
  return done()
}

function decrypted(inside: Inside, command: Command): Uint8Array {
  const { param2, data } = command
  const key = takeSessionKey(inside, inside.config.slotConfig(param2).writeKey)
  const bytes = xor(data.subarray(0, keyLength), Buffer.concat([key, sha256(key)]))
  const mac = sha256(key, headOf(command), serialMark(inside), zeros(21), bytes)
  if (Buffer.compare(mac, data.subarray(keyLength)) !== 0) throw new Refusal(status.mismatch)
  return bytes
}
