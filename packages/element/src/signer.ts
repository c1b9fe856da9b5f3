/**
 * A slot of an element as core's `Signer`: hashes the message, lets the element sign the digest,
 * and turns r || s into the DER that X.509 carries (RFC 3279 §2.2.3).
 */
import { createHash } from 'node:crypto'
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

/** r || s to SEQUENCE { INTEGER r, INTEGER s }. */
export function ecdsaToDer(signature: Uint8Array): Uint8Array {
  if (signature.length !== 2 * scalarLength) {
    throw new InvariantError(
      'ERR_ELEMENT_SIGNATURE',
      `an element answered ${signature.length} bytes where a P-256 signature has 64`,
    )
  }
  const r = derInteger(signature.subarray(0, scalarLength))
  const s = derInteger(signature.subarray(scalarLength))
  // Two integers of at most 35 bytes: the length always fits one octet.
  return Uint8Array.from([0x30, r.length + s.length, ...r, ...s])
}

function derInteger(bigEndian: Uint8Array): Uint8Array {
  let start = 0
  while (start < bigEndian.length - 1 && bigEndian[start] === 0) start++
  const magnitude = bigEndian.subarray(start)
  // X.690 §8.3: a leading one bit would make it negative.
  const pad = (magnitude[0] ?? 0) >= 0x80 ? [0] : []
  return Uint8Array.from([0x02, pad.length + magnitude.length, ...pad, ...magnitude])
}

export function requireDigest(digest: Uint8Array): void {
  if (digest.length === 32) return
  throw new CallerError<ElementErrorCode>(
    'ERR_ELEMENT_DIGEST',
    `an element signs a SHA-256 digest of 32 bytes, not ${digest.length}`,
  )
}
