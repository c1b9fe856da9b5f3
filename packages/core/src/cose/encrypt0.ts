/**
 * COSE_Encrypt0 (RFC 9052 §5.2, §5.3): content under an AEAD whose key both sides have. A key is
 * for one algorithm (§7.1), which the caller says; a message that names one names the same. The
 * nonce is the IV of the message or comes from the caller, who makes it of a Partial IV where there
 * is one. Leaves out COSE_Encrypt with its recipients.
 */
import type { ChannelCrypto, SecretKey } from '../ports.ts'
import { type AeadAlgorithm, aeadAlgorithm } from './algorithms.ts'
import { coseError } from './errors.ts'
import { type HeaderOptions, type Headers, readHeaders } from './headers.ts'
import {
  algorithmOf,
  beginMessage,
  contentOf,
  encodeContent,
  encodeMessage,
  type MessageKind,
  type MessageOptions,
  protectedOf,
  readContent,
} from './message.ts'
import { encStructure, noBytes } from './structures.ts'

const kind: MessageKind = { name: 'COSE_Encrypt0', tag: 16, elements: 3 }

/** Read and not yet opened. */
export interface Encrypt0 {
  readonly headers: Headers
  /** With its tag behind it. Undefined when it travels elsewhere. */
  readonly ciphertext: Uint8Array | undefined
}

export interface AeadKey {
  readonly crypto: Pick<ChannelCrypto, 'seal' | 'open'>
  readonly key: SecretKey
  /** The number of its only algorithm. */
  readonly algorithm: number
}

export interface Encrypt0Context extends AeadKey {
  /** Where the message carries no IV. */
  readonly nonce?: Uint8Array
  readonly externalAad?: Uint8Array
  /** Of a message whose ciphertext travels elsewhere. */
  readonly ciphertext?: Uint8Array
}

/** Throws PeerError: ERR_COSE_*, ERR_CBOR_*. */
export function parseEncrypt0(bytes: Uint8Array, options?: HeaderOptions): Encrypt0 {
  const reader = beginMessage(bytes, kind)
  const headers = readHeaders(reader, kind.name, options)
  const ciphertext = readContent(reader, 'ciphertext')
  reader.end()
  return { headers, ciphertext }
}

/** The plaintext. Throws PeerError: ERR_AEAD_OPEN when the tag does not fit, ERR_COSE_*. */
export function openEncrypt0(message: Encrypt0, context: Encrypt0Context): Uint8Array {
  const { headers } = message
  const ciphertext = contentOf(message.ciphertext, context.ciphertext, kind.name)
  const algorithm = aeadAlgorithm(algorithmOf(headers, context.algorithm, kind.name), kind.name)
  const nonce = nonceOf(headers, context.nonce, algorithm)
  const { protectedMap } = headers
  const aad = encStructure({ protectedMap, externalAad: context.externalAad ?? noBytes })
  return context.crypto.open(algorithm.aead, context.key, nonce, aad, ciphertext)
}

/**
 * The message, and its ciphertext by itself for when that is detached. A nonce is used once with a
 * key; an IV or Partial IV that the other side has to be told is among the caller's headers.
 */
export function makeEncrypt0(
  { crypto, key, algorithm: id }: AeadKey,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  options: MessageOptions = {},
): { readonly message: Uint8Array; readonly ciphertext: Uint8Array } {
  const algorithm = aeadAlgorithm(id, kind.name)
  const protectedMap = protectedOf(algorithm.id, options)
  const aad = encStructure({ protectedMap, externalAad: options.externalAad ?? noBytes })
  const ciphertext = crypto.seal(algorithm.aead, key, nonce, aad, plaintext)
  const content = encodeContent(ciphertext, options)
  return { message: encodeMessage(kind, protectedMap, options, content), ciphertext }
}

function nonceOf(
  { iv }: Headers,
  own: Uint8Array | undefined,
  { nonceLength }: AeadAlgorithm,
): Uint8Array {
  if (own !== undefined) {
    if (iv !== undefined) throw refused('an IV, where the context has one')
    return own
  }
  if (iv === undefined) throw refused('neither message nor context has an IV')
  if (iv.length !== nonceLength) {
    throw refused(`${iv.length} bytes, the algorithm takes ${nonceLength}`)
  }
  return iv
}

function refused(what: string): Error {
  return coseError('ERR_COSE_HEADER', what, `${kind.name}.iv`)
}
