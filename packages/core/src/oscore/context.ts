/**
 * OSCORE security contexts (RFC 8613 §3): the pre-established parameters, and what is derived from
 * them once. Keys are handles of the crypto port. What of a context changes, and what of it is
 * written down (Appendix B.1.1, B.1.2): record.ts. Leaves out: Appendix B.2, contexts derived
 * again.
 */
import { equalBytes } from '../codec/index.ts'
import { aeadAlgorithm, type AeadAlgorithm, noBytes } from '../cose/index.ts'
import type { ChannelCrypto, HashName, SecretKey } from '../ports.ts'
import { idBytesMax, type KeyInfo, keyInfo } from './derivation.ts'
import { useError } from './errors.ts'
import { SenderSequence } from './partialIv.ts'
import { ReplayWindow, type WindowState } from './replayWindow.ts'
import { KeyUsage, type UsageLimits, type UsageSnapshot, usageLimits } from './usage.ts'

export type OscoreCrypto = Pick<
  ChannelCrypto,
  'hkdfExtract' | 'hkdfExpand' | 'importSecret' | 'exportSecret' | 'hmac' | 'seal' | 'open'
>

export interface ContextParameters {
  readonly masterSecret: SecretKey
  /** A handle too: EDHOC makes both (RFC 9528 Appendix A.1). */
  readonly masterSalt?: SecretKey
  readonly senderId: Uint8Array
  readonly recipientId: Uint8Array
  readonly idContext?: Uint8Array
  /** COSE number of the AEAD; AES-CCM-16-64-128 where nothing else is said (RFC 8613 §3.2). */
  readonly algorithm?: number
  /** Of HKDF; SHA-256 where nothing else is said (RFC 8613 §3.2). */
  readonly hash?: HashName
  /** The first one to use; 0 for new keys, and for those alone. */
  readonly senderSequenceNumber?: number
  /**
   * The bound that is written down: numbers below it may be taken, and the next life begins there.
   * Without one the context ends with its process.
   */
  readonly senderReserved?: number
  /** What is left of it; a new one for new keys, and for those alone. */
  readonly window?: WindowState
  /** Of an earlier life. */
  readonly usage?: UsageSnapshot
  /** In the place of those of the algorithm. */
  readonly usageLimits?: Partial<UsageLimits>
}

export interface SecurityContext {
  /** Its state is written down, and it outlives its process. */
  readonly isPersistent: boolean
  readonly usage: KeyUsage
  /** It works, and new keys should be made while it does. */
  readonly wantsRekey: boolean
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

/** RFC 9053 §4.2. */
const aesCcm1664128 = 10
/** What an OSCORE option has room for, with a Partial IV of 5 bytes and a kid of 7. */
export const idContextBytesMax = 241

/**
 * RFC 8613 §3.2. Throws CallerError ERR_OSCORE_PARAMETER. That no two contexts have the same Master
 * Secret, Master Salt, ID Context and Sender ID is the caller's to see to (RFC 8613 §3.3).
 */
export function deriveContext(
  crypto: OscoreCrypto,
  parameters: ContextParameters,
): SecurityContext {
  const { masterSecret, masterSalt, hash = 'sha256' } = parameters
  const algorithm = aeadAlgorithm(parameters.algorithm ?? aesCcm1664128, 'OSCORE')
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
  const { senderSequenceNumber, senderReserved } = parameters
  const sequence = new SenderSequence(senderSequenceNumber, senderReserved)
  const usage = new KeyUsage(
    { ...usageLimits(algorithm), ...parameters.usageLimits },
    parameters.usage,
  )
  return {
    isPersistent: senderReserved !== undefined,
    usage,
    get wantsRekey(): boolean {
      return usage.wantsRekey || sequence.isLow
    },
    crypto,
    algorithm,
    idContext,
    commonIv: crypto.exportSecret(derive(noBytes, 'IV', nonceLength)),
    sender: {
      id: senderId,
      key: derive(senderId, 'Key', keyLength),
      sequence,
    },
    recipient: {
      id: recipientId,
      key: derive(recipientId, 'Key', keyLength),
      window: new ReplayWindow(parameters.window),
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
