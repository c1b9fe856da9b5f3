/** Bytes in pieces, as a stream brings them. */
import { Dice } from './mutate.ts'

/** Few pieces or many meet different paths; single bytes take long, and come less often. */
const chunkSizes = [2, 64, 64, 200, 200, 1500, 1500, 16_384]

/** The same input is cut in the same places each time. */
export function chunksOf(
  bytes: Uint8Array,
  dice: Dice,
  sizes: readonly number[] = chunkSizes,
): readonly Uint8Array[] {
  const chunks: Uint8Array[] = []
  const most = dice.pick(sizes)
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + dice.below(most)
    chunks.push(bytes.subarray(at, at + length))
    at += length
  }
  return chunks
}

/** FNV-1a: dice that depend on the input alone. */
export function diceOf(input: Uint8Array): Dice {
  let hash = 0x811c_9dc5
  for (const byte of input) hash = Math.imul(hash ^ byte, 0x0100_0193)
  return new Dice(hash)
}
