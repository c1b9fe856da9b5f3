/** Value rules of the primitive DER types: pure functions on octets, used by the reader. */
import { ascii, fromUtf8 } from './bytes.ts'
import { derLimits } from './derLimits.ts'
import { tag } from './derTags.ts'

/** X.690 §8.3.2: at least one octet, and the first nine bits are not all equal. */
export function integerMinimal(bytes: Uint8Array, start: number, length: number): boolean {
  if (length === 0) return false
  if (length === 1) return true
  const first = bytes[start] ?? 0
  const second = bytes[start + 1] ?? 0
  return !((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
}

/**
 * Dotted decimal of X.690 §8.19 content octets, or undefined when they are no DER or beyond the
 * limits.
 */
export function oidText(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (start === end || end - start > derLimits.oidOctetsMax) return undefined
  let text = ''
  for (let index = start; index < end; ) {
    // X.690 §8.19.2: no leading zero groups.
    if (bytes[index] === 0x80) return undefined
    const begin = index
    let small = 0
    while (index < end && (bytes[index] ?? 0) >= 0x80) {
      small = small * 128 + ((bytes[index] ?? 0) & 0x7f)
      index++
    }
    if (index === end || index - begin >= derLimits.arcOctetsMax) return undefined
    small = small * 128 + (bytes[index] ?? 0)
    index++
    // 7 groups are 49 bits, exact in a number.
    const arc = index - begin <= 7 ? small : bigArc(bytes, begin, index)
    text = text === '' ? firstArcs(arc) : `${text}.${arc}`
  }
  return text
}

/** X.690 §8.19.4: the first two arcs share one value. */
function firstArcs(value: number | bigint): string {
  if (value < 40) return `0.${value}`
  if (value < 80) return `1.${Number(value) - 40}`
  return `2.${typeof value === 'bigint' ? value - 80n : value - 80}`
}

function bigArc(bytes: Uint8Array, start: number, end: number): bigint {
  let arc = 0n
  for (let index = start; index < end; index++) {
    arc = (arc << 7n) | BigInt((bytes[index] ?? 0) & 0x7f)
  }
  return arc
}

/** Number of bits of a named-bit list in DER (X.690 §11.2.2: the last bit is one), or -1. */
export function bitsCanonical(content: Uint8Array): number {
  const unused = content[0] ?? 8
  if (content.length === 1) return unused === 0 ? 0 : -1
  const last = content.at(-1) ?? 0
  if (unused > 7 || (last & ((1 << unused) - 1)) !== 0 || (last & (1 << unused)) === 0) return -1
  return (content.length - 1) * 8 - unused
}

/**
 * Text of a string type, undefined for a type that is carried undecoded, null for a character
 * outside its alphabet. RFC 5280 §4.1.2.4 lets old certificates keep Teletex, BMP and Universal
 * strings: they are compared as octets.
 */
export function stringText(type: number, content: Uint8Array): string | undefined | null {
  switch (type) {
    case tag.utf8String:
      return utf8OrNull(content)
    case tag.printableString:
      return content.every(isPrintable) ? ascii(content) : null
    case tag.ia5String:
      return content.every((byte) => byte < 0x80) ? ascii(content) : null
    case tag.visibleString:
      return content.every((byte) => byte >= 0x20 && byte < 0x7f) ? ascii(content) : null
    case tag.numericString:
      return content.every((byte) => byte === 0x20 || isDigit(byte)) ? ascii(content) : null
    case tag.bmpString:
      return content.length % 2 === 0 ? undefined : null
    case tag.universalString:
      return content.length % 4 === 0 ? undefined : null
    default:
      return undefined
  }
}

function utf8OrNull(content: Uint8Array): string | null {
  try {
    return fromUtf8(content)
  } catch {
    return null
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** X.680 §41.4: letters, digits, space and ' ( ) + , - . / : = ? */
export function isPrintable(byte: number): boolean {
  const letter = (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
  return letter || isDigit(byte) || " '()+,-./:=?".includes(String.fromCharCode(byte))
}
