/**
 * The AEADs of TLS 1.3 and COSE on @noble/ciphers (RFC 5116, RFC 6655 for CCM with a short tag, RFC
 * 8439, RFC 9053 §4.2 for CCM with a nonce of 13 bytes). What is sealed is the ciphertext with the tag
 * behind it.
 */
import { gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { CallerError, PeerError } from '../../errors.ts'
import type { AeadName, ChannelCryptoErrorCode, SecretKey } from '../../ports.ts'
import { ccmOpen, ccmPlaintextMax, ccmSeal } from './ccm.ts'
import { bytesOf } from './secrets.ts'

export type NobleAeadErrorCode = 'ERR_AEAD_KEY' | 'ERR_AEAD_NONCE' | 'ERR_AEAD_PLAINTEXT'

/** Undefined when the tag does not fit. */
type Opened = Uint8Array | undefined

interface Aead {
  readonly keyLength: number
  readonly nonceLength: number
  readonly tagLength: number
  readonly plaintextMax: number
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Opened
}

const aeads: Readonly<Record<AeadName, Aead>> = {
  'aes-128-gcm': ofNoble(gcm, 16),
  'aes-256-gcm': ofNoble(gcm, 32),
  'chacha20-poly1305': ofNoble(chacha20poly1305, 32),
  'aes-128-ccm-8': ccm(12, 8),
  'aes-ccm-16-64-128': ccm(13, 8),
  'aes-ccm-16-128-128': ccm(13, 16),
}

export const aeadNames: readonly AeadName[] = [
  'aes-128-gcm',
  'aes-256-gcm',
  'chacha20-poly1305',
  'aes-128-ccm-8',
  'aes-ccm-16-64-128',
  'aes-ccm-16-128-128',
]

/** Throws CallerError for a key, nonce or plaintext of the wrong length. */
export function seal(
  name: AeadName,
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const keyBytes = fittingKey(name, key, nonce)
  const { plaintextMax } = aeads[name]
  if (plaintext.length > plaintextMax) {
    const found = plaintext.length
    throw misused('ERR_AEAD_PLAINTEXT', name, 'plaintext', plaintextMax, found, ' at most')
  }
  return aeads[name].seal(keyBytes, nonce, aad, plaintext)
}

/** Throws PeerError ERR_AEAD_OPEN when the tag does not fit, CallerError as `seal`. */
export function open(
  name: AeadName,
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array {
  const keyBytes = fittingKey(name, key, nonce)
  // Noble would throw for this too, but an error of its own.
  if (ciphertext.length < aeads[name].tagLength) throw unopened(name)
  const plaintext = aeads[name].open(keyBytes, nonce, aad, ciphertext)
  if (plaintext === undefined) throw unopened(name)
  return plaintext
}

function ofNoble(cipher: typeof gcm | typeof chacha20poly1305, keyLength: number): Aead {
  return {
    keyLength,
    nonceLength: 12,
    tagLength: 16,
    plaintextMax: Number.POSITIVE_INFINITY,
    seal: (key, nonce, aad, plaintext) => cipher(key, nonce, aad).encrypt(plaintext),
    open(key, nonce, aad, sealed) {
      const opener = cipher(key, nonce, aad)
      try {
        return opener.decrypt(sealed)
      } catch {
        // The lengths fit, so it was the tag.
        return undefined
      }
    },
  }
}

function ccm(nonceLength: number, tagLength: number): Aead {
  return {
    keyLength: 16,
    nonceLength,
    tagLength,
    plaintextMax: ccmPlaintextMax(nonceLength),
    seal: (key, nonce, aad, plaintext) => ccmSeal(key, nonce, aad, plaintext, tagLength),
    open: (key, nonce, aad, sealed) => ccmOpen(key, nonce, aad, sealed, tagLength),
  }
}

function fittingKey(name: AeadName, key: SecretKey, nonce: Uint8Array): Uint8Array {
  const { keyLength, nonceLength } = aeads[name]
  const bytes = bytesOf(key)
  if (key.length !== keyLength) throw misused('ERR_AEAD_KEY', name, 'key', keyLength, key.length)
  if (nonce.length === nonceLength) return bytes
  throw misused('ERR_AEAD_NONCE', name, 'nonce', nonceLength, nonce.length)
}

function misused(
  code: NobleAeadErrorCode,
  name: AeadName,
  what: string,
  expected: number,
  found: number,
  bound = '',
): CallerError<NobleAeadErrorCode> {
  const details = { aead: name, expected, found }
  return new CallerError(code, `the ${what} of ${name} has ${expected} bytes${bound}`, details)
}

function unopened(name: AeadName): PeerError<ChannelCryptoErrorCode> {
  const message = 'a protected message cannot be opened: its tag does not fit'
  return new PeerError('ERR_AEAD_OPEN', message, { aead: name })
}
