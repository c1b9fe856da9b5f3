/** SHA-256 over parts, and the parts that many messages of this chip have in common. */
import { createHash } from 'node:crypto'
import type { Command, Inside } from './inside.ts'

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

export function zeros(length: number): Uint8Array {
  return new Uint8Array(length)
}

/** Opcode, mode and param2 as they came. */
export function headOf({ opcode, mode, param2 }: Command): Uint8Array {
  return Uint8Array.of(opcode, mode, param2 & 0xff, param2 >> 8)
}

/** SN[8], SN[0:1]: what every chip of the family puts in without being asked. */
export function serialMark({ config }: Inside): Uint8Array {
  const { serial } = config
  return Uint8Array.of(serial[8] ?? 0, serial[0] ?? 0, serial[1] ?? 0)
}

/** `a` under the pad `b`. */
export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, index) => byte ^ (b[index] ?? 0))
}
