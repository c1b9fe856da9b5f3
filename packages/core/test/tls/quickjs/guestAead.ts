/** The crypto port of the host, but for its AEAD, which is one of @noble/ciphers inside. */
import { PeerError } from '@countersign/core/errors'
import type {
  AeadName,
  ChannelCrypto,
  ChannelCryptoErrorCode,
  SecretKey,
} from '@countersign/core/ports'

type Cipher = (
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
) => {
  encrypt(plaintext: Uint8Array): Uint8Array
  decrypt(ciphertext: Uint8Array): Uint8Array
}

export function withOwnAead(outside: ChannelCrypto, name: AeadName, cipher: Cipher): ChannelCrypto {
  const bytes = new WeakMap<SecretKey, Uint8Array>()
  /** A key of records comes in once. */
  const bytesOf = (key: SecretKey): Uint8Array => {
    const known = bytes.get(key)
    if (known !== undefined) return known
    const fresh = outside.exportSecret(key)
    bytes.set(key, fresh)
    return fresh
  }
  return {
    ...outside,
    aeads: [name],
    seal: (_, key, nonce, aad, plaintext) => cipher(bytesOf(key), nonce, aad).encrypt(plaintext),
    open(_, key, nonce, aad, ciphertext) {
      const opener = cipher(bytesOf(key), nonce, aad)
      try {
        return opener.decrypt(ciphertext)
      } catch (cause) {
        if (!isTagError(cause)) throw cause
        const message = 'a record does not open'
        throw new PeerError<ChannelCryptoErrorCode>('ERR_AEAD_OPEN', message, {}, { cause })
      }
    },
  }
}

/** Memory that has run out is no fault of the peer. */
function isTagError(error: unknown): boolean {
  return error instanceof Error && error.message.endsWith('invalid tag')
}
