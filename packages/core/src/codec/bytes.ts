/**
 * Bytes, their text forms, hex and UTF-8 (RFC 3629), and numbers in network byte order. Strict
 * where bytes come in from outside: no white space, no overlong forms. Core has no Buffer and no
 * TextDecoder, hence these few.
 */
import { PeerError } from '../errors.ts'

export type TextErrorCode = 'ERR_HEX' | 'ERR_BASE64' | 'ERR_UTF8' | 'ERR_PEM'

/** ASCII codes of the sixteen hex digits. */
const hexCodes: Uint8Array = Uint8Array.from({ length: 16 }, (_, digit) =>
  digit < 10 ? 48 + digit : 87 + digit,
)

/** Lower-case hex digits, two a byte, without separators. */
export function hex(bytes: Uint8Array): string {
  const codes = new Uint8Array(bytes.length * 2)
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0
    codes[index * 2] = hexCodes[byte >> 4] ?? 0
    codes[index * 2 + 1] = hexCodes[byte & 15] ?? 0
  }
  return ascii(codes)
}

/** The bytes of hex digits of either case. Throws PeerError ERR_HEX. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0) throw new PeerError('ERR_HEX', 'an odd number of hex digits')
  const bytes = new Uint8Array(text.length / 2)
  for (let index = 0; index < bytes.length; index++) {
    const high = hexValue(text.charCodeAt(index * 2))
    const low = hexValue(text.charCodeAt(index * 2 + 1))
    if (high < 0 || low < 0) {
      throw new PeerError('ERR_HEX', 'a character that is no hex digit', { offset: index * 2 })
    }
    bytes[index] = high * 16 + low
  }
  return bytes
}

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  if (code >= 97 && code <= 102) return code - 87
  if (code >= 65 && code <= 70) return code - 55
  return -1
}

/** UTF-8 of a string. A lone surrogate becomes U+FFFD, as in the encoding standard. */
export function utf8(text: string): Uint8Array {
  const plain = new Uint8Array(text.length)
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code >= 0x80) return encodeUtf8(text)
    plain[index] = code
  }
  return plain
}

function encodeUtf8(text: string): Uint8Array {
  const bytes: number[] = []
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0
    if (point < 0x80) bytes.push(point)
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), tail(point))
    else if (point >= 0xd800 && point <= 0xdfff) bytes.push(0xef, 0xbf, 0xbd)
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), tail(point >> 6), tail(point))
    else bytes.push(0xf0 | (point >> 18), tail(point >> 12), tail(point >> 6), tail(point))
  }
  return Uint8Array.from(bytes)
}

function tail(bits: number): number {
  return 0x80 | (bits & 0x3f)
}

/**
 * Text of UTF-8. Throws PeerError ERR_UTF8 for overlong forms, surrogates, values above U+10FFFF
 * and cut sequences (RFC 3629 §3).
 */
export function fromUtf8(bytes: Uint8Array): string {
  if (bytes.every((byte) => byte < 0x80)) return ascii(bytes)
  let text = ''
  for (let index = 0; index < bytes.length; ) {
    const first = bytes[index] ?? 0
    if (first < 0x80) {
      text += String.fromCharCode(first)
      index++
      continue
    }
    const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
    const least = length === 4 ? 0x10000 : length === 3 ? 0x800 : 0x80
    let point = first & (0xff >> (length + 1))
    for (let more = 1; more < length; more++) {
      const next = bytes[index + more] ?? 0
      if ((next & 0xc0) !== 0x80) throw notUtf8(index)
      point = (point << 6) | (next & 0x3f)
    }
    const surrogate = point >= 0xd800 && point <= 0xdfff
    if (first < 0xc2 || first > 0xf4 || point < least || point > 0x10ffff || surrogate) {
      throw notUtf8(index)
    }
    text += String.fromCodePoint(point)
    index += length
  }
  return text
}

function notUtf8(offset: number): PeerError<TextErrorCode> {
  return new PeerError('ERR_UTF8', 'not UTF-8', { offset })
}

/** Codes that one call converts: its arguments live on the stack. */
const codesMax = 8192

/** One character for each byte, which the caller knows to be below 128. */
export function ascii(bytes: Uint8Array): string {
  if (bytes.length <= codesMax) return characters(bytes)
  const parts: string[] = []
  for (let start = 0; start < bytes.length; start += codesMax) {
    parts.push(characters(bytes.subarray(start, start + codesMax)))
  }
  return parts.join('')
}

/** `apply` takes a typed array as it is; spreading one costs six times as much. */
function characters(codes: Uint8Array): string {
  const text: string = Reflect.apply(String.fromCharCode, undefined, codes)
  return text
}

/** An unsigned number in so many bytes, the most significant first. */
export function bigEndian(value: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = length - 1, rest = value; at >= 0; at--, rest = Math.floor(rest / 256)) {
    bytes[at] = rest % 256
  }
  return bytes
}

/** The unsigned number that these bytes are, exact up to 53 bits. */
export function fromBigEndian(bytes: Uint8Array): number {
  let value = 0
  for (const byte of bytes) value = value * 256 + byte
  return value
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** Same bytes? For public values: stops at the first difference. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

/** Order of DER SET OF (X.690 §11.6): octet by octet, the shorter of two equal beginnings first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length)
  for (let index = 0; index < common; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
