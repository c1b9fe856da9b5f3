/** AlgorithmIdentifiers that our own CAs sign with (RFC 5758 §3.2, RFC 8410 §3): parameters are absent. */
import { der } from '@countersign/core/codec'
import { algorithmOid } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type { SignatureScheme } from '@countersign/core/ports'

const ecdsaOids: Readonly<Record<string, string>> = {
  sha256: algorithmOid.ecdsaWithSha256,
  sha384: algorithmOid.ecdsaWithSha384,
  sha512: algorithmOid.ecdsaWithSha512,
}

export function signatureAlgorithm(scheme: SignatureScheme): Uint8Array {
  const oid = oidOf(scheme)
  if (oid !== undefined) return der.sequence(der.oid(oid))
  throw new CallerError('ERR_SIGNER_SCHEME', 'a CA signs with ECDSA (DER) or Ed25519', {
    scheme: scheme.kind,
  })
}

function oidOf(scheme: SignatureScheme): string | undefined {
  if (scheme.kind === 'ed25519') return algorithmOid.ed25519
  return scheme.kind === 'ecdsa' && scheme.encoding === 'der' ? ecdsaOids[scheme.hash] : undefined
}
