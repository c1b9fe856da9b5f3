/**
 * The key schedule (RFC 8446 §7.1), as the row of secrets that it is: early, handshake, master, and
 * at its end what an open connection keeps. Each stage gives birth to the next; secrets are handles
 * of the crypto port.
 */
import { concat, utf8 } from '../codec/index.ts'
import type { ChannelCrypto, HashName, SecretKey } from '../ports.ts'
import { handshakeType, type Suite } from './registry.ts'
import { useError } from './tlsError.ts'
import { u8, vector } from './wire.ts'

/** The hash of a schedule; the AEAD is not its concern. */
export type ScheduleHash = Pick<Suite, 'hash' | 'hashLength'>

const empty = new Uint8Array()

/** HKDF-Expand-Label (RFC 8446 §7.1). The caller knows that the label is short enough. */
export function expandLabel(
  crypto: ChannelCrypto,
  hash: HashName,
  secret: SecretKey,
  label: string,
  context: Uint8Array,
  length: number,
): SecretKey {
  return crypto.hkdfExpand(hash, secret, labelled(`tls13 ${label}`, context, length), length)
}

/** HkdfLabel: some twenty of them in a handshake, so each is one piece from the beginning. */
function labelled(text: string, context: Uint8Array, length: number): Uint8Array {
  const label = utf8(text)
  const info = new Uint8Array(4 + label.length + context.length)
  info[0] = length >>> 8
  info[1] = length
  info[2] = label.length
  info.set(label, 3)
  info[3 + label.length] = context.length
  info.set(context, 4 + label.length)
  return info
}

class Stage {
  readonly crypto: ChannelCrypto
  readonly suite: ScheduleHash
  protected readonly secret: SecretKey

  constructor(crypto: ChannelCrypto, suite: ScheduleHash, secret: SecretKey) {
    this.crypto = crypto
    this.suite = suite
    this.secret = secret
  }

  /** Derive-Secret, with the transcript already hashed. */
  protected derive(label: string, transcriptHash: Uint8Array): SecretKey {
    const { hash, hashLength } = this.suite
    return expandLabel(this.crypto, hash, this.secret, label, transcriptHash, hashLength)
  }

  protected deriveOfNothing(label: string): SecretKey {
    return this.derive(label, this.crypto.hash(this.suite.hash, empty))
  }

  /** The secret of the next stage: this one's, salted, with what came in. */
  protected next(input: SecretKey): SecretKey {
    return this.crypto.hkdfExtract(this.suite.hash, this.deriveOfNothing('derived'), input)
  }
}

export class EarlySecrets extends Stage {
  /** `psk` is undefined for a full handshake. */
  static from(
    crypto: ChannelCrypto,
    suite: ScheduleHash,
    psk: SecretKey | undefined,
  ): EarlySecrets {
    const zeros = zeroKey(crypto, suite)
    return new EarlySecrets(crypto, suite, crypto.hkdfExtract(suite.hash, zeros, psk ?? zeros))
  }

  /** The key under which a ticket's owner shows that he has its secret (RFC 8446 §4.2.11.2). */
  binder(truncatedHelloHash: Uint8Array): Uint8Array {
    const binderKey = this.deriveOfNothing('res binder')
    return finishedMac(this.crypto, this.suite, binderKey, truncatedHelloHash)
  }

  handshake(shared: SecretKey): HandshakeSecrets {
    return new HandshakeSecrets(this.crypto, this.suite, this.next(shared))
  }
}

export class HandshakeSecrets extends Stage {
  /** Hash of ClientHello...ServerHello. */
  traffic(transcriptHash: Uint8Array): { readonly client: SecretKey; readonly server: SecretKey } {
    return {
      client: this.derive('c hs traffic', transcriptHash),
      server: this.derive('s hs traffic', transcriptHash),
    }
  }

  master(): MasterSecrets {
    return new MasterSecrets(this.crypto, this.suite, this.next(zeroKey(this.crypto, this.suite)))
  }
}

export class MasterSecrets extends Stage {
  /** Hash of ClientHello...server Finished. */
  traffic(transcriptHash: Uint8Array): {
    readonly client: SecretKey
    readonly server: SecretKey
    readonly exporter: SecretKey
  } {
    return {
      client: this.derive('c ap traffic', transcriptHash),
      server: this.derive('s ap traffic', transcriptHash),
      exporter: this.derive('exp master', transcriptHash),
    }
  }

  /** Hash of ClientHello...client Finished. */
  resumption(transcriptHash: Uint8Array): SecretKey {
    return this.derive('res master', transcriptHash)
  }
}

/** verify_data of Finished, and a binder's value (RFC 8446 §4.4.4). */
export function finishedMac(
  crypto: ChannelCrypto,
  { hash, hashLength }: ScheduleHash,
  baseKey: SecretKey,
  transcriptHash: Uint8Array,
): Uint8Array {
  const finishedKey = expandLabel(crypto, hash, baseKey, 'finished', empty, hashLength)
  return crypto.hmac(hash, finishedKey, transcriptHash)
}

/** The PSK of a ticket (RFC 8446 §4.6.1). */
export function ticketKey(
  crypto: ChannelCrypto,
  { hash, hashLength }: ScheduleHash,
  resumptionSecret: SecretKey,
  nonce: Uint8Array,
): SecretKey {
  return expandLabel(crypto, hash, resumptionSecret, 'resumption', nonce, hashLength)
}

/** The traffic secret after a KeyUpdate (RFC 8446 §7.2). */
export function nextTrafficSecret(
  crypto: ChannelCrypto,
  { hash, hashLength }: ScheduleHash,
  secret: SecretKey,
): SecretKey {
  return expandLabel(crypto, hash, secret, 'traffic upd', empty, hashLength)
}

/** RFC 8446 §7.1: 7 to 255 bytes with "tls13 " before it. */
const exporterLabelBytesMax = 249

/** TLS-Exporter (RFC 8446 §7.5). Throws CallerError for a label that it cannot have. */
export function exportKeyingMaterial(
  crypto: ChannelCrypto,
  { hash, hashLength }: ScheduleHash,
  exporterSecret: SecretKey,
  label: string,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const labelLength = utf8(label).length
  // One that is longer than its text is not ASCII (RFC 5705 §4).
  if (labelLength === 0 || labelLength > exporterLabelBytesMax || labelLength > label.length) {
    throw useError(
      'ERR_TLS_POLICY',
      'keying material has a label that it cannot have',
      `Take one of 1 to ${exporterLabelBytesMax} ASCII characters; RFC 5705 §4 has its form.`,
    )
  }
  const nothing = crypto.hash(hash, empty)
  const secret = expandLabel(crypto, hash, exporterSecret, label, nothing, hashLength)
  const digest = crypto.hash(hash, context)
  return crypto.exportSecret(expandLabel(crypto, hash, secret, 'exporter', digest, length))
}

function zeroKey(crypto: ChannelCrypto, { hashLength }: ScheduleHash): SecretKey {
  return crypto.importSecret(new Uint8Array(hashLength))
}

/** message_hash: what stands for the first ClientHello after a HelloRetryRequest (§4.4.1). */
export function messageHash(digest: Uint8Array): Uint8Array {
  return concat(u8(handshakeType.messageHash), vector(3, digest))
}
