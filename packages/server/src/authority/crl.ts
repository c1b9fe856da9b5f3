/**
 * A CertificateList (RFC 5280 §5) around a RevokedList: version 2, complete, with crlNumber and the
 * issuer's key identifier. The whole CRL is laid out in one buffer: a list of 100,000 entries is
 * copied once, hashed once and signed.
 */
import { der } from '@countersign/core/codec'
import {
  encodeAuthorityKeyId,
  encodeCrlNumber,
  encodeSignatureAlgorithm,
} from '@countersign/core/credential'
import type { Milliseconds, Signer } from '@countersign/core/ports'
import type { RevokedList } from './revokedList.ts'

export interface CrlParts {
  /** Name of the CA, DER. */
  readonly issuer: Uint8Array
  /** Subject key identifier of the CA. */
  readonly keyId: Uint8Array
  readonly number: number
  readonly thisUpdate: Milliseconds
  readonly nextUpdate: Milliseconds
  readonly revoked: RevokedList
}

/** Header octets of a list of up to 2^32 bytes. */
const headerMax = 6
/** AlgorithmIdentifier and BIT STRING of a P-384 or Ed25519 signature: 12 + 3 + 104 at most. */
const trailerMax = 160

export async function signCrl(parts: CrlParts, signer: Signer): Promise<Uint8Array> {
  const algorithm = encodeSignatureAlgorithm(signer.scheme)
  const buffer = layOut(parts, algorithm)
  const tbsEnd = buffer.length - trailerMax
  const signature = der.bitString(await signer.sign(buffer.subarray(headerMax, tbsEnd)))
  buffer.set(algorithm, tbsEnd)
  buffer.set(signature, tbsEnd + algorithm.length)
  const end = tbsEnd + algorithm.length + signature.length
  const length = end - headerMax
  const start = headerMax - 1 - der.lengthOctets(length)
  der.writeHeader(buffer, start, 0x30, length)
  return buffer.subarray(start, end)
}

/**
 * A buffer with the TBSCertList behind room for the outer header and before room for the signature.
 */
function layOut(parts: CrlParts, algorithm: Uint8Array): Uint8Array {
  const { revoked } = parts
  const head = [
    der.integer(1),
    algorithm,
    parts.issuer,
    der.time(parts.thisUpdate),
    der.time(parts.nextUpdate),
  ]
  const extensions = der.explicit(
    0,
    der.sequence(encodeAuthorityKeyId(parts.keyId), encodeCrlNumber(parts.number)),
  )
  // §5.1.2.6: when nothing is revoked, the list is absent, not empty.
  const listLength =
    revoked.size === 0 ? 0 : 1 + der.lengthOctets(revoked.byteLength) + revoked.byteLength
  const length = head.reduce((sum, one) => sum + one.length, listLength + extensions.length)
  const whole = headerMax + 1 + der.lengthOctets(length) + length + trailerMax
  // Every byte up to the trailer is written below, and the trailer is cut off.
  const buffer = new Uint8Array(Buffer.allocUnsafeSlow(whole).buffer)
  let at = der.writeHeader(buffer, headerMax, 0x30, length)
  for (const part of head) at = put(buffer, at, part)
  if (revoked.size > 0) {
    at = der.writeHeader(buffer, at, 0x30, revoked.byteLength)
    at = revoked.copyTo(buffer, at)
  }
  put(buffer, at, extensions)
  return buffer
}

function put(into: Uint8Array, at: number, bytes: Uint8Array): number {
  into.set(bytes, at)
  return at + bytes.length
}
