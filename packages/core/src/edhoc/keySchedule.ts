/**
 * The key schedule of EDHOC (RFC 9528 §4), as the row of pseudorandom keys that it is: PRK_2e,
 * PRK_3e2m, PRK_4e3m, PRK_out. Each stage gives birth to the next; secrets are handles of the
 * crypto port. Transcript hashes are public and come in as bytes.
 */
import { cbor, concat } from '../codec/index.ts'
import type { ChannelCrypto, SecretKey } from '../ports.ts'
import type { UsableSuite } from './suites.ts'

/** RFC 9528 §4.1.2, figure 6. */
const label = {
  keystream2: 0,
  salt3e2m: 1,
  mac2: 2,
  k3: 3,
  iv3: 4,
  salt4e3m: 5,
  mac3: 6,
  prkOut: 7,
  k4: 8,
  iv4: 9,
  prkExporter: 10,
  keyUpdate: 11,
} as const

const empty = new Uint8Array()

/** TH_2 = H( G_Y, H(message_1) ) (RFC 9528 §5.3.2). */
export function th2(
  crypto: ChannelCrypto,
  { hash }: UsableSuite,
  gY: Uint8Array,
  message1: Uint8Array,
): Uint8Array {
  const hashOfMessage1 = crypto.hash(hash.name, message1)
  return crypto.hash(hash.name, concat(cbor.byteString(gY), cbor.byteString(hashOfMessage1)))
}

/**
 * TH_3 = H( TH_2, PLAINTEXT_2, CRED_R ) and TH_4 = H( TH_3, PLAINTEXT_3, CRED_I ) (§5.3.2, §5.4.2).
 * `credential` is the encoded item: of a certificate a byte string.
 */
export function nextTranscriptHash(
  crypto: ChannelCrypto,
  { hash }: UsableSuite,
  before: Uint8Array,
  plaintext: Uint8Array,
  credential: Uint8Array,
): Uint8Array {
  return crypto.hash(hash.name, concat(cbor.byteString(before), plaintext, credential))
}

/** What a MAC covers of one side; all of it encoded. `ead` is a sequence, or nothing. */
export interface MacFields {
  /** ID_CRED_x, the whole map, also where a bare kid travels. */
  readonly idCred: Uint8Array
  readonly transcriptHash: Uint8Array
  readonly credential: Uint8Array
  readonly ead: Uint8Array
}

/** context_2 (§5.3.2). C_R comes encoded. */
export function context2(cR: Uint8Array, fields: MacFields): Uint8Array {
  return concat(cR, context3(fields))
}

/** context_3 (§5.4.2), which has no connection identifier. */
export function context3({ idCred, transcriptHash, credential, ead }: MacFields): Uint8Array {
  return concat(idCred, cbor.byteString(transcriptHash), credential, ead)
}

/** Key and IV of CIPHERTEXT_3 or CIPHERTEXT_4. */
export interface MessageKey {
  readonly key: SecretKey
  readonly iv: Uint8Array
}

/** EDHOC_KDF (§4.1.2): its info is a CBOR sequence of label, context and length. */
function edhocKdf(
  crypto: ChannelCrypto,
  { hash }: UsableSuite,
  prk: SecretKey,
  number: number,
  context: Uint8Array,
  length: number,
): SecretKey {
  const info = concat(cbor.int(number), cbor.byteString(context), cbor.int(length))
  return crypto.hkdfExpand(hash.name, prk, info, length)
}

/** What one HKDF-Expand gives: its counter is one octet (RFC 5869 §2.3). */
function expandedBytesMax(hashLength: number): number {
  return 0xff * hashLength
}

class Stage {
  protected readonly crypto: ChannelCrypto
  protected readonly suite: UsableSuite
  protected readonly prk: SecretKey

  constructor(crypto: ChannelCrypto, suite: UsableSuite, prk: SecretKey) {
    this.crypto = crypto
    this.suite = suite
    this.prk = prk
  }

  protected derive(number: number, context: Uint8Array, length: number): SecretKey {
    return edhocKdf(this.crypto, this.suite, this.prk, number, context, length)
  }

  /** For what is public, or leaves by design. */
  protected deriveBytes(number: number, context: Uint8Array, length: number): Uint8Array {
    return this.crypto.exportSecret(this.derive(number, context, length))
  }

  protected salted(saltLabel: number, transcriptHash: Uint8Array, agreed: SecretKey): SecretKey {
    const salt = this.derive(saltLabel, transcriptHash, this.suite.hash.length)
    return this.crypto.hkdfExtract(this.suite.hash.name, salt, agreed)
  }

  protected messageKey(kLabel: number, ivLabel: number, transcriptHash: Uint8Array): MessageKey {
    const { keyLength, ivLength } = this.suite.aead
    return {
      key: this.derive(kLabel, transcriptHash, keyLength),
      iv: this.deriveBytes(ivLabel, transcriptHash, ivLength),
    }
  }
}

export class Prk2e extends Stage {
  readonly #th2: Uint8Array

  private constructor(
    crypto: ChannelCrypto,
    suite: UsableSuite,
    prk: SecretKey,
    transcriptHash: Uint8Array,
  ) {
    super(crypto, suite, prk)
    this.#th2 = transcriptHash
  }

  static from(
    crypto: ChannelCrypto,
    suite: UsableSuite,
    transcriptHash: Uint8Array,
    gXY: SecretKey,
  ): Prk2e {
    const salt = crypto.importSecret(transcriptHash)
    const prk = crypto.hkdfExtract(suite.hash.name, salt, gXY)
    return new Prk2e(crypto, suite, prk, transcriptHash)
  }

  /** PLAINTEXT_2 to CIPHERTEXT_2 and back (§5.3.2): its sum with KEYSTREAM_2, without a tag. */
  cipher(text: Uint8Array): Uint8Array {
    const stream = concat(...this.#keystream2(text.length))
    const sum = text.map((byte, index) => byte ^ (stream[index] ?? 0))
    stream.fill(0)
    return sum
  }

  /** Part i of a long one has the label -i (Appendix G). */
  *#keystream2(length: number): Generator<Uint8Array> {
    const partMax = expandedBytesMax(this.suite.hash.length)
    for (let part = 0; part * partMax < length; part++) {
      const partLength = Math.min(partMax, length - part * partMax)
      yield this.deriveBytes(label.keystream2 - part, this.#th2, partLength)
    }
  }

  /** The responder signs. */
  signed(): Prk3e2m {
    return new Prk3e2m(this.crypto, this.suite, this.prk)
  }

  /** The responder has a static key: G_RX is what it agrees on with the ephemeral one of I. */
  withStaticKey(gRX: SecretKey): Prk3e2m {
    const prk = this.salted(label.salt3e2m, this.#th2, gRX)
    return new Prk3e2m(this.crypto, this.suite, prk)
  }
}

export class Prk3e2m extends Stage {
  /** MAC_2; its length is `macLength` of methods.ts. */
  mac2(context: Uint8Array, length: number): Uint8Array {
    return this.deriveBytes(label.mac2, context, length)
  }

  /** K_3 and IV_3. */
  message3(transcriptHash3: Uint8Array): MessageKey {
    return this.messageKey(label.k3, label.iv3, transcriptHash3)
  }

  /** The initiator signs. */
  signed(): Prk4e3m {
    return new Prk4e3m(this.crypto, this.suite, this.prk)
  }

  /** The initiator has a static key: G_IY is what it agrees on with the ephemeral one of R. */
  withStaticKey(transcriptHash3: Uint8Array, gIY: SecretKey): Prk4e3m {
    const prk = this.salted(label.salt4e3m, transcriptHash3, gIY)
    return new Prk4e3m(this.crypto, this.suite, prk)
  }
}

export class Prk4e3m extends Stage {
  mac3(context: Uint8Array, length: number): Uint8Array {
    return this.deriveBytes(label.mac3, context, length)
  }

  /** K_4 and IV_4. */
  message4(transcriptHash4: Uint8Array): MessageKey {
    return this.messageKey(label.k4, label.iv4, transcriptHash4)
  }

  out(transcriptHash4: Uint8Array): PrkOut {
    const prk = this.derive(label.prkOut, transcriptHash4, this.suite.hash.length)
    return new PrkOut(this.crypto, this.suite, prk)
  }
}

/** What a finished handshake keeps (§4.1.3, §4.2). */
export class PrkOut extends Stage {
  /** EDHOC_Exporter (§4.2.1): `length` bytes as a handle, for a label of §10.1. */
  export(number: number, context: Uint8Array, length: number): SecretKey {
    const prk = this.derive(label.prkExporter, empty, this.suite.hash.length)
    return edhocKdf(this.crypto, this.suite, prk, number, context, length)
  }

  /**
   * EDHOC_KeyUpdate (Appendix H). The old one is kept until the other end has shown the new one.
   */
  update(context: Uint8Array): PrkOut {
    const prk = this.derive(label.keyUpdate, context, this.suite.hash.length)
    return new PrkOut(this.crypto, this.suite, prk)
  }
}

/** Master Secret and Master Salt of OSCORE (Appendix A.1): an AEAD key's length, and 8 bytes. */
export function oscoreSecrets(
  { application }: UsableSuite,
  prkOut: PrkOut,
): { readonly masterSecret: SecretKey; readonly masterSalt: SecretKey } {
  return {
    masterSecret: prkOut.export(exporterLabel.masterSecret, empty, application.aead.keyLength),
    masterSalt: prkOut.export(exporterLabel.masterSalt, empty, oscoreSaltLength),
  }
}

/** RFC 9528 §10.1. */
const exporterLabel = { masterSecret: 0, masterSalt: 1 } as const
/** Bytes (RFC 9528 Appendix A.1), where nothing else is agreed. */
const oscoreSaltLength = 8
