/**
 * OSCORE security contexts (RFC 8613 §3): the pre-established parameters, and what is derived from
 * them once. Keys are handles of the crypto port. Leaves out: persistence, Appendix B.1 and B.2, and
 * limits on how many messages a key protects short of its sequence numbers.
 */
import { equalBytes } from '../codec/index.ts'
import { aeadAlgorithm, type AeadAlgorithm, noBytes } from '../cose/index.ts'
import type { ChannelCrypto, HashName, SecretKey } from '../ports.ts'
import { idBytesMax, type KeyInfo, keyInfo } from './derivation.ts'
import { useError } from './errors.ts'
import { SenderSequence } from './partialIv.ts'
import { ReplayWindow } from './replayWindow.ts'

export type OscoreCrypto = Pick<
  ChannelCrypto,
  'hkdfExtract' | 'hkdfExpand' | 'importSecret' | 'exportSecret' | 'seal' | 'open'
>

export interface ContextParameters {
  readonly masterSecret: SecretKey
  /** A handle too: EDHOC makes both (RFC 9528 Appendix A.1). */
  readonly masterSalt?: SecretKey
  readonly senderId: Uint8Array
  readonly recipientId: Uint8Array
  readonly idContext?: Uint8Array
  /** Number of the AEAD; 10, AES-CCM-16-64-128, where nothing else is said (RFC 8613 §3.2). */
  readonly algorithm?: number
  /** Of HKDF. */
  readonly hash?: HashName
  /** The first one to use; 0 for new keys, and for those alone. */
  readonly senderSequenceNumber?: number
}

export interface SecurityContext {
  readonly crypto: OscoreCrypto
  readonly algorithm: AeadAlgorithm
  readonly idContext: Uint8Array | undefined
  readonly commonIv: Uint8Array
  readonly sender: {
    readonly id: Uint8Array
    readonly key: SecretKey
    readonly sequence: SenderSequence
  }
  readonly recipient: {
    readonly id: Uint8Array
    readonly key: SecretKey
    readonly window: ReplayWindow
  }
}

/** What an OSCORE option has room for, with a Partial IV of 5 bytes and a kid of 7. */
export const idContextBytesMax = 241

/** The quartet of secret, salt, ID Context and Sender ID must be of one context (RFC 8613 §3.3). */
export function deriveContext(
  crypto: OscoreCrypto,
  parameters: ContextParameters,
): SecurityContext {
  const { masterSecret, masterSalt, hash = 'sha256' } = parameters
  const algorithm = aeadAlgorithm(parameters.algorithm ?? 10, 'OSCORE')
  const senderId = Uint8Array.from(parameters.senderId)
  const recipientId = Uint8Array.from(parameters.recipientId)
  const idContext = parameters.idContext && Uint8Array.from(parameters.idContext)
  checkIdentifiers(senderId, recipientId, idContext, algorithm)
  const prk = crypto.hkdfExtract(hash, masterSalt ?? crypto.importSecret(noBytes), masterSecret)
  const derive = (id: Uint8Array, type: KeyInfo['type'], length: number): SecretKey => {
    const info = keyInfo({ id, idContext, algorithm: algorithm.id, type, length })
    return crypto.hkdfExpand(hash, prk, info, length)
  }
  const { keyLength, nonceLength } = algorithm
  return {
    crypto,
    algorithm,
    idContext,
    commonIv: crypto.exportSecret(derive(noBytes, 'IV', nonceLength)),
    sender: {
      id: senderId,
      key: derive(senderId, 'Key', keyLength),
      sequence: new SenderSequence(parameters.senderSequenceNumber),
    },
    recipient: {
      id: recipientId,
      key: derive(recipientId, 'Key', keyLength),
      window: new ReplayWindow(),
    },
  }
}

function checkIdentifiers(
  senderId: Uint8Array,
  recipientId: Uint8Array,
  idContext: Uint8Array | undefined,
  { nonceLength }: AeadAlgorithm,
): void {
  const most = idBytesMax(nonceLength)
  if (senderId.length > most || recipientId.length > most) {
    throw useError('ERR_OSCORE_PARAMETER', `an identifier has more than ${most} bytes`)
  }
  // Both directions would have one key, and the same nonces.
  if (equalBytes(senderId, recipientId)) {
    throw useError('ERR_OSCORE_PARAMETER', 'sender and recipient have the same identifier')
  }
  if (idContext !== undefined && idContext.length > idContextBytesMax) {
    throw useError('ERR_OSCORE_PARAMETER', `an ID Context of ${idContext.length} bytes`)
  }
}
