/**
 * P-256 for the emulator: OpenSSL multiplies, BigInt does the rest modulo n. That arithmetic is not
 * constant in time, which is right for an emulator, whose keys protect nothing, and nowhere else.
 * Unconfirmed on silicon (U65).
 */
import { createECDH, verify } from 'node:crypto'
import { p256 } from '@noble/curves/nist.js'
import { ecdsaToDer, spkiOfPoint } from '../../signer.ts'
import { inverse, positive } from './inverse.ts'
import { Refusal, status } from './status.ts'

const order = p256.Point.Fn.ORDER
const prime = p256.Point.Fp.ORDER
/** One for all: whoever uses it sets its key first. A new one each time has to be collected. */
const multiplier = createECDH('prime256v1')
/** A draw is out of range once in 2^32; a generator that is never in range is broken. */
const drawsMax = 8

/** What has a known digest, so that OpenSSL, which verifies messages only, can verify a digest. */
const knownMessage = new Uint8Array(0)
const knownDigest = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855n

export function isScalar(bytes: Uint8Array): boolean {
  const value = toNumber(bytes)
  return value > 0n && value < order
}

/** Of X || Y. */
export function isOnCurve(point: Uint8Array): boolean {
  return parsePoint(point) !== undefined
}

/** A scalar that is a private key. */
export function drawScalar(random: (length: number) => Uint8Array): Uint8Array {
  for (let draws = 0; draws < drawsMax; draws++) {
    const scalar = random(32)
    if (isScalar(scalar)) return scalar
  }
  throw new Refusal(status.rngHealth)
}

/** X || Y of the scalar's multiple of the base point. */
export function publicPoint(scalar: Uint8Array): Uint8Array {
  multiplier.setPrivateKey(scalar)
  return new Uint8Array(multiplier.getPublicKey().subarray(1))
}

/** X of the shared point; status 05 when `peer` is not on the curve. */
export function sharedSecret(scalar: Uint8Array, peer: Uint8Array): Uint8Array {
  if (!isOnCurve(peer)) throw new Refusal(status.ecc)
  multiplier.setPrivateKey(scalar)
  return new Uint8Array(multiplier.computeSecret(uncompressed(peer)))
}

/** ECDSA over a digest (FIPS 186-5 §6.4.1), r || s. */
export function signDigest(
  scalar: Uint8Array,
  digest: Uint8Array,
  random: (length: number) => Uint8Array,
): Uint8Array {
  for (let draws = 0; draws < drawsMax; draws++) {
    const nonce = drawScalar(random)
    const r = toNumber(publicPoint(nonce).subarray(0, 32)) % order
    const s = (inverse(toNumber(nonce), order) * (toNumber(digest) + r * toNumber(scalar))) % order
    if (r !== 0n && s !== 0n) return Buffer.concat([toBytes(r), toBytes(s)])
  }
  throw new Refusal(status.rngHealth)
}

/**
 * ECDSA over a digest e, by a verifier of messages: (r, s) fits e under Q exactly when it fits e0
 * under Q + ((e - e0) / r) G, for e G + r Q is the same point then. That is ten times faster than
 * doing it in JavaScript.
 */
export function verifyDigest(
  point: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  const q = parsePoint(point)
  if (q === undefined) throw new Refusal(status.ecc)
  const r = toNumber(signature.subarray(0, 32))
  if (r === 0n || r >= order) return false
  const shift = positive((toNumber(digest) - knownDigest) * inverse(r, order), order)
  const moved = shift === 0n ? q.toAffine() : sumOf(q, publicPoint(toBytes(shift)))
  if (moved === undefined) return false
  const key = pemOf(Buffer.concat([toBytes(moved.x), toBytes(moved.y)]))
  return verify('sha256', knownMessage, key, ecdsaToDer(signature))
}

/** A string, since Node finds out what an object is by errors that it catches, which take longer. */
function pemOf(point: Uint8Array): string {
  const der = Buffer.from(spkiOfPoint(point)).toString('base64')
  return `-----BEGIN PUBLIC KEY-----\n${der}\n-----END PUBLIC KEY-----\n`
}

interface Affine {
  readonly x: bigint
  readonly y: bigint
}

/** Undefined at infinity. The chord by hand spares noble's way over projective coordinates. */
function sumOf(point: Point, other: Uint8Array): Affine | undefined {
  const { x, y } = point.toAffine()
  const [x2, y2] = [toNumber(other.subarray(0, 32)), toNumber(other.subarray(32))]
  if (x === x2) return y === y2 ? point.double().toAffine() : undefined
  const slope = ((y2 - y) * inverse(x2 - x, prime)) % prime
  const x3 = positive(slope * slope - x - x2, prime)
  return { x: x3, y: positive(slope * (x - x3) - y, prime) }
}

type Point = InstanceType<typeof p256.Point>

function parsePoint(point: Uint8Array): Point | undefined {
  try {
    return p256.Point.fromBytes(uncompressed(point))
  } catch {
    return undefined
  }
}

function uncompressed(point: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(65)
  bytes[0] = 4
  bytes.set(point, 1)
  return bytes
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`)
}

function toBytes(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
}
