/**
 * A slot of an element as core's `Signer`: hashes the message, lets the element sign the digest,
 * and turns r || s into the DER that X.509 carries (RFC 3279 §2.2.3).
 */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { concat, fromHex } from '@countersign/core/codec'
import { InvariantError } from '@countersign/core/errors'
import { derOfHalves } from './ecdsaForms.ts'
import { type ElementSigner, elementError, type SecureElement } from './ports.ts'

/** Bytes of a P-256 coordinate or scalar. */
const scalarLength = 32

export async function elementSigner(element: SecureElement, slot: number): Promise<ElementSigner> {
  return signerOf(element, slot, spkiOfPoint(await element.publicKey(slot)))
}

/**
 * The same for a key that is known already, from its certificate: a chip takes as long to tell its
 * public key as to sign, and is not asked. What it signs is verified instead, so that the key of
 * another slot or another chip is found here and not by the other end.
 */
export function knownElementSigner(
  element: SecureElement,
  slot: number,
  spki: Uint8Array,
): ElementSigner {
  const signer = signerOf(element, slot, spki)
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  return {
    ...signer,
    async sign(message) {
      const signature = await signer.sign(message)
      if (verify('sha256', message, key, signature)) return signature
      throw elementError(
        'ERR_ELEMENT_SWAPPED',
        `slot ${slot} of the element signs with another key than the one of the certificate`,
        { slot },
        { hint: 'Connect the element that the device was enrolled with, or enrol anew.' },
      )
    },
  }
}

function signerOf(element: SecureElement, slot: number, spki: Uint8Array): ElementSigner {
  return {
    scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'der' },
    spki,
    async sign(message) {
      const digest = createHash('sha256').update(message).digest()
      return ecdsaToDer(await element.sign(slot, digest))
    },
  }
}

/**
 * A SubjectPublicKeyInfo of P-256 up to the point (RFC 5480 §2): id-ecPublicKey, secp256r1, and the
 * octet 04 of an uncompressed point (SEC 1 §2.3.3). The point, X || Y, follows.
 */
const spkiHead = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004')

export function spkiOfPoint(point: Uint8Array): Uint8Array {
  requirePoint(point)
  return concat(spkiHead, point)
}

/** Of a SubjectPublicKeyInfo that Node wrote: its last 64 bytes. */
export function pointOfSpki(spki: Uint8Array): Uint8Array {
  return new Uint8Array(spki.subarray(spki.length - 2 * scalarLength))
}

export function requirePoint(point: Uint8Array): void {
  if (point.length === 2 * scalarLength) return
  throw elementError(
    'ERR_ELEMENT_ARGUMENT',
    `a public key of P-256 is X and Y, 64 bytes, not ${point.length}`,
  )
}

/** r || s of P-256 to SEQUENCE { INTEGER r, INTEGER s }. */
export function ecdsaToDer(signature: Uint8Array): Uint8Array {
  if (signature.length !== 2 * scalarLength) {
    throw new InvariantError(
      'ERR_ELEMENT_SIGNATURE',
      `an element answered ${signature.length} bytes where a P-256 signature has 64`,
    )
  }
  return derOfHalves(signature)
}

export function requireDigest(digest: Uint8Array): void {
  if (digest.length === 32) return
  throw elementError(
    'ERR_ELEMENT_DIGEST',
    `an element signs a SHA-256 digest of 32 bytes, not ${digest.length}`,
    {},
    { hint: 'Hash the message first, or sign it whole through elementSigner.' },
  )
}

/** More at once is a mistake of the caller, and on a chip would take minutes. */
const randomLengthMax = 4096

export function requireRandomLength(length: number): void {
  if (Number.isInteger(length) && length >= 0 && length <= randomLengthMax) return
  throw elementError(
    'ERR_ELEMENT_ARGUMENT',
    `an element gives 0 to ${randomLengthMax} random bytes at once, not ${length}`,
  )
}
