/**
 * Ephemeral public keys between the wire and the port of crypto. On P-256 EDHOC carries the x
 * coordinate alone (RFC 9528 §3.7); the port takes a whole point. Either of the two y leads to the
 * same secret, which is an x coordinate too. All values here are public: the arithmetic need not
 * run in constant time.
 */
import { concat, fromHex, hex } from '../codec/index.ts'
import { edhocError } from './edhocError.ts'
import type { UsableSuite } from './suites.ts'

/** SEC 2 §2.4.2: y² = x³ - 3x + b over this field. */
const prime: bigint = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn

/** First byte of a whole point (SEC 1 §2.3.3). */
const uncompressed: Uint8Array = Uint8Array.of(4)

/** What `EphemeralKey.agree` takes of a G_X or G_Y. Throws PeerError ERR_EDHOC_POINT. */
export function peerShare({ curve }: UsableSuite, g: Uint8Array): Uint8Array {
  if (g.length !== curve.length) {
    throw badPoint(curve.name, `it has ${g.length} bytes and not ${curve.length}`)
  }
  return curve.name === 'P-256' ? liftP256(g) : g
}

/** G_X or G_Y of a share that the port generated. */
export function shareOnWire({ curve }: UsableSuite, share: Uint8Array): Uint8Array {
  return curve.name === 'P-256' ? share.slice(1, 1 + curve.length) : share
}

/** A point with this x, its y the even one. */
function liftP256(x: Uint8Array): Uint8Array {
  const value = BigInt(`0x${hex(x)}`)
  if (value >= prime) throw badPoint('P-256', 'x is not below the order of the field')
  const square = (value ** 3n - 3n * value + b) % prime
  // The prime is 3 modulo 4: this is the root of a square, and of no other.
  const root = power((square + prime) % prime, (prime + 1n) / 4n)
  if ((root * root - square) % prime !== 0n) {
    throw badPoint('P-256', 'no point of the curve has this x')
  }
  const y = root % 2n === 0n ? root : prime - root
  return concat(uncompressed, x, fromHex(y.toString(16).padStart(64, '0')))
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % prime
    square = (square * square) % prime
  }
  return result
}

function badPoint(curve: string, what: string): ReturnType<typeof edhocError> {
  return edhocError('ERR_EDHOC_POINT', `the ephemeral key is no key of ${curve}: ${what}`)
}
