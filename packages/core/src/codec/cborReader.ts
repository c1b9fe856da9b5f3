/**
 * CBOR reader (RFC 8949): a cursor over the input, zero copy, without a tree. Only deterministic
 * encoding is taken (§4.2.1): heads as short as they can be, definite lengths, keys of a map in the
 * bytewise order of their encodings, none of them twice. Several items may follow each other: a
 * sequence (RFC 8742). Every failure is a PeerError that names the offset and the field. Leaves
 * out: floating-point numbers, simple values but false, true and null, integers beyond 53 bits;
 * tags are met only by `raw`.
 */
import { PeerError } from '../errors.ts'
import { compareBytes, fromUtf8 } from './bytes.ts'
import { type CborErrorCode, cborHints, cborLimits } from './cborLimits.ts'

export type CborKind =
  | 'unsigned'
  | 'negative'
  | 'bytes'
  | 'text'
  | 'array'
  | 'map'
  | 'tag'
  | 'simple'
  | 'end'

/** By major type (RFC 8949 §3.1). */
const kinds: readonly CborKind[] = [
  'unsigned',
  'negative',
  'bytes',
  'text',
  'array',
  'map',
  'tag',
  'simple',
]
const simple = { false: 20, true: 21, null: 22 } as const

export class CborReader {
  readonly bytes: Uint8Array
  readonly #name: string
  #position = 0

  /** `name` begins the path in errors; `sizeMax` is the caller's limit, with its reason there. */
  constructor(bytes: Uint8Array, name: string, sizeMax: number = cborLimits.sizeMax) {
    this.bytes = bytes
    this.#name = name
    if (bytes.length > sizeMax) {
      throw this.#error(
        'ERR_CBOR_SIZE',
        `${bytes.length} bytes are more than the limit of ${sizeMax}`,
      )
    }
  }

  get done(): boolean {
    return this.#position >= this.bytes.length
  }

  /** Where the next item begins. */
  get offset(): number {
    return this.#position
  }

  /** The kind of the next item, which stays where it is. */
  peek(): CborKind {
    const first = this.bytes[this.#position]
    return first === undefined ? 'end' : (kinds[first >> 5] ?? 'end')
  }

  /** An integer of either sign within 53 bits. */
  int(field: string): number {
    if (this.peek() === 'negative') return -1 - this.#head('negative', field)
    return this.#head('unsigned', field)
  }

  /** An integer from 0 to `max`. */
  unsigned(field: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const start = this.#position
    const value = this.#head('unsigned', field)
    if (value <= max) return value
    throw this.#error('ERR_CBOR_VALUE', `${value}, ${max} at most`, field, start)
  }

  /** The content of a byte string, a view. */
  byteString(field: string, lengthMax: number = cborLimits.sizeMax): Uint8Array {
    return this.#content('bytes', field, lengthMax)
  }

  textString(field: string, lengthMax: number = cborLimits.sizeMax): string {
    const start = this.#position
    const bytes = this.#content('text', field, lengthMax)
    try {
      return fromUtf8(bytes)
    } catch (cause) {
      throw this.#error('ERR_CBOR_VALUE', 'the text is not UTF-8', field, start, cause)
    }
  }

  boolean(field: string): boolean {
    const start = this.#position
    const value = this.#head('simple', field)
    if (value === simple.false || value === simple.true) return value === simple.true
    throw this.#error('ERR_CBOR_KIND', 'neither true nor false', field, start)
  }

  null(field: string): void {
    const start = this.#position
    if (this.#head('simple', field) === simple.null) return
    throw this.#error('ERR_CBOR_KIND', 'not null', field, start)
  }

  /** Undefined for null, otherwise what `read` makes of the next item, which is no simple value. */
  nullable<Value>(field: string, read: () => Value): Value | undefined {
    if (this.peek() !== 'simple') return read()
    this.null(field)
    return undefined
  }

  /** The number of elements, which follow and are the caller's to read. */
  array(field: string): number {
    return this.#head('array', field)
  }

  /**
   * Hands the entries in turn to `readKey` and `readValue`, each of which reads one item. Throws
   * PeerError ERR_CBOR_ORDER where keys are out of order or twice there.
   */
  map<Key>(
    field: string,
    readKey: (reader: CborReader) => Key,
    readValue: (reader: CborReader, key: Key) => void,
  ): void {
    const count = this.#head('map', field)
    let before: Uint8Array | undefined
    for (let entry = 0; entry < count; entry++) {
      const start = this.#position
      const key = readKey(this)
      before = this.#inOrder(before, start, field)
      readValue(this, key)
    }
  }

  /** The bytes of the next item, whatever it is, checked to its end: nested items too. */
  raw(field: string): Uint8Array {
    const start = this.#position
    this.#skip(field, 0)
    return this.bytes.subarray(start, this.#position)
  }

  /** Throws PeerError ERR_CBOR_TRAILING when anything is left. */
  end(): void {
    const left = this.bytes.length - this.#position
    if (left > 0) throw this.#error('ERR_CBOR_TRAILING', `${left} bytes too many`)
  }

  /** The error for a value that is well formed and makes no sense to the caller. */
  bad(what: string, field: string): PeerError<CborErrorCode> {
    return this.#error('ERR_CBOR_VALUE', what, field)
  }

  #skip(field: string, depth: number): void {
    if (depth > cborLimits.depthMax) throw this.#error('ERR_CBOR_DEPTH', 'nested too deep', field)
    switch (this.peek()) {
      case 'bytes':
        this.byteString(field)
        return
      case 'text':
        this.textString(field)
        return
      case 'array':
        for (let left = this.array(field); left > 0; left--) this.#skip(field, depth + 1)
        return
      case 'map':
        this.map(
          field,
          () => this.#skip(field, depth + 1),
          () => this.#skip(field, depth + 1),
        )
        return
      case 'tag':
        this.#head('tag', field)
        this.#skip(field, depth + 1)
        return
      case 'simple':
        if (this.bytes[this.#position] === 0xe0 + simple.null) this.null(field)
        else this.boolean(field)
        return
      default:
        this.int(field)
    }
  }

  #inOrder(before: Uint8Array | undefined, start: number, field: string): Uint8Array {
    const key = this.bytes.subarray(start, this.#position)
    if (before === undefined || compareBytes(before, key) < 0) return key
    throw this.#error('ERR_CBOR_ORDER', 'a key is twice in the map, or out of order', field, start)
  }

  #content(kind: 'bytes' | 'text', field: string, lengthMax: number): Uint8Array {
    const start = this.#position
    const length = this.#head(kind, field)
    if (length > lengthMax) {
      throw this.#error('ERR_CBOR_SIZE', `${length} bytes, ${lengthMax} at most`, field, start)
    }
    const from = this.#position
    if (length > this.bytes.length - from) {
      throw this.#error('ERR_CBOR_TRUNCATED', `length ${length} runs over the end`, field, start)
    }
    this.#position = from + length
    return this.bytes.subarray(from, this.#position)
  }

  /** Steps over a head of this kind; its argument (RFC 8949 §3). */
  #head(kind: CborKind, field: string): number {
    const found = this.peek()
    if (found === 'end') throw this.#error('ERR_CBOR_TRUNCATED', 'it is missing', field)
    if (found !== kind) {
      throw this.#error('ERR_CBOR_KIND', `expected ${kind}, found ${found}`, field)
    }
    const start = this.#position
    const info = (this.bytes[start] ?? 0) & 0x1f
    if (info < 24) {
      this.#position = start + 1
      return info
    }
    // 28 to 30 are not assigned, 31 begins an indefinite length.
    if (info > 27) throw this.#error('ERR_CBOR_MINIMAL', 'no definite length', field)
    // Simple values with an octet of their own, and floating-point numbers, have no use here.
    if (kind === 'simple') throw this.#error('ERR_CBOR_KIND', 'a simple value or a number', field)
    return this.#longArgument(1 << (info - 24), field)
  }

  #longArgument(octets: number, field: string): number {
    const start = this.#position
    const end = start + 1 + octets
    if (end > this.bytes.length) throw this.#error('ERR_CBOR_TRUNCATED', 'its head is cut', field)
    let argument = 0
    for (let at = start + 1; at < end; at++) argument = argument * 256 + (this.bytes[at] ?? 0)
    if (argument < (octets === 1 ? 24 : 256 ** (octets / 2))) {
      throw this.#error('ERR_CBOR_MINIMAL', 'its head is longer than it has to be', field)
    }
    if (!Number.isSafeInteger(argument + 1)) {
      throw this.#error('ERR_CBOR_VALUE', 'a number beyond 53 bits', field)
    }
    this.#position = end
    return argument
  }

  #error(
    code: CborErrorCode,
    what: string,
    field = '',
    offset = this.#position,
    cause?: unknown,
  ): PeerError<CborErrorCode> {
    const path = field === '' ? this.#name : `${this.#name}.${field}`
    return new PeerError(
      code,
      `${path}: ${what}`,
      { offset },
      { where: `${path}, offset ${offset}`, hint: cborHints[code], cause },
    )
  }
}
