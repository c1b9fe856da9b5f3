/** Random (1B): 32 bytes. The modes differ in what becomes of the seed, which is not here. */
import type { Command, Inside } from '../inside.ts'
import { requireParse } from '../status.ts'

export function random(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse(mode <= 1 && param2 === 0 && data.length === 0)
  return inside.random(32)
}
