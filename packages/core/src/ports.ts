/**
 * What core needs from the world: time, randomness, cryptography. Core itself has no clock, no
 * timer and no entropy; whoever composes a program hands them in. The crypto port is synchronous:
 * only a secure element and a CA signer, whose keys live elsewhere, are asynchronous.
 */

export * from './elementErrors.ts'
export * from './elementPort.ts'

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Milliseconds = number

export interface Clock {
  now(): Milliseconds
}

/** Timers that tests can hold in their hand. */
export interface Timers {
  after(milliseconds: Milliseconds, run: () => void): { cancel(): void }
}

export interface Random {
  /** `length` bytes from a cryptographically secure source. */
  bytes(length: number): Uint8Array
}

export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512'

export type KeyAlgorithm =
  | { readonly kind: 'ec'; readonly curve: 'P-256' | 'P-384' | 'P-521' }
  | { readonly kind: 'ed25519' }
  /** Agrees and signs nothing: a static key of EDHOC (RFC 8410, RFC 9528 §3.2). */
  | { readonly kind: 'x25519' }
  | { readonly kind: 'rsa'; readonly modulusBits: number }

/**
 * How a signature was made. X.509 carries ECDSA as a DER SEQUENCE of r and s; COSE and JOSE as r ||
 * s.
 */
export type SignatureScheme =
  | { readonly kind: 'ecdsa'; readonly hash: HashName; readonly encoding: 'der' | 'p1363' }
  | { readonly kind: 'ed25519' }
  | { readonly kind: 'rsa-pkcs1'; readonly hash: HashName }
  | { readonly kind: 'rsa-pss'; readonly hash: HashName; readonly saltLength: number }

/**
 * A public key that the provider has imported. Opaque: only the provider that made it can use it.
 */
export interface PublicKey {
  readonly algorithm: KeyAlgorithm
  /** DER of the SubjectPublicKeyInfo it was imported from. */
  readonly spki: Uint8Array
}

export interface Crypto {
  hash(name: HashName, data: Uint8Array): Uint8Array
  /**
   * Imports a SubjectPublicKeyInfo whose algorithm the caller has already parsed. Throws PeerError
   * ERR_KEY_INVALID.
   */
  importPublicKey(spki: Uint8Array, algorithm: KeyAlgorithm): PublicKey
  /**
   * False when the signature does not verify, also when it is malformed or the scheme does not fit
   * the key. Whoever asks does so by `isYes`. Throws CallerError ERR_KEY_FOREIGN for a key that
   * another provider imported.
   */
  verify(key: PublicKey, scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean
}

/**
 * The last two are of COSE (RFC 9053 §4.2): nonces of 13 bytes, tags of 8 and 16. No suite of TLS
 * has them.
 */
export type AeadName =
  | 'aes-128-gcm'
  | 'aes-256-gcm'
  | 'chacha20-poly1305'
  | 'aes-128-ccm-8'
  | 'aes-ccm-16-64-128'
  | 'aes-ccm-16-128-128'

/** Groups of TLS 1.3 by their registered names (RFC 8446 §4.2.7, draft-ietf-tls-ecdhe-mlkem). */
export type GroupName = 'x25519' | 'secp256r1' | 'X25519MLKEM768'

/**
 * Key material inside the provider: a handle without a face. Only the provider that made it can use
 * it.
 */
export interface SecretKey {
  /** Bytes. */
  readonly length: number
}

/** A hash that goes on: of a transcript that is asked for more than once. */
export interface Hasher {
  update(data: Uint8Array): void
  /** Of everything so far; more may follow. */
  digest(): Uint8Array
}

/** A key pair for one handshake: it agrees as often as it was made for, and is gone then. */
export interface EphemeralKey {
  readonly group: GroupName
  /** The client's share as it travels (RFC 8446 §4.2.8.2; the hybrid: ML-KEM first). */
  readonly share: Uint8Array
  /**
   * The shared secret with the server's share. Throws PeerError ERR_KEY_SHARE for a wrong length, a
   * point off its curve, a secret of zeros (RFC 7748 §6.1).
   */
  agree(peerShare: Uint8Array): SecretKey
}

export type ChannelCryptoErrorCode = 'ERR_KEY_SHARE' | 'ERR_AEAD_OPEN'

/** What a secured channel needs beside hashes and signatures. Symmetric keys are handles. */
export interface ChannelCrypto extends Crypto {
  /** What this provider has; a policy can only choose among these. */
  readonly aeads: readonly AeadName[]
  readonly groups: readonly GroupName[]
  hasher(name: HashName): Hasher
  /**
   * A point of P-256 with this x coordinate of 32 bytes, uncompressed (SEC 1 §2.3.3, §2.3.4),
   * whichever of the two; undefined: no point has it. What is public goes in and comes out.
   */
  pointOfX(x: Uint8Array): Uint8Array | undefined
  /** Copies the bytes; the caller wipes its own. */
  importSecret(bytes: Uint8Array): SecretKey
  /** For what leaves the channel by design: an IV, an exporter's output, a ticket's key at rest. */
  exportSecret(key: SecretKey): Uint8Array
  /** RFC 5869 §2.2. */
  hkdfExtract(hash: HashName, salt: SecretKey, inputKey: SecretKey): SecretKey
  /** RFC 5869 §2.3. */
  hkdfExpand(hash: HashName, key: SecretKey, info: Uint8Array, length: number): SecretKey
  hmac(hash: HashName, key: SecretKey, data: Uint8Array): Uint8Array
  /**
   * `agreements`: one where nothing is said. EDHOC takes more where the other end has a static key
   * (RFC 9528 §4.1.1).
   */
  generateEphemeral(group: GroupName, agreements?: number): EphemeralKey
  /** Ciphertext with its tag behind it (RFC 5116 §5). */
  seal(
    aead: AeadName,
    key: SecretKey,
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): Uint8Array
  /**
   * What `seal` makes of the pieces as one plaintext, in pieces too. A provider that has this
   * spares a long record two copies.
   */
  sealPieces?(
    aead: AeadName,
    key: SecretKey,
    nonce: Uint8Array,
    aad: Uint8Array,
    ...plaintext: readonly Uint8Array[]
  ): readonly Uint8Array[]
  /** Throws PeerError ERR_AEAD_OPEN when the tag does not fit, or there is no room for one. */
  open(
    aead: AeadName,
    key: SecretKey,
    nonce: Uint8Array,
    aad: Uint8Array,
    ciphertext: Uint8Array,
  ): Uint8Array
}

/**
 * A private key that signs and is never seen: a software key, a token, a secure element.
 * Asynchronous because it lives elsewhere. `sign` takes the whole message (not a digest) and
 * answers in the encoding that `scheme` names.
 */
export interface Signer {
  readonly scheme: SignatureScheme
  readonly spki: Uint8Array
  sign(message: Uint8Array): Promise<Uint8Array>
}
