/**
 * ECDSA over a ready digest (SEC 1 §4.1.4), which Node does not verify: it takes whole messages.
 * OpenSSL, through Node, multiplies the points; here they are added.
 */
import { createECDH, ECDH } from 'node:crypto'

const curve = 'prime256v1'
/** SEC 2 §2.4.2. */
const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn
const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

export function verifiesDigest(
  point: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  const [r, s] = [integer(signature.subarray(0, 32)), integer(signature.subarray(32))]
  if (signature.length !== 64 || r < 1n || r >= n || s < 1n || s >= n) return false
  const w = inverse(s, n)
  const [u1, u2] = [(integer(digest) * w) % n, (r * w) % n]
  const ofKey = timesKey(u2, point)
  if (u1 === 0n) return ofKey % n === r
  const ofBase = timesBase(u1)
  // An agreement gives x alone: one of the two points that have it is the sum's other part.
  return bothWith(ofKey).some((each) => sumX(ofBase, each) % n === r)
}

type Point = readonly [x: bigint, y: bigint]

function timesKey(scalar: bigint, point: Uint8Array): bigint {
  const ecdh = createECDH(curve)
  ecdh.setPrivateKey(octets(scalar))
  return integer(ecdh.computeSecret(Uint8Array.of(4, ...point)))
}

function timesBase(scalar: bigint): Point {
  const ecdh = createECDH(curve)
  ecdh.setPrivateKey(octets(scalar))
  return pointOf(ecdh.getPublicKey())
}

function bothWith(x: bigint): readonly Point[] {
  const even = Buffer.from([2, ...octets(x)])
  const [, y] = pointOf(ECDH.convertKey(even, curve) as Buffer)
  return [
    [x, y],
    [x, p - y],
  ]
}

/** Of two points that are neither equal nor opposite. */
function sumX([x1, y1]: Point, [x2, y2]: Point): bigint {
  const slope = modulo((y2 - y1) * inverse(modulo(x2 - x1, p), p), p)
  return modulo(slope * slope - x1 - x2, p)
}

function pointOf(uncompressed: Uint8Array): Point {
  return [integer(uncompressed.subarray(1, 33)), integer(uncompressed.subarray(33))]
}

/** Of a prime modulus (Fermat). */
function inverse(value: bigint, modulus: bigint): bigint {
  let [result, square, rest] = [1n, value, modulus - 2n]
  for (; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

function modulo(value: bigint, modulus: bigint): bigint {
  return ((value % modulus) + modulus) % modulus
}

function integer(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

function octets(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
}
