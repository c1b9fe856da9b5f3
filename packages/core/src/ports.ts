/**
 * What core needs from the world: time, randomness, cryptography. Core itself has no clock, no
 * timer and no entropy; whoever composes a program hands them in. The crypto port is synchronous:
 * only a secure element and a CA signer, whose keys live elsewhere, are asynchronous.
 */

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Milliseconds = number

export interface Clock {
  now(): Milliseconds
}

export interface Random {
  /** `length` bytes from a cryptographically secure source. */
  bytes(length: number): Uint8Array
}

export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512'

export type KeyAlgorithm =
  | { readonly kind: 'ec'; readonly curve: 'P-256' | 'P-384' | 'P-521' }
  | { readonly kind: 'ed25519' }
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
   * the key.
   */
  verify(key: PublicKey, scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean
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
