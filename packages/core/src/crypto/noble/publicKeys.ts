/**
 * Public keys and signatures on @noble/curves: ECDSA on P-256, P-384 and P-521, Ed25519 (RFC 8032).
 * There is no RSA: a key of it is refused at its import. A SubjectPublicKeyInfo is recognised by its
 * first bytes, because in DER there is one way to write those of each algorithm (RFC 5480 §2, RFC
 * 8410 §4); a point of ECDSA is uncompressed.
 */
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { CallerError, PeerError } from '../../errors.ts'
import type { KeyAlgorithm, PublicKey, SignatureScheme } from '../../ports.ts'
import { hash } from './secrets.ts'

export type NobleKeyErrorCode = 'ERR_KEY_INVALID' | 'ERR_KEY_FOREIGN'

const curves = { 'P-256': p256, 'P-384': p384, 'P-521': p521 } as const

/** A SubjectPublicKeyInfo up to the key, and the bytes of the key. */
interface Shape {
  readonly head: readonly number[]
  readonly keyLength: number
}

const ecShapes: Readonly<Record<keyof typeof curves, Shape>> = {
  'P-256': shape('3059301306072a8648ce3d020106082a8648ce3d030107034200', 65),
  'P-384': shape('3076301006072a8648ce3d020106052b81040022036200', 97),
  'P-521': shape('30819b301006072a8648ce3d020106052b8104002303818600', 133),
}
const ed25519Shape = shape('302a300506032b6570032100', 32)
const x25519Shape = shape('302a300506032b656e032100', 32)

class NoblePublicKey implements PublicKey {
  readonly algorithm: KeyAlgorithm
  readonly spki: Uint8Array
  readonly #key: Uint8Array

  constructor(spki: Uint8Array, algorithm: KeyAlgorithm, key: Uint8Array) {
    this.spki = spki
    this.algorithm = algorithm
    this.#key = key
  }

  verify(scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean {
    const { algorithm } = this
    if (scheme.kind === 'ecdsa' && algorithm.kind === 'ec') {
      const format = scheme.encoding === 'der' ? 'der' : 'compact'
      // A high s is as good as a low one in X.509, TLS and COSE.
      const options = { prehash: false, lowS: false, format } as const
      const digest = hash(scheme.hash, data)
      return holds(() => curves[algorithm.curve].verify(signature, digest, this.#key, options))
    }
    if (scheme.kind === 'ed25519' && algorithm.kind === 'ed25519') {
      return holds(() => ed25519.verify(signature, data, this.#key, { zip215: false }))
    }
    return false
  }
}

/** Throws PeerError ERR_KEY_INVALID. */
export function importPublicKey(spki: Uint8Array, algorithm: KeyAlgorithm): PublicKey {
  if (algorithm.kind === 'rsa') throw invalidKey('this provider has no RSA')
  const key = keyOf(spki, shapeOf(algorithm))
  if (key === undefined) throw invalidKey('it is written as no key of its algorithm is')
  try {
    requireSound(algorithm, key)
  } catch (cause) {
    throw invalidKey('it is no sound point of its curve', cause)
  }
  return new NoblePublicKey(spki, algorithm, key)
}

/** Throws CallerError ERR_KEY_FOREIGN. */
export function verify(
  key: PublicKey,
  scheme: SignatureScheme,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!(key instanceof NoblePublicKey)) throw foreignKey()
  return key.verify(scheme, data, signature)
}

type KnownAlgorithm = Exclude<KeyAlgorithm, { readonly kind: 'rsa' }>

function shapeOf(algorithm: KnownAlgorithm): Shape {
  switch (algorithm.kind) {
    case 'ec':
      return ecShapes[algorithm.curve]
    case 'ed25519':
      return ed25519Shape
    case 'x25519':
      return x25519Shape
  }
}

function requireSound(algorithm: KnownAlgorithm, key: Uint8Array): void {
  switch (algorithm.kind) {
    case 'ec':
      curves[algorithm.curve].Point.fromBytes(key)
      return
    case 'ed25519':
      requireLargeOrder(key)
      return
    case 'x25519':
      // RFC 7748 §6.1: with a key of small order every secret is zero, which noble refuses.
      x25519.getSharedSecret(anyX25519Key, key)
  }
}

/** Every private key is a multiple of the cofactor. */
const anyX25519Key: Uint8Array = new Uint8Array(32).fill(1)

/**
 * A signature under a key of small order proves nothing. Coordinates beyond the field are refused
 * too.
 */
function requireLargeOrder(key: Uint8Array): void {
  if (ed25519.Point.fromBytes(key, false).isSmallOrder()) {
    throw new Error('the point is of small order')
  }
}

/** Noble answers some malformed signatures with false and throws for others. */
function holds(check: () => boolean): boolean {
  try {
    return check()
  } catch {
    return false
  }
}

function keyOf(spki: Uint8Array, { head, keyLength }: Shape): Uint8Array | undefined {
  if (spki.length !== head.length + keyLength) return undefined
  if (head.some((byte, index) => byte !== spki[index])) return undefined
  return spki.slice(head.length)
}

function shape(digits: string, keyLength: number): Shape {
  const pairs = digits.match(/../g) ?? []
  return { head: pairs.map((pair) => Number.parseInt(pair, 16)), keyLength }
}

function invalidKey(reason: string, cause?: unknown): PeerError<NobleKeyErrorCode> {
  return new PeerError(
    'ERR_KEY_INVALID',
    `a public key cannot be used: ${reason}`,
    {},
    {
      hint: 'Use a key of P-256, P-384, P-521, Ed25519 or X25519, written as RFC 5480 or RFC 8410 say.',
      cause,
    },
  )
}

function foreignKey(): CallerError<NobleKeyErrorCode> {
  return new CallerError(
    'ERR_KEY_FOREIGN',
    'a public key cannot be used: it was imported by another provider',
    {},
    { hint: 'Import the key with the provider that is to verify.' },
  )
}
