/**
 * A certificate as constant bytes and holes (RFC 5280 §4.1). What an issuing CA writes into every
 * certificate of a profile is encoded once; issuing fills serial number, dates, subject, key and
 * names, in one allocation and without an object tree.
 */
import { der } from '@countersign/core/codec'
import { encodeSignatureAlgorithm } from '@countersign/core/credential'
import type { Milliseconds, Signer } from '@countersign/core/ports'

export interface TemplateParts {
  /** Name of the issuer, DER. */
  readonly issuer: Uint8Array
  /** Scheme that the issuer signs with. */
  readonly scheme: Signer['scheme']
  /** Extensions that never change, each a whole Extension TLV, in order. */
  readonly extensions: readonly Uint8Array[]
}

export interface Holes {
  /** Content octets of the INTEGER: positive, minimal. */
  readonly serial: Uint8Array
  readonly notBefore: Milliseconds
  readonly notAfter: Milliseconds
  /** Name, DER. */
  readonly subject: Uint8Array
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** Extensions of this certificate alone, behind the constant ones. */
  readonly extensions: readonly Uint8Array[]
}

/** version [0] EXPLICIT INTEGER v3(2). */
const version3: Uint8Array = der.explicit(0, der.integer(2))

export class Template {
  readonly #algorithm: Uint8Array
  /** signature and issuer: what stands between serial number and validity. */
  readonly #issuer: Uint8Array
  readonly #extensions: Uint8Array

  constructor(parts: TemplateParts) {
    this.#algorithm = encodeSignatureAlgorithm(parts.scheme)
    this.#issuer = concat([this.#algorithm, parts.issuer])
    this.#extensions = concat(parts.extensions)
  }

  /** The TBSCertificate. */
  fill(holes: Holes): Uint8Array {
    const validity = der.sequence(encodeTime(holes.notBefore), encodeTime(holes.notAfter))
    const extensionsLength =
      this.#extensions.length + holes.extensions.reduce((sum, one) => sum + one.length, 0)
    const listLength = 1 + der.lengthOctets(extensionsLength) + extensionsLength
    const serialLength = 1 + der.lengthOctets(holes.serial.length) + holes.serial.length
    const length =
      version3.length +
      serialLength +
      this.#issuer.length +
      validity.length +
      holes.subject.length +
      holes.spki.length +
      1 +
      der.lengthOctets(listLength) +
      listLength
    const tbs = new Uint8Array(1 + der.lengthOctets(length) + length)
    let at = der.writeHeader(tbs, 0, 0x30, length)
    at = put(tbs, at, version3)
    at = der.writeHeader(tbs, at, 0x02, holes.serial.length)
    at = put(tbs, at, holes.serial)
    at = put(tbs, at, this.#issuer)
    at = put(tbs, at, validity)
    at = put(tbs, at, holes.subject)
    at = put(tbs, at, holes.spki)
    // extensions [3] EXPLICIT SEQUENCE OF Extension
    at = der.writeHeader(tbs, at, 0xa3, listLength)
    at = der.writeHeader(tbs, at, 0x30, extensionsLength)
    at = put(tbs, at, this.#extensions)
    for (const extension of holes.extensions) at = put(tbs, at, extension)
    return tbs
  }

  /** The certificate: TBSCertificate, algorithm, signature. */
  async sign(holes: Holes, signer: Signer): Promise<Uint8Array> {
    const tbs = this.fill(holes)
    const signature = await signer.sign(tbs)
    return der.sequence(tbs, this.#algorithm, der.bitString(signature))
  }
}

function put(into: Uint8Array, at: number, bytes: Uint8Array): number {
  into.set(bytes, at)
  return at + bytes.length
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}

/**
 * Many are issued in the same second, with the same end: a date costs as much as the rest of the
 * filling.
 */
const times = new Map<Milliseconds, Uint8Array>()
const timesMax = 64

function encodeTime(at: Milliseconds): Uint8Array {
  const second = Math.floor(at / 1000) * 1000
  const known = times.get(second)
  if (known !== undefined) return known
  if (times.size >= timesMax) times.clear()
  const encoded = der.time(second)
  times.set(second, encoded)
  return encoded
}
