/**
 * AES-128 inside: one block at a time, with a key of 16 bytes out of a slot or TempKey. What is
 * longer than a block is composed in aesModes.ts and its neighbours.
 */
import { concat } from '@countersign/core/codec'
import type { BlockFunction, FieldMultiply } from './aesModes.ts'
import { requireSlot } from './basics.ts'
import { ephemeralKey, requireLength } from './keys.ts'
import type { CommandLine } from './session.ts'

export interface AesKey {
  /** A slot, or TempKey. */
  readonly at: number | 'tempKey'
  /** Which 16 bytes of it. */
  readonly part?: 0 | 1 | 2 | 3
}

const modes = { encrypt: 0x00, decrypt: 0x01, multiply: 0x03 } as const

export function aesEncrypt(line: CommandLine, key: AesKey): BlockFunction {
  return (block) => aesBlock(line, modes.encrypt, key, block)
}

export function aesDecrypt(line: CommandLine, key: AesKey): BlockFunction {
  return (block) => aesBlock(line, modes.decrypt, key, block)
}

function aesBlock(
  line: CommandLine,
  mode: number,
  key: AesKey,
  block: Uint8Array,
): Promise<Uint8Array> {
  requireLength('a block of AES', block, 16)
  const { at, part = 0 } = key
  return line.run({
    name: 'AES',
    param1: mode | (part << 6),
    param2: at === 'tempKey' ? ephemeralKey : requireSlot(at),
    data: block,
    answer: 16,
    repeat: at === 'tempKey' ? 'sequence' : 'alone',
  })
}

/** The multiplication of GCM, done by the chip. */
export function aesMultiply(line: CommandLine): FieldMultiply {
  return (h, x) =>
    line.run({
      name: 'AES',
      param1: modes.multiply,
      param2: 0,
      data: concat(h, x),
      answer: 16,
      repeat: 'alone',
    })
}
