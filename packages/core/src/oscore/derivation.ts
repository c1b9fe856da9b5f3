/**
 * What OSCORE computes from a security context: the info of its keys (RFC 8613 §3.2.1), nonces
 * (§5.2), the additional authenticated data (§5.4).
 */
import { cbor, concat } from '../codec/index.ts'
import { encStructure, noBytes } from '../cose/index.ts'
import { encodePartialIv, partialIvBytesMax } from './partialIv.ts'

/** Of a nonce, whatever its algorithm: the length of an ID, and a padded Partial IV. */
const nonceFieldBytes = 1 + partialIvBytesMax

export interface KeyInfo {
  /** No bytes for the Common IV. */
  readonly id: Uint8Array
  readonly idContext: Uint8Array | undefined
  /** Number of the AEAD. */
  readonly algorithm: number
  readonly type: 'Key' | 'IV'
  /** Bytes to derive. */
  readonly length: number
}

/** What both sides of an exchange call its request. */
export interface RequestName {
  readonly kid: Uint8Array
  readonly partialIv: number
}

/** What a request and its responses have in common, computed once. */
export interface BoundRequest extends RequestName {
  /** Of the request, and of a response without a Partial IV. */
  readonly nonce: Uint8Array
  readonly aad: Uint8Array
}

/** Of a context, as far as it goes into both. */
export interface Binding {
  readonly commonIv: Uint8Array
  readonly algorithm: { readonly id: number }
}

export function boundRequest({ commonIv, algorithm }: Binding, name: RequestName): BoundRequest {
  const nonce = nonceOf(commonIv, name.kid, name.partialIv)
  return { ...name, nonce, aad: additionalData(algorithm.id, name) }
}

export function keyInfo({ id, idContext, algorithm, type, length }: KeyInfo): Uint8Array {
  return cbor.array(
    cbor.byteString(id),
    idContext === undefined ? cbor.nullValue : cbor.byteString(idContext),
    cbor.int(algorithm),
    cbor.textString(type),
    cbor.int(length),
  )
}

/** RFC 8613 §3.3: what a nonce has room for; 7 with AES-CCM-16-64-128. */
export function idBytesMax(nonceLength: number): number {
  return nonceLength - nonceFieldBytes
}

/** `id` is of whoever made the Partial IV, and fits: see idBytesMax. */
export function nonceOf(commonIv: Uint8Array, id: Uint8Array, partialIv: number): Uint8Array {
  // A copy, also of a Buffer, whose `slice` is a view.
  const nonce = new Uint8Array(commonIv)
  const iv = encodePartialIv(partialIv)
  nonce[0] = (nonce[0] ?? 0) ^ id.length
  xorInto(nonce, id, 1 + idBytesMax(nonce.length) - id.length)
  xorInto(nonce, iv, nonce.length - iv.length)
  return nonce
}

function xorInto(nonce: Uint8Array, field: Uint8Array, start: number): void {
  for (let at = 0; at < field.length; at++) {
    nonce[start + at] = (nonce[start + at] ?? 0) ^ (field[at] ?? 0)
  }
}

/** aad_array, which external_aad is made of; of a request and of its responses alike (§5.4). */
export function externalAad(algorithm: number, { kid, partialIv }: RequestName): Uint8Array {
  return cbor.array(
    oscoreVersion,
    cbor.array(cbor.int(algorithm)),
    cbor.byteString(kid),
    cbor.byteString(encodePartialIv(partialIv)),
    noOptions,
  )
}

const oscoreVersion = cbor.int(1)
/** Of class I: there are none (RFC 8613 §4.1.2). */
const noOptions = cbor.byteString(noBytes)

export function additionalData(algorithm: number, request: RequestName): Uint8Array {
  return encStructure({ protectedMap: noBytes, externalAad: externalAad(algorithm, request) })
}

/** Plaintext of the COSE object: code, Class E options, payload (RFC 8613 §5.3). */
export function plaintextOf(code: number, body: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(code), body)
}
