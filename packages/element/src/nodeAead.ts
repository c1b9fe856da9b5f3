/**
 * The AEADs of TLS 1.3 and COSE on node:crypto (RFC 5116, RFC 6655 for CCM with a short tag, RFC
 * 8439, RFC 9053 §4.2 for CCM with a nonce of 13 bytes). The sealed form is ciphertext with the tag behind it. What Node gives back is used as it is: opening
 * copies nothing, sealing copies once, to put the pieces together.
 */
import {
  type CipherCCM,
  type CipherChaCha20Poly1305,
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  type DecipherCCM,
  type DecipherChaCha20Poly1305,
  type DecipherGCM,
  type KeyObject,
} from 'node:crypto'
import { concat } from '@countersign/core/codec'
import { CallerError, PeerError } from '@countersign/core/errors'
import type { AeadName, ChannelCryptoErrorCode, SecretKey } from '@countersign/core/ports'
import { keyOf } from './nodeSecrets.ts'

export type NodeAeadErrorCode = 'ERR_AEAD_KEY' | 'ERR_AEAD_NONCE' | 'ERR_AEAD_PLAINTEXT'

interface Aead {
  readonly keyLength: number
  readonly nonceLength: number
  readonly tagLength: number
  cipher(key: KeyObject, nonce: Uint8Array): CipherGCM | CipherCCM | CipherChaCha20Poly1305
  decipher(key: KeyObject, nonce: Uint8Array): DecipherGCM | DecipherCCM | DecipherChaCha20Poly1305
}

const fullTag = { authTagLength: 16 } as const
const shortTag = { authTagLength: 8 } as const

const aeads: Readonly<Record<AeadName, Aead>> = {
  'aes-128-gcm': {
    keyLength: 16,
    nonceLength: 12,
    tagLength: 16,
    cipher: (key, nonce) => createCipheriv('aes-128-gcm', key, nonce, fullTag),
    decipher: (key, nonce) => createDecipheriv('aes-128-gcm', key, nonce, fullTag),
  },
  'aes-256-gcm': {
    keyLength: 32,
    nonceLength: 12,
    tagLength: 16,
    cipher: (key, nonce) => createCipheriv('aes-256-gcm', key, nonce, fullTag),
    decipher: (key, nonce) => createDecipheriv('aes-256-gcm', key, nonce, fullTag),
  },
  'chacha20-poly1305': {
    keyLength: 32,
    nonceLength: 12,
    tagLength: 16,
    cipher: (key, nonce) => createCipheriv('chacha20-poly1305', key, nonce, fullTag),
    decipher: (key, nonce) => createDecipheriv('chacha20-poly1305', key, nonce, fullTag),
  },
  'aes-128-ccm-8': {
    keyLength: 16,
    nonceLength: 12,
    tagLength: 8,
    cipher: (key, nonce) => createCipheriv('aes-128-ccm', key, nonce, shortTag),
    decipher: (key, nonce) => createDecipheriv('aes-128-ccm', key, nonce, shortTag),
  },
  'aes-ccm-16-64-128': {
    keyLength: 16,
    nonceLength: 13,
    tagLength: 8,
    cipher: (key, nonce) => createCipheriv('aes-128-ccm', key, nonce, shortTag),
    decipher: (key, nonce) => createDecipheriv('aes-128-ccm', key, nonce, shortTag),
  },
  'aes-ccm-16-128-128': {
    keyLength: 16,
    nonceLength: 13,
    tagLength: 16,
    cipher: (key, nonce) => createCipheriv('aes-128-ccm', key, nonce, fullTag),
    decipher: (key, nonce) => createDecipheriv('aes-128-ccm', key, nonce, fullTag),
  },
}

/** With a nonce of 13 bytes CCM has two left for the length of the message (RFC 3610 §2.1). */
const longNonceLength = 13
const longNoncePlaintextMax = 0xffff

/** CCM takes its plaintext in one piece. */
const inOnePiece: ReadonlySet<AeadName> = new Set([
  'aes-128-ccm-8',
  'aes-ccm-16-64-128',
  'aes-ccm-16-128-128',
])

export const aeadNames: readonly AeadName[] = [
  'aes-128-gcm',
  'aes-256-gcm',
  'chacha20-poly1305',
  'aes-128-ccm-8',
  'aes-ccm-16-64-128',
  'aes-ccm-16-128-128',
]

export function seal(
  name: AeadName,
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  return concat(...sealPieces(name, key, nonce, aad, plaintext))
}

/** Ciphertext and tag, as Node gives them. */
export function sealPieces(
  name: AeadName,
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  ...pieces: readonly Uint8Array[]
): readonly Uint8Array[] {
  const plaintext = inOnePiece.has(name) && pieces.length > 1 ? [concat(...pieces)] : pieces
  const plaintextLength = lengthOf(plaintext)
  const keyObject = fittingKey(name, key, nonce)
  if (nonce.length === longNonceLength && plaintextLength > longNoncePlaintextMax) {
    const [most, found] = [longNoncePlaintextMax, plaintextLength]
    throw misused('ERR_AEAD_PLAINTEXT', name, 'plaintext', most, found, ' at most')
  }
  const cipher = aeads[name].cipher(keyObject, lentNonce(nonce))
  // CCM (RFC 3610 §2.2) begins with the length of the message; the others do not ask.
  cipher.setAAD(lentAad(aad), { plaintextLength })
  const ciphertext = plaintext.map((piece) => cipher.update(piece))
  // Ends the message: these are modes without padding, nothing comes out here.
  cipher.final()
  return [...ciphertext, cipher.getAuthTag()]
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

export function open(
  name: AeadName,
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array {
  const aead = aeads[name]
  const keyObject = fittingKey(name, key, nonce)
  const length = ciphertext.length - aead.tagLength
  if (length < 0) throw unopened(name)
  try {
    const decipher = aead.decipher(keyObject, lentNonce(nonce))
    decipher.setAuthTag(ciphertext.subarray(length))
    decipher.setAAD(lentAad(aad), { plaintextLength: length })
    const plaintext = decipher.update(ciphertext.subarray(0, length))
    // Throws when the tag does not fit: before that, nobody has seen the plaintext.
    decipher.final()
    return plaintext
  } catch (cause) {
    throw unopened(name, cause)
  }
}

/**
 * Small arrays lie in V8's heap, and Node has memory made outside of it for each that it is handed:
 * as much work as the cipher itself. Nonces and additional data, which are no secrets, are lent
 * these bytes for the length of the call, which copies them.
 */
const lent = Buffer.alloc(128)
const nonceBytesMax = 16
const lentNonces = Array.from({ length: nonceBytesMax + 1 }, (_, length) =>
  lent.subarray(0, length),
)
const aadStart = nonceBytesMax
const aadBytesMax = lent.length - aadStart

function lentNonce(nonce: Uint8Array): Uint8Array {
  const room = lentNonces[nonce.length]
  if (room === undefined) return nonce
  room.set(nonce)
  return room
}

function lentAad(aad: Uint8Array): Uint8Array {
  if (aad.length > aadBytesMax) return aad
  lent.set(aad, aadStart)
  return lent.subarray(aadStart, aadStart + aad.length)
}

function fittingKey(name: AeadName, key: SecretKey, nonce: Uint8Array): KeyObject {
  const { keyLength, nonceLength } = aeads[name]
  const keyObject = keyOf(key)
  if (key.length !== keyLength) throw misused('ERR_AEAD_KEY', name, 'key', keyLength, key.length)
  if (nonce.length === nonceLength) return keyObject
  throw misused('ERR_AEAD_NONCE', name, 'nonce', nonceLength, nonce.length)
}

function misused(
  code: NodeAeadErrorCode,
  name: AeadName,
  what: string,
  expected: number,
  found: number,
  bound = '',
): CallerError<NodeAeadErrorCode> {
  const details = { aead: name, expected, found }
  return new CallerError(code, `the ${what} of ${name} has ${expected} bytes${bound}`, details)
}

function unopened(name: AeadName, cause?: unknown): PeerError<ChannelCryptoErrorCode> {
  return new PeerError(
    'ERR_AEAD_OPEN',
    'a protected message cannot be opened: its tag does not fit',
    { aead: name },
    { cause },
  )
}
