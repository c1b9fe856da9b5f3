/** ECDSA P-256 with SHA-256 over points and signatures as chips and JOSE write them (r || s). */
import { concat, equalBytes, fromHex } from '../codec/index.ts'
import type { Spki } from '../credential/index.ts'
import { PeerError } from '../errors.ts'
import type { Crypto } from '../ports.ts'
import { isYes } from '../verdict.ts'

/** A SubjectPublicKeyInfo of P-256 up to X || Y (RFC 5480 §2, SEC 1 §2.3.3). */
const spkiHead = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004')
const pointLength = 64

export function spkiOfP256(point: Uint8Array): Uint8Array {
  return concat(spkiHead, point)
}

/** X || Y; undefined for another kind of key, or a point that is compressed. */
export function pointOfP256({ der }: Pick<Spki, 'der'>): Uint8Array | undefined {
  const head = der.subarray(0, spkiHead.length)
  if (der.length !== spkiHead.length + pointLength || !equalBytes(head, spkiHead)) return undefined
  return der.subarray(spkiHead.length)
}

/** False also for what is no point of the curve. */
export function ecdsaP256Verifies(
  point: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
  crypto: Crypto,
): boolean {
  try {
    const key = crypto.importPublicKey(spkiOfP256(point), { kind: 'ec', curve: 'P-256' })
    const scheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' } as const
    return isYes(crypto.verify(key, scheme, data, signature))
  } catch (error) {
    if (error instanceof PeerError) return false
    throw error
  }
}
