/**
 * Key material on node:crypto: a handle that keeps a KeyObject, HMAC (RFC 2104) and HKDF (RFC 5869)
 * with it. A KeyObject is made once, because Node 24 needs several times as long for an operation
 * whose key comes as bytes. HKDF is made of HMACs: hkdfSync has no way to expand alone, and one call
 * of it costs as much as two of them.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { CallerError } from '@countersign/core/errors'
import type { HashName, SecretKey } from '@countersign/core/ports'

export type NodeSecretErrorCode = 'ERR_SECRET_FOREIGN' | 'ERR_HKDF_LENGTH'

/** Bytes of a digest. */
const hashLengths: Readonly<Record<HashName, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
}

/** RFC 5869 §2.3: the counter of the blocks is one octet. */
const expandBlocksMax = 255

class NodeSecretKey implements SecretKey {
  readonly length: number
  /** Private to the language too: no inspection and no serialisation finds its way to it. */
  readonly #key: KeyObject

  constructor(key: KeyObject, length: number) {
    this.#key = key
    this.length = length
  }

  static keyOf(handle: SecretKey): KeyObject {
    if (handle instanceof NodeSecretKey && #key in handle) return handle.#key
    throw new CallerError<NodeSecretErrorCode>(
      'ERR_SECRET_FOREIGN',
      'a secret key cannot be used: it was made by another provider',
      {},
      { hint: 'Make and use the keys of a channel with one provider.' },
    )
  }
}

/** What the other parts of this provider work with; it stays among them. */
export function keyOf(handle: SecretKey): KeyObject {
  return NodeSecretKey.keyOf(handle)
}

/** Copies the bytes. None at all are a key too: RFC 5869 §3.1 knows a salt that is not provided. */
export function importSecret(bytes: Uint8Array): SecretKey {
  return new NodeSecretKey(createSecretKey(bytes), bytes.length)
}

/** As importSecret, for bytes that nobody needs afterwards: they are wiped. */
export function takeSecret(bytes: Uint8Array): SecretKey {
  return firstOf(bytes, bytes.length)
}

export function exportSecret(key: SecretKey): Uint8Array {
  return keyOf(key).export()
}

export function hmac(hash: HashName, key: SecretKey, data: Uint8Array): Uint8Array {
  return createHmac(hash, keyOf(key)).update(data).digest()
}

/** RFC 5869 §2.2: PRK = HMAC-Hash(salt, IKM). */
export function hkdfExtract(hash: HashName, salt: SecretKey, inputKey: SecretKey): SecretKey {
  const input = keyOf(inputKey).export()
  const prk = hmac(hash, salt, input)
  input.fill(0)
  return takeSecret(prk)
}

/** RFC 5869 §2.3: T(i) = HMAC-Hash(PRK, T(i-1) | info | i). */
export function hkdfExpand(
  hash: HashName,
  key: SecretKey,
  info: Uint8Array,
  length: number,
): SecretKey {
  const prk = keyOf(key)
  const hashLength = hashLengths[hash]
  if (!Number.isSafeInteger(length) || length < 0 || length > expandBlocksMax * hashLength) {
    throw new CallerError<NodeSecretErrorCode>(
      'ERR_HKDF_LENGTH',
      `HKDF cannot give ${length} bytes`,
      { hash, lengthMax: expandBlocksMax * hashLength },
    )
  }
  // The usual case: TLS asks for no more than a digest has.
  if (length <= hashLength) return firstOf(blockOf(hash, prk, none, info, one), length)
  const blocks = new Uint8Array(Math.ceil(length / hashLength) * hashLength)
  for (let start = 0, counter = 1; start < length; start += hashLength, counter++) {
    const before = blocks.subarray(Math.max(0, start - hashLength), start)
    const block = blockOf(hash, prk, before, info, Uint8Array.of(counter))
    blocks.set(block, start)
    block.fill(0)
  }
  return firstOf(blocks, length)
}

const none = new Uint8Array()
const one = Uint8Array.of(1)

function blockOf(
  hash: HashName,
  prk: KeyObject,
  before: Uint8Array,
  info: Uint8Array,
  counter: Uint8Array,
): Uint8Array {
  const mac = createHmac(hash, prk)
  if (before.length > 0) mac.update(before)
  return mac.update(info).update(counter).digest()
}

/** The rest is wiped with it. */
function firstOf(bytes: Uint8Array, length: number): SecretKey {
  const secret = importSecret(length < bytes.length ? bytes.subarray(0, length) : bytes)
  bytes.fill(0)
  return secret
}
