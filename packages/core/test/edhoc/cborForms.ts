/** Every other encoding of what a sequence of CBOR says (RFC 8949 §3, §4.2.1): none is taken here. */
import assert from 'node:assert/strict'
import { concat } from '@countersign/core/codec'

interface Item {
  readonly at: number
  readonly major: number
  readonly argument: number
  readonly headEnd: number
  readonly end: number
}

/** All items of the sequence, also those in others. */
function itemsOf(bytes: Uint8Array): readonly Item[] {
  const items: Item[] = []
  let at = 0
  const walk = (): void => {
    const start = at
    const head = bytes[at++] ?? assert.fail('it ends in an item')
    const [major, short] = [head >> 5, head & 31]
    const size = short < 24 ? 0 : 2 ** (short - 24)
    const argument = size === 0 ? short : number(bytes.subarray(at, at + size))
    at += size
    const headEnd = at
    if (major === 2 || major === 3) at += argument
    for (let left = insideOf(major, argument); left > 0; left--) walk()
    if (major < 7) items.push({ at: start, major, argument, headEnd, end: at })
  }
  while (at < bytes.length) walk()
  return items
}

function insideOf(major: number, argument: number): number {
  if (major === 4) return argument
  if (major === 5) return 2 * argument
  return major === 6 ? 1 : 0
}

/** With one head longer than it need be, or one string, array or map of indefinite length. */
export function* otherForms(bytes: Uint8Array): Generator<readonly [what: string, Uint8Array]> {
  for (const { at, major, argument, headEnd, end } of itemsOf(bytes)) {
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(end)]
    const inside = bytes.subarray(headEnd, end)
    for (const size of [1, 2, 4, 8]) {
      if (size <= headEnd - at - 1) continue
      const head = Uint8Array.of((major << 5) | (24 + Math.log2(size)), ...digits(argument, size))
      yield [`byte ${at}: a head of ${size} more`, concat(before, head, inside, after)]
    }
    if (major < 2 || major > 5) continue
    const open = Uint8Array.of((major << 5) | 31)
    const chunk = major < 4 ? bytes.subarray(at, end) : inside
    const indefinite = concat(before, open, chunk, Uint8Array.of(0xff), after)
    yield [`byte ${at}: of indefinite length`, indefinite]
  }
}

function number(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0)
}

function digits(value: number, size: number): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, index) => Math.floor(value / 256 ** (size - 1 - index)) % 256,
  )
}
