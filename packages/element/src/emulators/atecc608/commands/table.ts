/**
 * The opcodes. HMAC (0x11) is no command of this part: SHA has it in its modes.
 * Unconfirmed on silicon (U18).
 */
import type { Handler } from '../inside.ts'
import { aes } from './aes.ts'
import { counter } from './counter.ts'
import { deriveKey } from './deriveKey.ts'
import { ecdh } from './ecdh.ts'
import { genDig } from './genDig.ts'
import { genKey } from './genKey.ts'
import { info } from './info.ts'
import { kdf } from './kdf.ts'
import { lock } from './lock.ts'
import { checkMac, mac } from './mac.ts'
import { nonce } from './nonce.ts'
import { privWrite } from './privWrite.ts'
import { random } from './random.ts'
import { read } from './read.ts'
import { secureBoot } from './secureBoot.ts'
import { selfTest } from './selfTest.ts'
import { sha } from './sha.ts'
import { sign } from './sign.ts'
import { updateExtra } from './updateExtra.ts'
import { verify } from './verify.ts'
import { write } from './write.ts'

export const handlers: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [0x02, read],
  [0x08, mac],
  [0x12, write],
  [0x15, genDig],
  [0x16, nonce],
  [0x17, lock],
  [0x1b, random],
  [0x1c, deriveKey],
  [0x20, updateExtra],
  [0x24, counter],
  [0x28, checkMac],
  [0x30, info],
  [0x40, genKey],
  [0x41, sign],
  [0x43, ecdh],
  [0x45, verify],
  [0x46, privWrite],
  [0x47, sha],
  [0x51, aes],
  [0x56, kdf],
  [0x77, selfTest],
  [0x80, secureBoot],
])
