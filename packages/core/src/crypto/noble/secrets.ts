/**
 * Hashes, and key material as handles, on @noble/hashes: HMAC (RFC 2104) and HKDF (RFC 5869). The
 * bytes of a handle are in a private field; nothing here can promise that an engine made no other
 * copy of them.
 */
import { expand, extract } from '@noble/hashes/hkdf.js'
import { hmac as hmacOf } from '@noble/hashes/hmac.js'
import { sha1 } from '@noble/hashes/legacy.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'
import { CallerError } from '../../errors.ts'
import type { Hasher, HashName, SecretKey } from '../../ports.ts'

export type NobleSecretErrorCode = 'ERR_SECRET_FOREIGN' | 'ERR_HKDF_KEY' | 'ERR_HKDF_LENGTH'

const hashes = { sha1, sha256, sha384, sha512 } as const

/** RFC 5869 §2.3: the counter of the blocks is one octet. */
const expandBlocksMax = 255

class NobleSecretKey implements SecretKey {
  readonly length: number
  /** Private to the language too: no inspection and no serialisation finds its way to it. */
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.length = bytes.length
  }

  static bytesOf(handle: SecretKey): Uint8Array {
    if (handle instanceof NobleSecretKey && #bytes in handle) return handle.#bytes
    throw new CallerError<NobleSecretErrorCode>(
      'ERR_SECRET_FOREIGN',
      'a secret key cannot be used: it was made by another provider',
      {},
      { hint: 'Make and use the keys of a channel with one provider.' },
    )
  }
}

/** What the other parts of this provider work with, and none of them changes or gives away. */
export function bytesOf(handle: SecretKey): Uint8Array {
  return NobleSecretKey.bytesOf(handle)
}

export function importSecret(bytes: Uint8Array): SecretKey {
  return new NobleSecretKey(Uint8Array.from(bytes))
}

/** As importSecret, for bytes that are nobody else's: they are kept as they are. */
export function takeSecret(bytes: Uint8Array): SecretKey {
  return new NobleSecretKey(bytes)
}

export function exportSecret(key: SecretKey): Uint8Array {
  return Uint8Array.from(bytesOf(key))
}

export function hash(name: HashName, data: Uint8Array): Uint8Array {
  return hashes[name](data)
}

class NobleHasher implements Hasher {
  readonly #hash: ReturnType<(typeof hashes)[HashName]['create']>

  constructor(name: HashName) {
    this.#hash = hashes[name].create()
  }

  update(data: Uint8Array): void {
    this.#hash.update(data)
  }

  /** Of a copy, so that the hash itself goes on. */
  digest(): Uint8Array {
    return this.#hash.clone().digest()
  }
}

export function hasher(name: HashName): Hasher {
  return new NobleHasher(name)
}

export function hmac(name: HashName, key: SecretKey, data: Uint8Array): Uint8Array {
  return hmacOf(hashes[name], bytesOf(key), data)
}

export function hkdfExtract(name: HashName, salt: SecretKey, inputKey: SecretKey): SecretKey {
  return takeSecret(extract(hashes[name], bytesOf(inputKey), bytesOf(salt)))
}

export function hkdfExpand(
  name: HashName,
  key: SecretKey,
  info: Uint8Array,
  length: number,
): SecretKey {
  const prk = bytesOf(key)
  const { outputLen } = hashes[name]
  const lengthMax = expandBlocksMax * outputLen
  if (!Number.isSafeInteger(length) || length < 0 || length > lengthMax) {
    throw new CallerError<NobleSecretErrorCode>(
      'ERR_HKDF_LENGTH',
      `HKDF cannot give ${length} bytes`,
      { hash: name, lengthMax },
    )
  }
  // RFC 5869 §2.3: at least as long as a digest. Noble insists on it, Node's provider does not.
  if (prk.length < outputLen) {
    throw new CallerError<NobleSecretErrorCode>(
      'ERR_HKDF_KEY',
      `a key of ${prk.length} bytes is too short to be expanded`,
      { hash: name, lengthMin: outputLen },
    )
  }
  return takeSecret(expand(hashes[name], prk, info, length))
}
