/**
 * One direction of record protection (RFC 8446 §5.2 to §5.4, §7.2, §7.3) with node:crypto alone, for
 * tests: it pads, and begins to count where it is told.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'

export interface ForeignSuite {
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305' | 'aes-128-ccm'
  readonly keyLength: number
  readonly tagLength: number
  readonly hash: 'sha256' | 'sha384'
}

/** RFC 8446 §B.4, RFC 6655 §3. */
export const foreignSuites = {
  TLS_AES_128_GCM_SHA256: { cipher: 'aes-128-gcm', keyLength: 16, tagLength: 16, hash: 'sha256' },
  TLS_AES_256_GCM_SHA384: { cipher: 'aes-256-gcm', keyLength: 32, tagLength: 16, hash: 'sha384' },
  TLS_CHACHA20_POLY1305_SHA256: {
    cipher: 'chacha20-poly1305',
    keyLength: 32,
    tagLength: 16,
    hash: 'sha256',
  },
  TLS_AES_128_CCM_8_SHA256: { cipher: 'aes-128-ccm', keyLength: 16, tagLength: 8, hash: 'sha256' },
} as const satisfies Readonly<Record<string, ForeignSuite>>

export interface ForeignRecord {
  readonly type: number
  readonly content: Buffer
  readonly padding: number
}

export class ForeignRecords {
  readonly suite: ForeignSuite
  readonly secret: Uint8Array
  sequence: number

  constructor(suite: ForeignSuite, secret: Uint8Array, sequence: number = 0) {
    this.suite = suite
    this.secret = secret
    this.sequence = sequence
  }

  seal(type: number, content: Uint8Array, padding: number = 0): Uint8Array<ArrayBuffer> {
    const inner = Buffer.concat([content, Buffer.from([type]), Buffer.alloc(padding)])
    const header = Buffer.from([23, 3, 3, 0, 0])
    header.writeUInt16BE(inner.length + this.suite.tagLength, 3)
    // The types of Node know a CCM's options and a GCM's, and not what both have.
    const options = { authTagLength: this.suite.tagLength } as never
    const cipher = createCipheriv(this.suite.cipher as 'aes-128-ccm', ...this.#keys(), options)
    cipher.setAAD(header, { plaintextLength: inner.length })
    const text = Buffer.concat([cipher.update(inner), cipher.final()])
    return new Uint8Array(Buffer.concat([header, text, cipher.getAuthTag()]))
  }

  /** Takes a whole record; throws when its tag does not fit. */
  open(record: Uint8Array): ForeignRecord {
    const { tagLength, cipher: name } = this.suite
    const [header, text] = [record.subarray(0, 5), record.subarray(5, -tagLength)]
    const options = { authTagLength: tagLength } as never
    const decipher = createDecipheriv(name as 'aes-128-ccm', ...this.#keys(), options)
    decipher.setAuthTag(record.subarray(-tagLength))
    decipher.setAAD(header, { plaintextLength: text.length })
    const inner = Buffer.concat([decipher.update(text), decipher.final()])
    const end = inner.findLastIndex((byte) => byte !== 0)
    return {
      type: inner[end] ?? 0,
      content: inner.subarray(0, end),
      padding: inner.length - end - 1,
    }
  }

  /** After a KeyUpdate. */
  next(): ForeignRecords {
    const secret = this.#expand('traffic upd', this.secret.length)
    return new ForeignRecords(this.suite, secret)
  }

  #keys(): [Buffer, Buffer] {
    const counter = Buffer.alloc(12)
    counter.writeBigUInt64BE(BigInt(this.sequence++), 4)
    const nonce = this.#expand('iv', 12).map((byte, index) => byte ^ counter.readUInt8(index))
    return [this.#expand('key', this.suite.keyLength), Buffer.from(nonce)]
  }

  /** HKDF-Expand-Label without a context, of one block. */
  #expand(label: string, length: number): Buffer {
    const name = Buffer.from(`tls13 ${label}`)
    const info = Buffer.from([0, length, name.length, ...name, 0])
    const mac = createHmac(this.suite.hash, this.secret)
      .update(info)
      .update(Buffer.from([1]))
    return mac.digest().subarray(0, length)
  }
}

/** The records of a stream (RFC 8446 §5.1). */
export function recordsIn(stream: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = []
  for (let rest = Buffer.from(stream); rest.length > 0; ) {
    const length = 5 + rest.readUInt16BE(3)
    found.push(rest.subarray(0, length))
    rest = rest.subarray(length)
  }
  return found
}
