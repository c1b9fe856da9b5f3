/**
 * From a handshake to the security context of OSCORE (RFC 9528 Appendix A.1): the secrets come from
 * the exporter, and each side's connection identifier is the Sender ID of the other.
 */
import { aeadNumber } from '../cose/index.ts'
import { oscoreSecrets, type Session } from '../edhoc/index.ts'
import { InvariantError } from '../errors.ts'
import type { ContextParameters } from '../oscore/index.ts'

/** All that OSCORE derives its keys from is said: it can be written down. */
export type EdhocContextParameters = ContextParameters &
  Required<Pick<ContextParameters, 'algorithm' | 'hash'>>

/** The new keys have protected nothing yet: their sequence begins at zero. */
export function contextParameters(
  { suite, prkOut, cI, cR }: Session,
  side: 'initiator' | 'responder',
): EdhocContextParameters {
  const { aead, hash } = suite.application
  const algorithm = aeadNumber(aead.name)
  if (algorithm === undefined) throw new InvariantError('ERR_EDHOC_SUITE', `${aead.name} in COSE`)
  return {
    ...oscoreSecrets(suite, prkOut),
    algorithm,
    hash: hash.name,
    ...(side === 'initiator'
      ? { senderId: cR, recipientId: cI }
      : { senderId: cI, recipientId: cR }),
  }
}
