/** Counter (24): reads (0) or increments (1) one of two counters; four bytes, little-endian. */
import { incrementCounter, readCounter } from '../counters.ts'
import type { Command, Inside } from '../inside.ts'
import { requireExecution, requireParse } from '../status.ts'

export function counter(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse(mode <= 1 && param2 <= 1 && data.length === 0)
  requireExecution(inside.config.configLocked)
  const value = mode === 0 ? readCounter(inside, param2) : incrementCounter(inside, param2)
  const answer = Buffer.alloc(4)
  answer.writeUInt32LE(value)
  return answer
}
