/**
 * The two forms of an ECDSA signature: r || s as chips, COSE and JOSE have it (RFC 9053 §2.1), and
 * the DER of X.509 (RFC 3279 §2.2.3). Node takes and gives both, but for r || s it wants an object of
 * options, and finds out that this is no key by an error that it throws and catches: half as much as
 * the signature itself.
 */
import { der } from '@countersign/core/codec'

/** Of two halves, whatever they are: r and s of no signature make DER that does not verify. */
export function derOfHalves(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2
  const [r, s] = [signature.subarray(0, half), signature.subarray(half)]
  return der.sequence(der.unsignedInteger(r), der.unsignedInteger(s))
}

/** Of DER that OpenSSL has just written for a curve whose numbers have `half` bytes. */
export function halvesOfDer(written: Uint8Array, half: number): Uint8Array {
  const halves = new Uint8Array(2 * half)
  // SEQUENCE, INTEGER r, INTEGER s; all are short on P-256.
  const rEnd = 4 + (written[3] ?? 0)
  setRight(halves, half, written.subarray(4, rEnd))
  setRight(halves, 2 * half, written.subarray(rEnd + 2))
  return halves
}

/** Ends at `end`: without the sign's octet, with the zeros that DER leaves out. */
function setRight(halves: Uint8Array, end: number, integer: Uint8Array): void {
  const digits = integer[0] === 0 ? integer.subarray(1) : integer
  halves.set(digits, end - digits.length)
}
