/**
 * Distinguished names (RFC 5280 §4.1.2.4): reading, and the forms people see. The whole TLV is
 * kept, because issuers write it again; attribute values are carried as octets and, for the string
 * types that have one, as text.
 */
import { compareBytes, DerReader, hex, tag } from '../codec/index.ts'
import { attributeOid, attributeShortName } from './oids.ts'
import type { AttributeTypeAndValue, Name } from './types.ts'
import { limitError, syntaxError, x509Limits } from './x509Error.ts'

/** Reads the next element of `from` as a Name. */
export function readName(from: DerReader, field: string): Name {
  const list = from.sequence(field)
  const der = from.bytes.subarray(from.elementStart, from.contentEnd)
  const rdns: (readonly AttributeTypeAndValue[])[] = []
  let attributes = 0
  while (!list.done) {
    const rdn = readRdn(list)
    attributes += rdn.length
    if (attributes > x509Limits.attributesMax) {
      throw limitError(list, `a name of more than ${x509Limits.attributesMax} attributes`)
    }
    rdns.push(rdn)
  }
  return { der, rdns }
}

/** A Name on its own. */
export function parseName(der: Uint8Array): Name {
  const whole = new DerReader(der, 'name', x509Limits.certificateBytesMax)
  const name = readName(whole, 'rdnSequence')
  whole.end()
  return name
}

function readRdn(list: DerReader): readonly AttributeTypeAndValue[] {
  const set = list.set('')
  if (set.done) throw syntaxError(list, 'an empty relative distinguished name')
  const rdn: AttributeTypeAndValue[] = []
  let before: Uint8Array | undefined
  while (!set.done) {
    if (rdn.length === x509Limits.attributesMax) throw limitError(set, 'too many attributes')
    const attribute = set.sequence('')
    const der = set.bytes.subarray(set.elementStart, set.contentEnd)
    // X.690 §11.6, and X.501 §9.3: a set has no element twice.
    if (before !== undefined && compareBytes(before, der) >= 0) {
      throw syntaxError(set, 'SET OF is not sorted, or has an element twice')
    }
    before = der
    rdn.push(readAttribute(attribute))
  }
  return rdn
}

function readAttribute(attribute: DerReader): AttributeTypeAndValue {
  const type = attribute.oid('type')
  const valueTag = attribute.peek()
  const text = readValue(attribute, valueTag)
  const value = attribute.bytes.subarray(attribute.contentStart, attribute.contentEnd)
  // DirectoryString is SIZE (1..MAX) in every choice.
  if (value.length === 0) throw syntaxError(attribute, 'empty value')
  attribute.end()
  return { type, tag: valueTag, value, text }
}

/**
 * Steps over the value and gives its text, if it has one. Types that no attribute of a name uses
 * are refused.
 */
function readValue(attribute: DerReader, valueTag: number): string | undefined {
  switch (valueTag) {
    case tag.utf8String:
    case tag.printableString:
    case tag.ia5String:
    case tag.numericString:
    case tag.visibleString:
    case tag.teletexString:
    case tag.bmpString:
    case tag.universalString:
      return attribute.text(valueTag, 'value')
    // x500UniqueIdentifier
    case tag.bitString:
      attribute.bitString('value')
      return undefined
    // dateOfBirth (RFC 3739 §3.2.2)
    case tag.generalizedTime:
      attribute.generalizedTime('value')
      return undefined
    // postalAddress (RFC 4519 §2.23): carried, never looked into.
    case tag.sequence:
      attribute.next('value')
      return undefined
    default:
      attribute.next('value')
      throw syntaxError(attribute, 'a type of value that names do not have')
  }
}

/** Text of the attribute `type`: undefined when it is absent, stands twice or is no text. */
export function attributeOf(name: Name, type: string): string | undefined {
  const found = name.rdns.flat().filter((attribute) => attribute.type === type)
  return found.length === 1 ? found[0]?.text : undefined
}

/**
 * X520SerialNumber of a subject: what names a device (IEEE 802.1AR §8.6). Absent, double or
 * undecoded: undefined.
 */
export function serialNumberOf(name: Name): string | undefined {
  return attributeOf(name, attributeOid.serialNumber)
}

/**
 * The name as people read it: `CN=Pump 7, O=Example`, in the order of the encoding. For eyes and
 * logs, never for comparing.
 */
export function formatName(name: Name): string {
  if (name.rdns.length === 0) return '(empty name)'
  return name.rdns.map((rdn) => rdn.map(formatAttribute).join(' + ')).join(', ')
}

function formatAttribute(attribute: AttributeTypeAndValue): string {
  const label = attributeShortName.get(attribute.type) ?? attribute.type
  const value =
    attribute.text === undefined ? `#${hex(attribute.value)}` : printable(attribute.text)
  return `${label}=${value}`
}

/**
 * Text from outside, safe in a terminal and a log: controls, line and paragraph separators, bidi
 * and other invisible format characters become \u{…}; the characters that separate the parts of a
 * name get a backslash.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]|[\\,+="<>;#]/gu, (character) =>
    /[\\,+="<>;#]/.test(character)
      ? `\\${character}`
      : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}
