/**
 * DER reader (X.690 §8, §10, §11): a cursor over the input, zero copy, without a tree and without
 * recursion of its own. Exact: definite minimal lengths, single-byte tags, canonical values;
 * whoever reads a structure ends it with `end()`, so that nothing trails. Every failure is a
 * PeerError that names the offset in the whole input and the path of fields. Leaves out: indefinite
 * lengths, tag numbers above 30, REAL, and all else that X.509, CMS and PKCS#10 do not use.
 */
import { PeerError } from '../errors.ts'
import { type DerErrorCode, derHints, derLimits } from './derLimits.ts'
import { contextConstructed, tag } from './derTags.ts'
import { parseTime } from './derTime.ts'
import { bitsCanonical, integerMinimal, oidText, stringText } from './derValues.ts'

export class DerReader {
  /** The whole input: offsets in errors count from its start. */
  readonly bytes: Uint8Array
  /** Content of the element read last. Numbers, so that a hot loop makes no views. */
  contentStart = 0
  contentEnd = 0
  /** Start of the identifier of the element read last. */
  elementStart = 0
  private position: number
  private limit: number
  private readonly depth: number
  private readonly name: string
  private readonly parent: DerReader | undefined

  /**
   * `name` begins the path in errors: `certificate`, `csr`. `sizeMax` is the caller's limit, with
   * its reason there.
   */
  constructor(
    bytes: Uint8Array,
    name: string,
    sizeMax: number = derLimits.sizeMax,
    inside?: Inside,
  ) {
    this.bytes = bytes
    this.name = name
    this.position = inside?.start ?? 0
    this.limit = inside?.end ?? bytes.length
    this.parent = inside?.parent
    this.depth = inside === undefined ? 0 : inside.parent.depth + 1
    if (bytes.length > sizeMax) {
      throw this.error(
        'ERR_DER_SIZE',
        `${bytes.length} bytes are more than the limit of ${sizeMax}`,
      )
    }
    // Every parser here nests by its own grammar, so the limit is a second line behind that.
    if (this.depth > derLimits.depthMax) throw this.error('ERR_DER_DEPTH', 'nested too deep')
  }

  /** Nothing is left in this element. */
  get done(): boolean {
    return this.position >= this.limit
  }

  /** Identifier octet of the next element; -1 at the end. */
  peek(): number {
    return this.position < this.limit ? (this.bytes[this.position] ?? -1) : -1
  }

  /**
   * Steps over the next element of any type; its content is `contentStart` to `contentEnd`. Returns
   * the identifier octet.
   */
  next(field: string): number {
    const { bytes } = this
    const start = this.position
    if (this.limit - start < 2)
      throw this.error('ERR_DER_TRUNCATED', 'element is missing or cut', field)
    const identifier = bytes[start] ?? 0
    if ((identifier & 0x1f) === 0x1f) {
      throw this.error('ERR_DER_TAG', 'tag numbers above 30 are not used here', field)
    }
    // X.690 §8.1.2.4.3 and §8.1.5: zero is end-of-contents, which a definite length never needs.
    if (identifier === 0) throw this.error('ERR_DER_TAG', 'tag zero', field)
    const first = bytes[start + 1] ?? 0
    let content = start + 2
    let length = first
    if (first >= 0x80) {
      const octets = first & 0x7f
      length = this.longLength(content, octets, field)
      content += octets
    }
    if (length > this.limit - content) {
      throw this.error('ERR_DER_TRUNCATED', `length ${length} runs over the end`, field)
    }
    this.elementStart = start
    this.contentStart = content
    this.contentEnd = content + length
    this.position = this.contentEnd
    return identifier
  }

  private longLength(start: number, octets: number, field: string): number {
    if (octets === 0) throw this.error('ERR_DER_LENGTH', 'indefinite length', field)
    // Four octets reach beyond every size limit.
    if (octets > 4) throw this.error('ERR_DER_LENGTH', `length of ${octets} octets`, field)
    if (this.limit - start < octets) throw this.error('ERR_DER_TRUNCATED', 'length is cut', field)
    let length = 0
    for (let index = 0; index < octets; index++) {
      length = length * 256 + (this.bytes[start + index] ?? 0)
    }
    // X.690 §10.1: the fewest octets.
    if (length < 0x80 || length < 256 ** (octets - 1)) {
      throw this.error('ERR_DER_LENGTH', 'length is not in its shortest form', field)
    }
    return length
  }

  /** Steps over the next element, which must have this identifier octet. */
  expect(identifier: number, field: string): void {
    const found = this.peek()
    if (found !== identifier && found !== -1) {
      throw this.error(
        'ERR_DER_TAG',
        `expected tag ${octet(identifier)}, found ${octet(found)}`,
        field,
      )
    }
    this.next(field)
  }

  /** Content of the next element. */
  content(identifier: number, field: string): Uint8Array {
    this.expect(identifier, field)
    return this.bytes.subarray(this.contentStart, this.contentEnd)
  }

  /** The whole next element; with an identifier octet, only that one is taken. */
  tlv(field: string, identifier?: number): Uint8Array {
    if (identifier === undefined) this.next(field)
    else this.expect(identifier, field)
    return this.bytes.subarray(this.elementStart, this.contentEnd)
  }

  /**
   * A reader inside the next element: SEQUENCE, SET, an explicit tag, or DER in an OCTET STRING.
   */
  enter(identifier: number, field: string): DerReader {
    this.expect(identifier, field)
    return this.inside(field)
  }

  /** A reader inside the element read last. */
  inside(field: string): DerReader {
    const inside = { start: this.contentStart, end: this.contentEnd, parent: this }
    return new DerReader(this.bytes, field, this.bytes.length, inside)
  }

  /**
   * Aims `reader`, made here by `inside` or `enter`, at the element read last: one reader for all
   * the entries of a long list.
   */
  aim(reader: DerReader): void {
    reader.position = this.contentStart
    reader.limit = this.contentEnd
  }

  /** As `enter`, or undefined when the next element is another one: an OPTIONAL field. */
  enterOptional(identifier: number, field: string): DerReader | undefined {
    return this.peek() === identifier ? this.enter(identifier, field) : undefined
  }

  sequence(field: string): DerReader {
    return this.enter(tag.sequence, field)
  }

  set(field: string): DerReader {
    return this.enter(tag.set, field)
  }

  explicit(number: number, field: string): DerReader | undefined {
    return this.enterOptional(contextConstructed(number), field)
  }

  /** Nothing may be left. */
  end(): void {
    if (!this.done) {
      throw this.error('ERR_DER_TRAILING', `${this.limit - this.position} bytes too many`)
    }
  }

  /** X.690 §11.1: TRUE is FF. */
  boolean(field: string, identifier: number = tag.boolean): boolean {
    this.expect(identifier, field)
    const value = this.bytes[this.contentStart]
    if (this.contentEnd - this.contentStart !== 1 || (value !== 0 && value !== 0xff)) {
      throw this.bad('not a DER BOOLEAN', field)
    }
    return value === 0xff
  }

  /** BOOLEAN DEFAULT FALSE. X.690 §11.5: a value equal to the default is not encoded. */
  booleanDefaultFalse(field: string, identifier: number = tag.boolean): boolean {
    if (this.peek() !== identifier) return false
    if (!this.boolean(field, identifier)) throw this.bad('DEFAULT FALSE is written out', field)
    return true
  }

  /** Content octets of an INTEGER in its shortest form (X.690 §8.3.2), of either sign. */
  integer(field: string, octetsMax: number, identifier: number = tag.integer): Uint8Array {
    this.skipInteger(field, octetsMax, identifier)
    return this.bytes.subarray(this.contentStart, this.contentEnd)
  }

  /** Checks an INTEGER as `integer` does, without a view of it. */
  skipInteger(field: string, octetsMax: number, identifier: number = tag.integer): void {
    this.expect(identifier, field)
    const length = this.contentEnd - this.contentStart
    if (length > octetsMax) throw this.bad(`INTEGER of more than ${octetsMax} octets`, field)
    if (!integerMinimal(this.bytes, this.contentStart, length)) {
      throw this.bad('INTEGER is empty or not in its shortest form', field)
    }
  }

  /** An INTEGER from 0 to `max`, at most 2^31-1. */
  smallInteger(field: string, max: number, identifier: number = tag.integer): number {
    let value = 0
    const octets = this.integer(field, 5, identifier)
    for (const byte of octets) value = value * 256 + byte
    if ((octets[0] ?? 0) >= 0x80 || value > max) {
      throw this.bad(`not an INTEGER from 0 to ${max}`, field)
    }
    return value
  }

  /** An INTEGER that is not negative. */
  unsignedBig(field: string, octetsMax: number, identifier: number = tag.integer): bigint {
    const octets = this.integer(field, octetsMax, identifier)
    if ((octets[0] ?? 0) >= 0x80) throw this.bad('INTEGER is negative', field)
    let value = 0n
    for (const byte of octets) value = (value << 8n) | BigInt(byte)
    return value
  }

  oid(field: string, identifier: number = tag.oid): string {
    this.expect(identifier, field)
    const text = oidText(this.bytes, this.contentStart, this.contentEnd)
    if (text === undefined) throw this.bad('not a DER OBJECT IDENTIFIER', field)
    return text
  }

  null(field: string): void {
    this.expect(tag.null, field)
    if (this.contentEnd !== this.contentStart) throw this.bad('NULL with content', field)
  }

  octetString(field: string, identifier: number = tag.octetString): Uint8Array {
    return this.content(identifier, field)
  }

  /** BIT STRING of whole octets: keys and signatures. */
  bitStringOctets(field: string, identifier: number = tag.bitString): Uint8Array {
    const content = this.content(identifier, field)
    if (content[0] !== 0) throw this.bad('BIT STRING is not of whole octets', field)
    return content.subarray(1)
  }

  /**
   * BIT STRING with named bits: bit 0 of the list is bit 0 of the result. X.690 §11.2: no unused
   * bit set, no zero bit at the end.
   */
  namedBits(field: string, bitsMax: number, identifier: number = tag.bitString): number {
    const content = this.content(identifier, field)
    const bits = bitsCanonical(content)
    if (bits < 0 || bits > bitsMax) throw this.bad('not a DER BIT STRING of named bits', field)
    let value = 0
    for (let bit = 0; bit < bits; bit++) {
      if (((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) value |= 1 << bit
    }
    return value
  }

  /** BIT STRING of any length, checked and not interpreted. */
  bitString(field: string, identifier: number = tag.bitString): Uint8Array {
    const content = this.content(identifier, field)
    const unused = content[0] ?? 8
    const last = content.length === 1 ? 0 : (content.at(-1) ?? 0)
    const tooMany = unused > 7 || (content.length === 1 && unused !== 0)
    if (tooMany || (last & ((1 << unused) - 1)) !== 0) throw this.bad('not a DER BIT STRING', field)
    return content
  }

  /**
   * Text of a string type by its alphabet; undefined for the types that are carried undecoded
   * (Teletex, BMP, Universal).
   */
  text(type: number, field: string, identifier: number = type): string | undefined {
    const content = this.content(identifier, field)
    const text = stringText(type, content)
    if (text === null) throw this.bad('a character outside the alphabet of its string type', field)
    return text
  }

  /** IA5String, also under an implicit tag. */
  ia5(field: string, identifier: number = tag.ia5String): string {
    return this.text(tag.ia5String, field, identifier) ?? ''
  }

  /**
   * Time of RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on; both end in
   * seconds and Z.
   */
  time(field: string): number {
    const identifier = this.peek()
    if (identifier !== tag.generalizedTime) this.expect(tag.utcTime, field)
    else this.next(field)
    const time = parseTime(this.bytes, this.contentStart, this.contentEnd)
    if (time === undefined) throw this.bad('not a date and time with seconds and Z', field)
    // 2050-01-01T00:00:00Z
    if (identifier === tag.generalizedTime && time < 2_524_608_000_000) {
      throw this.bad('GeneralizedTime is for 2050 and later', field)
    }
    return time
  }

  /** GeneralizedTime of any year (RFC 5280 §5.3.2). */
  generalizedTime(field: string): number {
    this.expect(tag.generalizedTime, field)
    const length = this.contentEnd - this.contentStart
    const time =
      length === 15 ? parseTime(this.bytes, this.contentStart, this.contentEnd) : undefined
    if (time === undefined) throw this.bad('not a GeneralizedTime with seconds and Z', field)
    return time
  }

  /** A PeerError at the element read last: its value breaks a rule. */
  bad(message: string, field?: string): PeerError<DerErrorCode> {
    return this.errorAt('ERR_DER_VALUE', message, this.elementStart, field)
  }

  /**
   * Names of the fields down to this element; a field without a name is a wrapper that says nothing
   * to a reader.
   */
  where(field?: string): string {
    const path = this.parent === undefined ? [] : [this.parent.where()]
    path.push(this.name, field ?? '')
    return path.filter((name) => name !== '').join('.')
  }

  private error(code: DerErrorCode, message: string, field?: string): PeerError<DerErrorCode> {
    return this.errorAt(code, message, this.position, field)
  }

  private errorAt(
    code: DerErrorCode,
    message: string,
    offset: number,
    field?: string,
  ): PeerError<DerErrorCode> {
    const options = { where: this.where(field), hint: derHints[code] }
    return new PeerError(code, message, { offset }, options)
  }
}

interface Inside {
  readonly start: number
  readonly end: number
  readonly parent: DerReader
}

function octet(identifier: number): string {
  return `0x${identifier.toString(16).padStart(2, '0')}`
}
