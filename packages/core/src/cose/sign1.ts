/**
 * COSE_Sign1 (RFC 9052 §4.2, §4.4): one signature over headers, external data and payload. Leaves
 * out COSE_Sign with its several signers.
 *
 * @example verifySign1(parseSign1(bytes), { crypto, key }) // the payload, or it throws
 */
import { cbor } from '../codec/index.ts'
import { AdapterError, CallerError } from '../errors.ts'
import type { Crypto, PublicKey, Signer } from '../ports.ts'
import { isYes, sameScheme } from '../verdict.ts'
import { isKeyFor, signatureAlgorithm } from './algorithms.ts'
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
import { noBytes, sigStructure } from './structures.ts'

const kind: MessageKind = { name: 'COSE_Sign1', tag: 18, elements: 4 }

/** Read and not yet believed. */
export interface Sign1 {
  readonly headers: Headers
  /** Undefined when it travels elsewhere. */
  readonly payload: Uint8Array | undefined
  readonly signature: Uint8Array
}

export interface Sign1Context {
  readonly crypto: Pick<Crypto, 'verify'>
  readonly key: PublicKey
  /** Where the message names none; where it does, it has to be this one. */
  readonly algorithm?: number
  readonly externalAad?: Uint8Array
  /** Of a message whose payload travels elsewhere. */
  readonly payload?: Uint8Array
}

/** Throws PeerError: ERR_COSE_*, ERR_CBOR_*. */
export function parseSign1(bytes: Uint8Array, options?: HeaderOptions): Sign1 {
  const { authenticator, ...rest } = parseAuthenticated(bytes, kind, 'signature', options)
  return { ...rest, signature: authenticator }
}

/**
 * The payload. Throws PeerError: ERR_COSE_UNVERIFIED when the signature does not verify,
 * ERR_COSE_*.
 */
export function verifySign1(message: Sign1, context: Sign1Context): Uint8Array {
  const { headers, signature } = message
  const payload = contentOf(message.payload, context.payload, kind.name)
  const algorithm = signatureAlgorithm(
    algorithmOf(headers, context.algorithm, kind.name),
    kind.name,
  )
  if (!isKeyFor(algorithm, context.key.algorithm)) {
    throw coseError('ERR_COSE_ALGORITHM', `${algorithm.name} is not for this key`, kind.name)
  }
  const { protectedMap } = headers
  const signed = sigStructure({
    protectedMap,
    externalAad: context.externalAad ?? noBytes,
    payload,
  })
  const verified =
    signature.length === algorithm.signatureLength &&
    isYes(context.crypto.verify(context.key, algorithm.scheme, signed, signature))
  if (verified) return payload
  throw coseError('ERR_COSE_UNVERIFIED', 'the signature does not verify', kind.name)
}

/**
 * The message with its signature, which the signer makes wherever its key is. Throws CallerError
 * ERR_COSE_SIGNER for a signer of another scheme, AdapterError ERR_COSE_SIGNER for what it
 * answered.
 */
export async function makeSign1(
  signer: Signer,
  algorithmId: number,
  payload: Uint8Array,
  options: MessageOptions = {},
): Promise<Uint8Array> {
  const algorithm = signatureAlgorithm(algorithmId, kind.name)
  if (!sameScheme(signer.scheme, algorithm.scheme)) {
    throw new CallerError(
      'ERR_COSE_SIGNER',
      `the signer does not make ${algorithm.name} of COSE`,
      {},
      { hint: 'Choose the algorithm of its key; ECDSA is r || s in COSE (RFC 9053 §2.1).' },
    )
  }
  const protectedMap = protectedOf(algorithm.id, options)
  const externalAad = options.externalAad ?? noBytes
  const signature = await signer.sign(sigStructure({ protectedMap, externalAad, payload }))
  if (signature.length !== algorithm.signatureLength) {
    throw new AdapterError(
      'ERR_COSE_SIGNER',
      `the signer answered ${signature.length} bytes`,
      { expected: algorithm.signatureLength },
      { hint: 'Check the signer: it answers in another encoding than its scheme says.' },
    )
  }
  const content = encodeContent(payload, options)
  return encodeMessage(kind, protectedMap, options, content, cbor.byteString(signature))
}
