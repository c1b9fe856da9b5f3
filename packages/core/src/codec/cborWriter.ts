/**
 * CBOR writer (RFC 8949), deterministic (§4.2.1). Each function returns the encoding of one item;
 * an array or a map takes those of its elements. A sequence (RFC 8742) is their concatenation.
 *
 * @example cbor.array(cbor.int(-7), cbor.byteString(key)) // 82 26 58 20 …
 */
import { InvariantError } from '../errors.ts'
import { bigEndian, compareBytes, concat, utf8 } from './bytes.ts'

const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5 } as const

export const falseValue: Uint8Array = Uint8Array.of(0xf4)
export const trueValue: Uint8Array = Uint8Array.of(0xf5)
export const nullValue: Uint8Array = Uint8Array.of(0xf6)

/** An integer of either sign, within 53 bits. */
export function int(value: number): Uint8Array {
  const argument = value < 0 ? -1 - value : value
  if (!Number.isSafeInteger(value) || !Number.isSafeInteger(argument)) {
    throw new InvariantError('ERR_CBOR_INT', `${value} is no integer of 53 bits`)
  }
  return head(value < 0 ? major.negative : major.unsigned, argument)
}

export function byteString(content: Uint8Array): Uint8Array {
  return concat(head(major.bytes, content.length), content)
}

export function textString(content: string): Uint8Array {
  const bytes = utf8(content)
  return concat(head(major.text, bytes.length), bytes)
}

export function boolean(value: boolean): Uint8Array {
  return value ? trueValue : falseValue
}

export function array(...items: readonly Uint8Array[]): Uint8Array {
  return concat(head(major.array, items.length), ...items)
}

/** Entries in any order, key and value encoded. The same key twice is a mistake of ours. */
export function map(
  ...entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
): Uint8Array {
  const sorted = entries.toSorted(([one], [other]) => compareBytes(one, other))
  sorted.forEach(([key], index) => {
    const [next] = sorted[index + 1] ?? []
    if (next !== undefined && compareBytes(key, next) === 0) {
      throw new InvariantError('ERR_CBOR_KEY', 'a map has each key once')
    }
  })
  return concat(head(major.map, entries.length), ...sorted.flat())
}

/** The shortest head with this argument. */
function head(type: number, argument: number): Uint8Array {
  const first = type << 5
  if (argument < 24) return Uint8Array.of(first | argument)
  const octets = argument < 0x100 ? 1 : argument < 0x10000 ? 2 : argument < 0x1_0000_0000 ? 4 : 8
  return concat(Uint8Array.of(first | (24 + Math.log2(octets))), bigEndian(argument, octets))
}
