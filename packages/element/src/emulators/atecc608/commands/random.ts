/** Random (1B): 32 bytes. Mode 0 makes a new seed first when there is none, mode 1 does not. */
import type { Command, Inside } from '../inside.ts'
import { requireParse } from '../status.ts'

export function random(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse(mode <= 1 && param2 === 0 && data.length === 0)
  if (mode === 0) inside.registers.seeded = true
  return inside.random(32)
}
