/**
 * A private key of P-256 in this process that agrees on secrets and signs nothing: the static key of
 * EDHOC (RFC 9528 §3.2), for a server whose keys are files and for tests. What `elementStaticKey` is
 * to a key in an element.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { StaticKey } from '@countersign/core/edhoc'
import { CallerError } from '@countersign/core/errors'
import { ephemeralFrom } from './nodeGroups.ts'

export type SoftwareStaticKeyErrorCode = 'ERR_STATIC_KEY'

/** `agree` throws PeerError ERR_KEY_SHARE for what is no uncompressed point of the curve. */
export function softwareStaticKey(privateKey: KeyObject): StaticKey {
  requireP256(privateKey)
  // It differs from an ephemeral one only in that it is never spent.
  const keys = { privateKey, publicKey: createPublicKey(privateKey) }
  const pair = ephemeralFrom('secp256r1', keys, Number.POSITIVE_INFINITY)
  return { agree: async (peerShare) => pair.agree(peerShare) }
}

function requireP256(key: KeyObject): void {
  const isPrivate = key.type === 'private' && key.asymmetricKeyType === 'ec'
  if (isPrivate && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return
  throw new CallerError<SoftwareStaticKeyErrorCode>(
    'ERR_STATIC_KEY',
    'a static key is a private key of P-256',
    { keyType: key.asymmetricKeyType },
    { hint: 'Make one with generateKeyPairSync("ec", { namedCurve: "P-256" }).' },
  )
}
