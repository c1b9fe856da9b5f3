/**
 * A private key in this process as core's `Signer`: for a CA whose key file was opened, for tests,
 * for a host without a chip. The port is asynchronous because other signers are; this one signs at
 * once, which costs less than the thread pool.
 */
import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { CallerError } from '@countersign/core/errors'
import type { SignatureScheme, Signer } from '@countersign/core/ports'
import { halvesOfDer } from './ecdsaForms.ts'

export type SoftwareSignerErrorCode = 'ERR_SIGNER_KEY'

/**
 * ECDSA P-256 with SHA-256, ECDSA P-384 with SHA-384, both as DER (RFC 5480, RFC 5758), or Ed25519
 * (RFC 8410).
 */
export function softwareSigner(privateKey: KeyObject): Signer {
  const scheme = schemeOf(privateKey)
  const spki = new Uint8Array(createPublicKey(privateKey).export({ type: 'spki', format: 'der' }))
  const hash = scheme.kind === 'ed25519' ? null : scheme.hash
  return {
    scheme,
    spki,
    sign: async (message) => sign(hash, message, privateKey),
  }
}

/** A key of P-256 as COSE has its signatures (RFC 9053 §2.1): SHA-256, r || s. For EDHOC. */
export function softwareCoseSigner(privateKey: KeyObject): Signer {
  const { scheme, spki } = softwareSigner(privateKey)
  if (scheme.kind !== 'ecdsa' || scheme.hash !== 'sha256') throw noKey(privateKey, 'P-256')
  return {
    scheme: { ...scheme, encoding: 'p1363' },
    spki,
    sign: async (message) => halvesOfDer(sign(scheme.hash, message, privateKey), 32),
  }
}

function schemeOf(key: KeyObject): Exclude<SignatureScheme, { kind: 'rsa-pkcs1' | 'rsa-pss' }> {
  if (key.type === 'private') {
    if (key.asymmetricKeyType === 'ed25519') return { kind: 'ed25519' }
    if (key.asymmetricKeyType === 'ec') {
      const curve = key.asymmetricKeyDetails?.namedCurve
      if (curve === 'prime256v1') return { kind: 'ecdsa', hash: 'sha256', encoding: 'der' }
      if (curve === 'secp384r1') return { kind: 'ecdsa', hash: 'sha384', encoding: 'der' }
    }
  }
  throw noKey(key, 'P-256, P-384 or Ed25519')
}

function noKey(key: KeyObject, curves: string): CallerError<SoftwareSignerErrorCode> {
  return new CallerError(
    'ERR_SIGNER_KEY',
    `a signer needs a private key of ${curves}`,
    { keyType: key.asymmetricKeyType },
    { hint: 'Make one with generateKeyPairSync("ec", { namedCurve: "P-256" }).' },
  )
}
