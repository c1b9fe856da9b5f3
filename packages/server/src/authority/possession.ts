/**
 * Possession of a key that agrees and does not sign. A request for its certificate cannot be signed
 * with it, so its holder agrees with a key that was drawn for this one question (RFC 6955 does the
 * same in a message), and both sides must come to the same secret.
 */
import { parseSpki } from '@countersign/core/credential'
import type { StaticKey } from '@countersign/core/edhoc'
import { CallerError, InvariantError } from '@countersign/core/errors'
import type { ChannelCrypto } from '@countersign/core/ports'

export type PossessionErrorCode = 'ERR_POSSESSION'

/**
 * Throws CallerError ERR_POSSESSION unless `key` is the private half of `spki`, a point of P-256.
 */
export async function requireAgreement(
  { spki, key }: { readonly spki: Uint8Array; readonly key?: StaticKey },
  crypto: ChannelCrypto,
): Promise<void> {
  if (key === undefined) {
    throw new InvariantError('ERR_ISSUE_POSSESSION', 'nothing shows the possession of this key')
  }
  const ephemeral = crypto.generateEphemeral('secp256r1')
  const ours = ephemeral.agree(parseSpki(spki).keyBytes)
  const theirs = await key.agree(ephemeral.share)
  // Secrets have no face: what they make of the same words is compared. Both sides are this house.
  const [one, other] = [ours, theirs].map((secret) => crypto.hmac('sha256', secret, spki))
  if (one !== undefined && other !== undefined && Buffer.compare(one, other) === 0) return
  throw new CallerError<PossessionErrorCode>(
    'ERR_POSSESSION',
    'the key does not belong to the public key that is to be certified',
    {},
    { hint: 'Make the key again; its file is not what was written.' },
  )
}
