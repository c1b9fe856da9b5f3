/**
 * A slot of an element as core's `Signer`: hashes the message, lets the element sign the digest,
 * and turns r || s into the DER that X.509 carries (RFC 3279 §2.2.3).
 */
import { createHash } from 'node:crypto'
import { der } from '@countersign/core/codec'
import { CallerError, InvariantError } from '@countersign/core/errors'
import type { ElementErrorCode, ElementSigner, SecureElement } from './ports.ts'

/** Bytes of a P-256 coordinate or scalar. */
const scalarLength = 32

export async function elementSigner(element: SecureElement, slot: number): Promise<ElementSigner> {
  const spki = await element.publicKey(slot)
  return {
    scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'der' },
    spki,
    async sign(message) {
      const digest = createHash('sha256').update(message).digest()
      return ecdsaToDer(await element.sign(slot, digest))
    },
  }
}

/** r || s of P-256 to SEQUENCE { INTEGER r, INTEGER s }. */
export function ecdsaToDer(signature: Uint8Array): Uint8Array {
  if (signature.length !== 2 * scalarLength) {
    throw new InvariantError(
      'ERR_ELEMENT_SIGNATURE',
      `an element answered ${signature.length} bytes where a P-256 signature has 64`,
    )
  }
  const [r, s] = [signature.subarray(0, scalarLength), signature.subarray(scalarLength)]
  return der.sequence(der.unsignedInteger(r), der.unsignedInteger(s))
}

export function requireDigest(digest: Uint8Array): void {
  if (digest.length === 32) return
  throw new CallerError<ElementErrorCode>(
    'ERR_ELEMENT_DIGEST',
    `an element signs a SHA-256 digest of 32 bytes, not ${digest.length}`,
    {},
    { hint: 'Hash the message first, or sign it whole through elementSigner.' },
  )
}
