/** The opcodes. HMAC (0x11) is no command of this part: SHA has it in its modes. */
import type { Handler } from '../inside.ts'
import { info } from './info.ts'
import { nonce } from './nonce.ts'
import { random } from './random.ts'
import { read } from './read.ts'

export const handlers: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [0x02, read],
  [0x16, nonce],
  [0x1b, random],
  [0x30, info],
])
