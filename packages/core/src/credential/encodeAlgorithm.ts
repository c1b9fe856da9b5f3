/**
 * AlgorithmIdentifier of signatures as DER (RFC 4055, RFC 5758, RFC 8410), and X.509's form of ECDSA
 * signatures.
 */
import { der } from '../codec/index.ts'
import type { HashName, SignatureScheme } from '../ports.ts'
import { algorithmOid as id } from './oids.ts'

const ecdsaOids: Readonly<Record<HashName, string>> = {
  sha1: id.ecdsaWithSha1,
  sha256: id.ecdsaWithSha256,
  sha384: id.ecdsaWithSha384,
  sha512: id.ecdsaWithSha512,
}
const rsaOids: Readonly<Record<HashName, string>> = {
  sha1: id.sha1WithRsa,
  sha256: id.sha256WithRsa,
  sha384: id.sha384WithRsa,
  sha512: id.sha512WithRsa,
}
const hashOids: Readonly<Record<HashName, string>> = {
  sha1: id.sha1,
  sha256: id.sha256,
  sha384: id.sha384,
  sha512: id.sha512,
}

/** AlgorithmIdentifier of signatures made by this scheme. */
export function encodeSignatureAlgorithm(scheme: SignatureScheme): Uint8Array {
  switch (scheme.kind) {
    case 'ecdsa':
      return der.sequence(der.oid(ecdsaOids[scheme.hash]))
    case 'ed25519':
      return der.sequence(der.oid(id.ed25519))
    case 'rsa-pkcs1':
      return der.sequence(der.oid(rsaOids[scheme.hash]), der.nullValue())
    case 'rsa-pss':
      return der.sequence(der.oid(id.rsaPss), pssParameters(scheme.hash, scheme.saltLength))
  }
}

/** RFC 4055 §3.1: defaults (SHA-1, 20) are left out. */
function pssParameters(hash: HashName, saltLength: number): Uint8Array {
  const salt = saltLength === 20 ? [] : [der.explicit(2, der.integer(saltLength))]
  if (hash === 'sha1') return der.sequence(...salt)
  const algorithm = der.sequence(der.oid(hashOids[hash]), der.nullValue())
  const mask = der.sequence(der.oid(id.mgf1), algorithm)
  return der.sequence(der.explicit(0, algorithm), der.explicit(1, mask), ...salt)
}

/**
 * What goes into `signatureValue`: ECDSA as SEQUENCE { r, s } (RFC 3279 §2.2.3), the rest as it is.
 */
export function encodeSignatureValue(scheme: SignatureScheme, signature: Uint8Array): Uint8Array {
  if (scheme.kind !== 'ecdsa' || scheme.encoding === 'der') return signature
  const half = signature.length / 2
  return der.sequence(
    der.unsignedInteger(signature.subarray(0, half)),
    der.unsignedInteger(signature.subarray(half)),
  )
}
