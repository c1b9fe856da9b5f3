/**
 * ECDSA over a ready digest (SEC 1 §4.1.3, FIPS 186-5 §6.4) for the software twin. node:crypto signs messages only, and the
 * port signs digests, as chips do. OpenSSL does what must be done on the curve (k·G, in constant time); the arithmetic modulo
 * the group order is BigInt's, which is not constant-time: the secret factors are blinded by a fresh random one.
 */
import { createECDH, type KeyObject, randomBytes } from 'node:crypto'

/** Order of the P-256 group (SEC 2 §2.4.2). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

export function signDigest(key: KeyObject, digest: Uint8Array): Uint8Array {
  const d = privateScalar(key)
  const z = toBigInt(digest) % order
  for (;;) {
    const k = randomScalar()
    const r = xOfMultiple(k) % order
    const blind = randomScalar()
    // s = k^-1 (z + r d), computed as (b k)^-1 (b z + r (b d)): the inversion sees only a blinded nonce.
    const s = (invert((blind * k) % order) * (blind * z + r * ((blind * d) % order))) % order
    if (r !== 0n && s !== 0n) return Buffer.concat([toBytes(r), toBytes(s)])
  }
}

function privateScalar(key: KeyObject): bigint {
  const { d } = key.export({ format: 'jwk' })
  return toBigInt(Buffer.from(d ?? '', 'base64url'))
}

/** Uniform in 1 … order - 1, by rejection. */
function randomScalar(): bigint {
  for (;;) {
    const candidate = toBigInt(randomBytes(32))
    if (candidate > 0n && candidate < order) return candidate
  }
}

function xOfMultiple(k: bigint): bigint {
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(toBytes(k))
  return toBigInt(curve.getPublicKey(null, 'uncompressed').subarray(1, 33))
}

/** Modular inverse by the extended Euclidean algorithm. */
function invert(value: bigint): bigint {
  let [a, b] = [value, order]
  let [x, y] = [1n, 0n]
  while (b !== 0n) {
    const quotient = a / b
    ;[a, b] = [b, a - quotient * b]
    ;[x, y] = [y, x - quotient * y]
  }
  return x < 0n ? x + order : x
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function toBytes(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
}
