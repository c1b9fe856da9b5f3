/**
 * When a signature counts: it is of the scheme that was asked for, and the crypto port says yes.
 * The port is synchronous; of a provider that is not after all the promise is no yes, whatever
 * comes of it.
 */
import type { SignatureScheme } from './ports.ts'

export function isYes(verdict: unknown): boolean {
  return verdict === true
}

/** Whether signatures of both have one form: for ECDSA r || s is not DER. */
export function sameScheme(one: SignatureScheme, other: SignatureScheme): boolean {
  if (one.kind === 'ecdsa' && other.kind === 'ecdsa') {
    return one.hash === other.hash && one.encoding === other.encoding
  }
  if (one.kind === 'rsa-pss' && other.kind === 'rsa-pss') {
    return one.hash === other.hash && one.saltLength === other.saltLength
  }
  if (one.kind === 'rsa-pkcs1' && other.kind === 'rsa-pkcs1') return one.hash === other.hash
  return one.kind === 'ed25519' && other.kind === 'ed25519'
}
