/**
 * DER writer: each function gives one whole element as bytes. One allocation a node; a template
 * concatenates constant bytes with `sequence(...)` and keeps what it can in constants. Callers pass
 * right values: a wrong one is our bug or theirs, never a peer's.
 */
import { CallerError } from '../errors.ts'
import type { Milliseconds } from '../ports.ts'
import { compareBytes, utf8 } from './bytes.ts'
import { contextConstructed, contextPrimitive, tag } from './derTags.ts'
import { isPrintable } from './derValues.ts'

/** An element of this identifier octet whose content is the concatenation of the parts. */
export function element(identifier: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return elementOf(identifier, parts)
}

/** As `element`, of a list that may be too long to be arguments. */
export function elementOf(identifier: number, parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const headerLength = lengthOctets(length) + 1
  const whole = new Uint8Array(headerLength + length)
  writeHeader(whole, 0, identifier, length)
  let offset = headerLength
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** Octets that the length itself takes (X.690 §8.1.3). */
export function lengthOctets(length: number): number {
  if (length < 0x80) return 1
  if (length < 0x100) return 2
  if (length < 0x10000) return 3
  return length < 0x1000000 ? 4 : 5
}

/**
 * Writes identifier and length at `offset`; returns the offset behind them. For those who lay out a
 * large structure themselves.
 */
export function writeHeader(
  into: Uint8Array,
  offset: number,
  identifier: number,
  length: number,
): number {
  const octets = lengthOctets(length)
  into[offset] = identifier
  if (octets === 1) into[offset + 1] = length
  else {
    into[offset + 1] = 0x80 | (octets - 1)
    for (let index = octets - 1, rest = length; index >= 1; index--) {
      into[offset + 1 + index] = rest & 0xff
      rest = Math.floor(rest / 256)
    }
  }
  return offset + 1 + octets
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(tag.sequence, ...parts)
}

/** SET OF: DER sorts the elements (X.690 §11.6). */
export function setOf(...elements: readonly Uint8Array[]): Uint8Array {
  if (elements.length < 2) return element(tag.set, ...elements)
  return element(tag.set, ...elements.toSorted(compareBytes))
}

export function explicit(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return element(contextConstructed(number), ...parts)
}

/** `[n] IMPLICIT` of a primitive type: the content octets under another identifier. */
export function implicitPrimitive(number: number, content: Uint8Array): Uint8Array {
  return element(contextPrimitive(number), content)
}

const derTrue: Uint8Array = Uint8Array.of(tag.boolean, 1, 0xff)
const derFalse: Uint8Array = Uint8Array.of(tag.boolean, 1, 0)

export function boolean(value: boolean): Uint8Array {
  return value ? derTrue : derFalse
}

const derNull: Uint8Array = Uint8Array.of(tag.null, 0)

export function nullValue(): Uint8Array {
  return derNull
}

/** INTEGER of a number from 0 to 2^53-1 or a bigint that is not negative. */
export function integer(value: number | bigint): Uint8Array {
  if (value < 0 || (typeof value === 'number' && !Number.isSafeInteger(value))) {
    throw new CallerError('ERR_DER_WRITE', `INTEGER ${value} is negative or not exact`)
  }
  if (value < 0x80) return Uint8Array.of(tag.integer, 1, Number(value))
  const text = value.toString(16)
  const octets = new Uint8Array(Math.ceil(text.length / 2))
  const even = text.padStart(octets.length * 2, '0')
  for (let index = 0; index < octets.length; index++) {
    octets[index] = Number.parseInt(even.slice(index * 2, index * 2 + 2), 16)
  }
  return unsignedInteger(octets)
}

/**
 * INTEGER of big-endian octets without sign: leading zeros are dropped, one is added where the
 * first bit is set.
 */
export function unsignedInteger(octets: Uint8Array): Uint8Array {
  let start = 0
  while (start < octets.length - 1 && octets[start] === 0) start++
  const rest = start === 0 ? octets : octets.subarray(start)
  if (rest.length === 0) return Uint8Array.of(tag.integer, 1, 0)
  return (rest[0] ?? 0) < 0x80
    ? element(tag.integer, rest)
    : element(tag.integer, Uint8Array.of(0), rest)
}

export function octetString(...parts: readonly Uint8Array[]): Uint8Array {
  return element(tag.octetString, ...parts)
}

const noUnusedBits: Uint8Array = Uint8Array.of(0)

/** BIT STRING of whole octets. */
export function bitString(...parts: readonly Uint8Array[]): Uint8Array {
  return element(tag.bitString, noUnusedBits, ...parts)
}

/**
 * BIT STRING of named bits, given as the numbers of the bits that are one. No zero bit at the end
 * (X.690 §11.2.2).
 */
export function namedBits(bits: readonly number[], identifier: number = tag.bitString): Uint8Array {
  const last = Math.max(-1, ...bits)
  const content = new Uint8Array(1 + Math.floor(last / 8) + 1)
  content[0] = last < 0 ? 0 : 7 - (last % 8)
  for (const bit of bits) {
    const index = 1 + (bit >> 3)
    content[index] = (content[index] ?? 0) | (0x80 >> (bit & 7))
  }
  return element(identifier, content)
}

/** OBJECT IDENTIFIER of dotted decimal. */
export function oid(dotted: string, identifier: number = tag.oid): Uint8Array {
  if (!/^[0-2](?:\.(?:0|[1-9]\d*))+$/.test(dotted)) throw notAnOid(dotted)
  const [root = '', second = '', ...rest] = dotted.split('.')
  if (root !== '2' && (second.length > 2 || Number(second) > 39)) throw notAnOid(dotted)
  // X.690 §8.19.4: the first two arcs share one value.
  const octets: number[] = []
  pushArc(octets, second, Number(root) * 40)
  for (const arc of rest) pushArc(octets, arc, 0)
  return element(identifier, Uint8Array.from(octets))
}

function notAnOid(dotted: string): CallerError {
  return new CallerError('ERR_DER_WRITE', `${dotted} is no OBJECT IDENTIFIER`)
}

/**
 * Appends an arc in base 128. Up to nine digits fit the integers of bit operations; a UUID does
 * not.
 */
function pushArc(octets: number[], arc: string, plus: number): void {
  const groups: number[] = []
  if (arc.length <= 9) {
    let rest = Number(arc) + plus
    do groups.unshift(rest & 0x7f)
    while ((rest >>>= 7) > 0)
  } else {
    let rest = BigInt(arc) + BigInt(plus)
    do groups.unshift(Number(rest & 0x7fn))
    while ((rest >>= 7n) > 0n)
  }
  for (const [index, group] of groups.entries()) {
    octets.push(index < groups.length - 1 ? group | 0x80 : group)
  }
}

export function utf8String(text: string): Uint8Array {
  return element(tag.utf8String, utf8(text))
}

export function printableString(text: string): Uint8Array {
  const octets = utf8(text)
  if (!octets.every(isPrintable)) {
    throw new CallerError('ERR_DER_WRITE', 'a character that PrintableString does not have')
  }
  return element(tag.printableString, octets)
}

export function ia5String(text: string, identifier: number = tag.ia5String): Uint8Array {
  const octets = utf8(text)
  if (octets.some((byte) => byte >= 0x80)) {
    throw new CallerError('ERR_DER_WRITE', 'a character that IA5String does not have')
  }
  return element(identifier, octets)
}

/** 99991231235959Z: no well-defined expiration (RFC 5280 §4.1.2.5). */
export const noExpiration: Milliseconds = 253_402_300_799_000

/**
 * Time of RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime after. Milliseconds are cut off.
 */
export function time(milliseconds: Milliseconds): Uint8Array {
  const text = digits(milliseconds)
  const year = Number(text.slice(0, 4))
  return year >= 1950 && year < 2050
    ? ia5String(`${text.slice(2)}Z`, tag.utcTime)
    : ia5String(`${text}Z`, tag.generalizedTime)
}

/** GeneralizedTime of any year (RFC 5280 §5.3.2). */
export function generalizedTime(milliseconds: Milliseconds): Uint8Array {
  return ia5String(`${digits(milliseconds)}Z`, tag.generalizedTime)
}

function digits(milliseconds: Milliseconds): string {
  if (!(milliseconds >= -62_167_219_200_000 && milliseconds <= noExpiration + 999)) {
    throw new CallerError('ERR_DER_WRITE', `${milliseconds} is outside the years 0000 to 9999`)
  }
  return new Date(milliseconds).toISOString().slice(0, 19).replace(/[-T:]/g, '')
}
