/**
 * COSE_Mac0 (RFC 9052 §6.2, §6.3): content under an HMAC whose key both sides have. A key is for
 * one algorithm (§7.1), which the caller says; a message that names one names the same. Leaves out
 * COSE_Mac with its recipients.
 */
import { cbor, equalSecretBytes } from '../codec/index.ts'
import type { ChannelCrypto, SecretKey } from '../ports.ts'
import { type MacAlgorithm, macAlgorithm } from './algorithms.ts'
import { coseError } from './errors.ts'
import type { HeaderOptions, Headers } from './headers.ts'
import {
  algorithmOf,
  contentOf,
  encodeContent,
  encodeMessage,
  type MessageKind,
  type MessageOptions,
  parseAuthenticated,
  protectedOf,
} from './message.ts'
import { macStructure, noBytes } from './structures.ts'

const kind: MessageKind = { name: 'COSE_Mac0', tag: 17, elements: 4 }

/** Read and not yet believed. */
export interface Mac0 {
  readonly headers: Headers
  /** Undefined when it travels elsewhere. */
  readonly payload: Uint8Array | undefined
  readonly tag: Uint8Array
}

export interface MacKey {
  readonly crypto: Pick<ChannelCrypto, 'hmac'>
  readonly key: SecretKey
  /** The number of its only algorithm. */
  readonly algorithm: number
}

export interface Mac0Context extends MacKey {
  readonly externalAad?: Uint8Array
  /** Of a message whose payload travels elsewhere. */
  readonly payload?: Uint8Array
}

/** Throws PeerError: ERR_COSE_*, ERR_CBOR_*. */
export function parseMac0(bytes: Uint8Array, options?: HeaderOptions): Mac0 {
  const { authenticator, ...rest } = parseAuthenticated(bytes, kind, 'tag', options)
  return { ...rest, tag: authenticator }
}

/** The payload. Throws PeerError: ERR_COSE_UNVERIFIED when the tag does not verify, ERR_COSE_*. */
export function verifyMac0(message: Mac0, context: Mac0Context): Uint8Array {
  const { headers, tag } = message
  const payload = contentOf(message.payload, context.payload, kind.name)
  const algorithm = macAlgorithm(algorithmOf(headers, context.algorithm, kind.name), kind.name)
  const { protectedMap } = headers
  const externalAad = context.externalAad ?? noBytes
  const expected = tagOf(context, algorithm, macStructure({ protectedMap, externalAad, payload }))
  if (equalSecretBytes(expected, tag)) return payload
  throw coseError('ERR_COSE_UNVERIFIED', 'the tag does not verify', kind.name)
}

/** The message with its tag. */
export function makeMac0(
  key: MacKey,
  payload: Uint8Array,
  options: MessageOptions = {},
): Uint8Array {
  const algorithm = macAlgorithm(key.algorithm, kind.name)
  const protectedMap = protectedOf(algorithm.id, options)
  const externalAad = options.externalAad ?? noBytes
  const tag = tagOf(key, algorithm, macStructure({ protectedMap, externalAad, payload }))
  const content = encodeContent(payload, options)
  return encodeMessage(kind, protectedMap, options, content, cbor.byteString(tag))
}

/** RFC 9053 §3.1: a shorter tag is the beginning of the whole one. */
function tagOf(
  { crypto, key }: MacKey,
  { hash, tagLength }: MacAlgorithm,
  data: Uint8Array,
): Uint8Array {
  return crypto.hmac(hash, key, data).subarray(0, tagLength)
}
