/**
 * What the messages of COSE have in common (RFC 9052 §2): a tag or none, an array that begins with
 * the headers, and contents that may travel elsewhere.
 */
import { CborReader, cbor, concat } from '../codec/index.ts'
import type { AlgorithmId } from './algorithms.ts'
import { coseError, coseLimits } from './errors.ts'
import {
  encodeMap,
  encodeProtected,
  type HeaderFields,
  type HeaderOptions,
  type Headers,
  readHeaders,
} from './headers.ts'

export interface MessageKind {
  readonly name: string
  /** Below 24: its head is one byte. */
  readonly tag: number
  /** Of its array. */
  readonly elements: number
}

/** Of whoever makes a message. */
export interface MessageOptions {
  readonly headers?: HeaderFields
  readonly externalAad?: Uint8Array
  /** The content travels elsewhere, nil stands in its place (RFC 9052 §4.1). */
  readonly detached?: boolean
  /** Where the context does not say what kind of message it is. */
  readonly tagged?: boolean
}

const tagMajor = 0xc0

/** A reader behind the head of the array. A tag is taken where it is the right one. */
export function beginMessage(bytes: Uint8Array, { name, tag, elements }: MessageKind): CborReader {
  const tagged = bytes[0] === (tagMajor | tag)
  const most = coseLimits.messageBytesMax
  const reader = new CborReader(tagged ? bytes.subarray(1) : bytes, name, most)
  if (reader.peek() === 'tag') throw coseError('ERR_COSE_MESSAGE', 'another kind of message', name)
  const count = reader.array('message')
  if (count === elements) return reader
  throw coseError('ERR_COSE_MESSAGE', `${count} elements, ${elements} expected`, name)
}

/** COSE_Sign1 and COSE_Mac0 are alike: `field` names what authenticates headers and payload. */
export function parseAuthenticated(
  bytes: Uint8Array,
  kind: MessageKind,
  field: 'signature' | 'tag',
  options?: HeaderOptions,
): {
  readonly headers: Headers
  readonly payload: Uint8Array | undefined
  readonly authenticator: Uint8Array
} {
  const reader = beginMessage(bytes, kind)
  const headers = readHeaders(reader, kind.name, options)
  const payload = readContent(reader, 'payload')
  const authenticator = reader.byteString(field)
  reader.end()
  return { headers, payload, authenticator }
}

/** Undefined: it travels elsewhere. */
export function readContent(reader: CborReader, field: string): Uint8Array | undefined {
  return reader.nullable(field, () => reader.byteString(field))
}

/**
 * The content: of the message, or of the caller where it is detached. Throws PeerError
 * ERR_COSE_MESSAGE when both have one, or neither.
 */
export function contentOf(
  inside: Uint8Array | undefined,
  outside: Uint8Array | undefined,
  where: string,
): Uint8Array {
  if (inside !== undefined && outside !== undefined) {
    throw coseError('ERR_COSE_MESSAGE', 'it has a content, and a detached one was given', where)
  }
  const content = inside ?? outside
  if (content !== undefined) return content
  throw coseError('ERR_COSE_MESSAGE', 'its content is not there', where)
}

/** The one that the message names, which is the context's where that names one too. */
export function algorithmOf(
  { algorithm }: Headers,
  expected: number | undefined,
  where: string,
): AlgorithmId {
  if (algorithm !== undefined && expected !== undefined && algorithm !== expected) {
    const found = `algorithm ${JSON.stringify(algorithm)} in the place of ${expected}`
    throw coseError('ERR_COSE_ALGORITHM', found, where)
  }
  const id = algorithm ?? expected
  if (id !== undefined) return id
  throw coseError('ERR_COSE_ALGORITHM', 'it names no algorithm', where)
}

/** `rest` follows the headers, encoded. */
export function encodeMessage(
  { tag }: MessageKind,
  protectedMap: Uint8Array,
  { headers, tagged = false }: MessageOptions,
  ...rest: readonly Uint8Array[]
): Uint8Array {
  const unprotected = encodeMap(headers?.unprotected ?? [])
  const message = cbor.array(cbor.byteString(protectedMap), unprotected, ...rest)
  return tagged ? concat(Uint8Array.of(tagMajor | tag), message) : message
}

export function protectedOf(algorithm: number, { headers }: MessageOptions): Uint8Array {
  return encodeProtected(algorithm, headers?.protected)
}

export function encodeContent(
  content: Uint8Array,
  { detached = false }: MessageOptions,
): Uint8Array {
  return detached ? cbor.nullValue : cbor.byteString(content)
}
