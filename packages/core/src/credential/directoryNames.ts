/**
 * Distinguished names in the form in which they compare (RFC 5280 §7.1): the type of string does
 * not tell names apart, nor do the case of letters, runs of white space and characters that nobody
 * sees (RFC 4518 §2). Made once for each name, so that many comparisons cost no more than
 * comparing. Teletex, BMP and Universal strings are carried undecoded: they equal the same octets
 * only, and whoever excludes a name must not conclude from the octets that one of them is another
 * name.
 */
import { hex, tag } from '../codec/index.ts'
import type { AttributeTypeAndValue, Name } from './types.ts'

/**
 * Longest text that is prepared; a longer one counts as undecoded. The bounds of RFC 5280 Appendix
 * A.1 end far below for all that is in use, and normalization takes the square of a run of
 * combining marks, which strangers may send.
 */
const preparedLengthMax = 256

interface ComparableRdn {
  /** Types and values, in an order that is not the encoding's. */
  readonly key: string
  readonly types: string
  /** It holds a string that we do not decode. */
  readonly opaque: boolean
}

/**
 * Two memories: a judge remembers thousands of leaves by their issuer's name alone, and few names
 * meet a constraint.
 */
const keys = new WeakMap<Name, string>()
const comparables = new WeakMap<Name, readonly ComparableRdn[]>()

/** Equal for names that are the same by RFC 5280 §7.1: what certificates are chained by. */
export function nameKey(name: Name): string {
  const known = keys.get(name)
  if (known !== undefined) return known
  // Nothing in the key of an RDN is escaped, so its length stands before it.
  const key = rdnsOf(name)
    .map((rdn) => `${rdn.key.length}:${rdn.key}`)
    .join('')
  keys.set(name, key)
  return key
}

/**
 * Does the name begin with the base, RDN by RDN? `unclear` where only a string that we do not
 * decode tells them apart.
 */
export function directoryWithin(name: Name, base: Name): boolean | 'unclear' {
  if (base.rdns.length > name.rdns.length) return false
  const inside = comparable(name)
  let unclear = false
  for (const [index, wanted] of comparable(base).entries()) {
    const found = inside[index]
    if (found === undefined || found.types !== wanted.types) return false
    if (found.key === wanted.key) continue
    if (!found.opaque && !wanted.opaque) return false
    unclear = true
  }
  return unclear ? 'unclear' : true
}

function comparable(name: Name): readonly ComparableRdn[] {
  const known = comparables.get(name)
  if (known !== undefined) return known
  const rdns = rdnsOf(name)
  comparables.set(name, rdns)
  return rdns
}

function rdnsOf(name: Name): readonly ComparableRdn[] {
  return name.rdns.map((rdn) => {
    const attributes = rdn.map(comparableAttribute)
    return {
      key: joined(attributes.map(({ key }) => key)),
      types: joined(rdn.map(({ type }) => type)),
      opaque: attributes.some(({ opaque }) => opaque),
    }
  })
}

const undecoded: ReadonlySet<number> = new Set([
  tag.teletexString,
  tag.bmpString,
  tag.universalString,
])

function comparableAttribute(attribute: AttributeTypeAndValue): { key: string; opaque: boolean } {
  const { type, tag: valueTag, value, text } = attribute
  if (text !== undefined && text.length <= preparedLengthMax) {
    return { key: `${type}=${prepared(text)}`, opaque: false }
  }
  const opaque = text !== undefined || undecoded.has(valueTag)
  return { key: `${type}#${valueTag}#${hex(value)}`, opaque }
}

/**
 * One text of several, in the same order whatever the order of the set; lengths first, so that no
 * text can pose as two.
 */
function joined(parts: readonly string[]): string {
  return parts
    .map((part) => `${part.length}:${part}`)
    .toSorted()
    .join('')
}

/** RFC 4518 §2: mapped, folded, compatibility forms joined, runs of white space one. */
function prepared(text: string): string {
  if (/^[!-~]+(?: [!-~]+)*$/.test(text)) return text.toLowerCase()
  // §2.2: control characters that space a text out are a space; those that are not seen are
  // nothing.
  const mapped = text.replace(/[\t-\r\u0085\p{Z}]/gu, ' ').replace(unseen, '')
  // Upper case first: only so one letter may become two, as ß does.
  const folded = mapped.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFC')
  return folded.replace(/ +/g, ' ').trim()
}

const unseen = /[\p{Cc}\p{Cf}\u034f\u180b-\u180d\ufe00-\ufe0f\ufffc]/gu
