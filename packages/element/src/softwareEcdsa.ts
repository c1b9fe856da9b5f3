/**
 * ECDSA over a ready digest (SEC 1 §4.1.3, FIPS 186-5 §6.4) for the software twin. The port signs
 * digests, as chips do, and node:crypto signs whole messages only, so a library does this one
 * thing. Its nonce is derived from key and digest (RFC 6979) and fresh randomness (§3.6): neither a
 * weak generator nor a fault repeated on the same digest gives the key away.
 */
import type { KeyObject } from 'node:crypto'
import { p256 } from '@noble/curves/nist.js'

/** r || s, 64 bytes. */
export function signDigest(key: KeyObject, digest: Uint8Array): Uint8Array {
  const secret = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')
  try {
    // Chips do not normalise s, and X.509 does not ask for it.
    return p256.sign(digest, secret, { prehash: false, lowS: false, extraEntropy: true })
  } finally {
    secret.fill(0)
  }
}
