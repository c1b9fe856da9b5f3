/**
 * One direction of record protection (RFC 8446 §5.2-5.5): a key, an IV, a counter. Made from a
 * traffic secret; a KeyUpdate makes the next one of it.
 */
import { concat } from '../codec/index.ts'
import { PeerError } from '../errors.ts'
import type { ChannelCrypto, SecretKey } from '../ports.ts'
import { expandLabel, nextTrafficSecret } from './keySchedule.ts'
import { contentType, type Suite, tls12 } from './registry.ts'
import { tlsError } from './tlsError.ts'

const ivLength = 12
const empty = new Uint8Array()

export interface InnerPlaintext {
  readonly type: number
  readonly content: Uint8Array
}

export class RecordProtection {
  readonly #crypto: ChannelCrypto
  readonly #suite: Suite
  readonly #secret: SecretKey
  readonly #key: SecretKey
  readonly #iv: Uint8Array
  readonly #nonce: Uint8Array = new Uint8Array(ivLength)
  /** An exact number up to 2^53; keys are changed long before. */
  #sequence = 0

  constructor(crypto: ChannelCrypto, suite: Suite, secret: SecretKey) {
    this.#crypto = crypto
    this.#suite = suite
    this.#secret = secret
    this.#key = expandLabel(crypto, suite.hash, secret, 'key', empty, suite.keyLength)
    this.#iv = crypto.exportSecret(expandLabel(crypto, suite.hash, secret, 'iv', empty, ivLength))
  }

  /** Records under this key so far. */
  get count(): number {
    return this.#sequence
  }

  /** A whole record: header, then the content with its true type, encrypted. */
  seal(type: number, content: Uint8Array): Uint8Array {
    return concat(...this.sealPieces(type, content))
  }

  /** The same in pieces that follow each other, where the provider makes them: copies that are spared. */
  sealPieces(type: number, content: Uint8Array): readonly Uint8Array[] {
    const crypto = this.#crypto
    const { aead } = this.#suite
    // Every tag of the suites that we have has 8 or 16 bytes.
    const tagLength = aead === 'aes-128-ccm-8' ? 8 : 16
    const header = recordHeader(contentType.applicationData, content.length + 1 + tagLength)
    const inner = [content, Uint8Array.of(type)]
    const nonce = this.#nextNonce()
    if (crypto.sealPieces === undefined) {
      return [header, crypto.seal(aead, this.#key, nonce, header, concat(...inner))]
    }
    return [header, ...crypto.sealPieces(aead, this.#key, nonce, header, ...inner)]
  }

  /** Throws ERR_TLS_RECORD_MAC, and what the content itself violates. */
  open(header: Uint8Array, ciphertext: Uint8Array, contentMax: number): InnerPlaintext {
    return unpadded(this.#open(header, ciphertext), contentMax)
  }

  /** The protection after a KeyUpdate in this direction. */
  next(): RecordProtection {
    const secret = nextTrafficSecret(this.#crypto, this.#suite, this.#secret)
    return new RecordProtection(this.#crypto, this.#suite, secret)
  }

  #open(header: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    const nonce = this.#nextNonce()
    try {
      return this.#crypto.open(this.#suite.aead, this.#key, nonce, header, ciphertext)
    } catch (cause) {
      // Whatever else a provider throws is its own failure.
      if (!(cause instanceof PeerError)) throw cause
      throw tlsError(
        'ERR_TLS_RECORD_MAC',
        'a record does not open: it was changed under way, or made with another key',
        {},
        cause,
      )
    }
  }

  /** RFC 8446 §5.3: the counter, to the right, over the IV. The provider keeps no reference. */
  #nextNonce(): Uint8Array {
    this.#nonce.set(this.#iv)
    let rest = this.#sequence++
    for (let index = ivLength - 1; rest > 0; index--) {
      this.#nonce[index] = (this.#nonce[index] ?? 0) ^ (rest % 256)
      rest = Math.floor(rest / 256)
    }
    return this.#nonce
  }
}

export function recordHeader(type: number, length: number, version: number = tls12): Uint8Array {
  return Uint8Array.of(type, version >>> 8, version & 255, length >>> 8, length & 255)
}

/** RFC 8446 §5.4: zeros behind the type are padding; RFC 8449 §4 counts them with the content. */
function unpadded(inner: Uint8Array, contentMax: number): InnerPlaintext {
  if (inner.length > contentMax + 1) throw overflow(inner.length - 1, contentMax)
  let end = inner.length
  while (end > 0 && inner[end - 1] === 0) end--
  const type = inner[end - 1]
  if (type === undefined) {
    throw tlsError('ERR_TLS_UNEXPECTED_MESSAGE', 'a record holds nothing but padding')
  }
  return { type, content: inner.subarray(0, end - 1) }
}

export function overflow(length: number, max: number): Error {
  return tlsError('ERR_TLS_RECORD_OVERFLOW', `a record of ${length} bytes; ${max} are the most`, {
    length,
    max,
  })
}

export const recordHeaderLength = 5
