/**
 * How the server shows itself in a handshake: by the half of its identity that the method asks for,
 * named by a thumbprint or a kid, or sent whole to a device that lacks it.
 */
import type { ByValue } from '@countersign/core/channel'
import { cbor } from '@countersign/core/codec'
import {
  type CredentialReference,
  hashAlgorithm,
  hashNumber,
  thumbprint,
} from '@countersign/core/cose'
import type { Method, OwnCredential } from '@countersign/core/edhoc'
import { InvariantError } from '@countersign/core/errors'
import type { Crypto } from '@countersign/core/ports'
import type { EdhocCredentials, EdhocServerCredential } from '../../ports.ts'

export function serverCredential(
  crypto: Pick<Crypto, 'hash'>,
  credentials: EdhocCredentials,
  { responder }: Method,
  byValue: ByValue | undefined,
): OwnCredential {
  const shown = credentials.current(responder)
  const reference = byValue === undefined ? shortName(crypto, shown) : whole(shown, byValue)
  const named = { reference, credential: cbor.byteString(shown.der) }
  if (responder === 'static key') {
    const agree = present(shown.agree, shown)
    return { ...named, kind: responder, key: { agree } }
  }
  return { ...named, kind: responder, signer: present(shown.signer, shown) }
}

/** Where it signs, bytes do not matter beside the signature; a static key is for narrow links. */
function shortName(
  crypto: Pick<Crypto, 'hash'>,
  { kind, kid, der }: EdhocServerCredential,
): CredentialReference {
  if (kind === 'static key') return { kid }
  return { x5t: thumbprint(crypto, hashAlgorithm(hashNumber.sha256Truncated, 'ID_CRED_R'), der) }
}

/**
 * A static key is called by its kid from the next handshake on, which the certificate does not say.
 */
function whole(
  { kind, kid, der, issuer }: EdhocServerCredential,
  byValue: ByValue,
): CredentialReference {
  const x5chain = byValue === 'leaf' ? [der] : [der, issuer]
  return kind === 'static key' ? { kid, x5chain } : { x5chain }
}

function present<Key>(key: Key | undefined, { kind }: EdhocServerCredential): Key {
  if (key !== undefined) return key
  throw new InvariantError('ERR_EDHOC_CREDENTIAL', `the server's ${kind} has no key`)
}
