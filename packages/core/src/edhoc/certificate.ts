/**
 * From a certificate that the judge verified to what a handshake trusts (RFC 9528 §3.5.1, §3.5.2):
 * CRED_x is the certificate of the end entity alone, also where a chain travels, and its key is for
 * what the method does with it (RFC 5280 §4.2.1.3).
 */
import { cbor } from '../codec/index.ts'
import type { Certificate, VerifiedPeer } from '../credential/index.ts'
import type { Crypto, KeyAlgorithm } from '../ports.ts'
import { edhocError } from './edhocError.ts'
import type { Authentication } from './methods.ts'
import type { TrustedCredential } from './proof.ts'
import type { Suite } from './suites.ts'

/** Throws PeerError ERR_EDHOC_CREDENTIAL for a key that is not for this method and suite. */
export function trustedCertificate(
  crypto: Crypto,
  suite: Suite,
  by: Authentication,
  { leaf }: VerifiedPeer,
): TrustedCredential {
  const { algorithm, keyBytes, der } = leaf.spki
  requireUsage(leaf, by)
  const credential = cbor.byteString(leaf.der)
  if (by === 'static key') {
    requireKey(algorithm, suite.curve.name, suite)
    crypto.importPublicKey(der, algorithm)
    // A point is uncompressed, as importing it says: 04, x, y. Of X25519 the key is its coordinate.
    const start = algorithm.kind === 'ec' ? 1 : 0
    return { kind: by, credential, g: keyBytes.slice(start, start + suite.curve.length) }
  }
  requireKey(algorithm, signers[suite.signature], suite)
  return { kind: by, credential, key: crypto.importPublicKey(der, algorithm) }
}

const signers = { ES256: 'P-256', ES384: 'P-384', EdDSA: 'Ed25519' } as const

function requireUsage({ extensions: { keyUsage } }: Certificate, by: Authentication): void {
  const usage = by === 'signature' ? 'digitalSignature' : 'keyAgreement'
  if (keyUsage === undefined || keyUsage.has(usage)) return
  throw edhocError('ERR_EDHOC_CREDENTIAL', `the key of the peer is not for ${usage}`)
}

function requireKey(
  algorithm: KeyAlgorithm | undefined,
  wanted: string,
  { number }: Suite,
): asserts algorithm is KeyAlgorithm {
  const found = algorithm?.kind === 'ec' ? algorithm.curve : namesOf[algorithm?.kind ?? 'none']
  if (found === wanted) return
  throw edhocError('ERR_EDHOC_CREDENTIAL', `suite ${number} takes a key of ${wanted} here`, {
    found,
  })
}

const namesOf = {
  ed25519: 'Ed25519',
  x25519: 'X25519',
  rsa: 'RSA',
  none: 'none that is known',
} as const
