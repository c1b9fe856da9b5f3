/**
 * Keys of the puppet server: HKDF (RFC 5869), the key schedule (RFC 8446 §7.1) and records (§5.2),
 * on node:crypto alone and apart from core's.
 */
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type DecipherGCM,
  diffieHellman,
  type KeyObject,
} from 'node:crypto'
import { u8, u16 } from './puppetBytes.ts'

export interface PuppetSuite {
  readonly id: number
  readonly hash: 'sha256' | 'sha384'
  readonly hashLength: number
  /** OpenSSL's name; typed as one of its kin, which have the same methods. */
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm'
  readonly keyLength: number
}

const named = (cipher: string): PuppetSuite['cipher'] => cipher as PuppetSuite['cipher']

export const puppetSuites: ReadonlyMap<number, PuppetSuite> = new Map(
  [
    { hash: 'sha256', hashLength: 32, cipher: 'aes-128-gcm', keyLength: 16 } as const,
    { hash: 'sha384', hashLength: 48, cipher: 'aes-256-gcm', keyLength: 32 } as const,
    { hash: 'sha256', hashLength: 32, cipher: named('chacha20-poly1305'), keyLength: 32 } as const,
  ].map((suite, index) => [0x1301 + index, { id: 0x1301 + index, ...suite }]),
)

export function hashOf({ hash }: PuppetSuite, ...parts: readonly Uint8Array[]): Buffer {
  const hasher = createHash(hash)
  for (const part of parts) hasher.update(part)
  return hasher.digest()
}

export function hmac({ hash }: PuppetSuite, key: Uint8Array, data: Uint8Array): Buffer {
  // As a KeyObject: Node takes several times as long to find out that bytes are bytes.
  return createHmac(hash, createSecretKey(key)).update(data).digest()
}

/** HKDF-Expand-Label (RFC 8446 §7.1), for lengths up to one digest. */
export function expandLabel(
  suite: PuppetSuite,
  secret: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number = suite.hashLength,
): Buffer {
  if (length > suite.hashLength) throw new Error('one block is what this makes')
  const full = Buffer.from(`tls13 ${label}`)
  const info = [u16(length), u8(full.length), full, u8(context.length), context, u8(1)]
  return hmac(suite, secret, Buffer.concat(info)).subarray(0, length)
}

/** Derive-Secret with an empty transcript, salting the next stage (RFC 8446 §7.1). */
export function nextStage(suite: PuppetSuite, secret: Uint8Array, input: Uint8Array): Buffer {
  return hmac(suite, expandLabel(suite, secret, 'derived', hashOf(suite)), input)
}

export function earlySecret(suite: PuppetSuite, psk: Uint8Array | undefined): Buffer {
  const zeros = Buffer.alloc(suite.hashLength)
  return hmac(suite, zeros, psk ?? zeros)
}

export function finishedMac(suite: PuppetSuite, base: Uint8Array, transcript: Uint8Array): Buffer {
  return hmac(suite, expandLabel(suite, base, 'finished', Buffer.alloc(0)), transcript)
}

export function plainRecord(type: number, content: Uint8Array): Buffer {
  return Buffer.concat([u8(type), u16(0x0303), u16(content.length), content])
}

export interface Opened {
  readonly type: number
  readonly content: Buffer
}

const nothing = Buffer.alloc(0)

/** Records of one direction. */
export class Direction {
  readonly suite: PuppetSuite
  readonly secret: Buffer
  readonly #key: KeyObject
  readonly #iv: Buffer
  #count = 0n

  constructor(suite: PuppetSuite, secret: Buffer) {
    this.suite = suite
    this.secret = secret
    this.#key = createSecretKey(expandLabel(suite, secret, 'key', nothing, suite.keyLength))
    this.#iv = expandLabel(suite, secret, 'iv', nothing, 12)
  }

  /** After a KeyUpdate (RFC 8446 §7.2). */
  next(): Direction {
    return new Direction(this.suite, expandLabel(this.suite, this.secret, 'traffic upd', nothing))
  }

  seal(type: number, content: Uint8Array, padding = 0): Buffer {
    return this.sealInner(Buffer.concat([content, u8(type), Buffer.alloc(padding)]))
  }

  /** TLSInnerPlaintext as it is given, right or not. */
  sealInner(inner: Uint8Array): Buffer {
    const header = Buffer.concat([u8(23), u16(0x0303), u16(inner.length + 16)])
    const nonce = this.#nonce()
    const cipher: CipherGCM = createCipheriv(this.suite.cipher, this.#key, nonce, tag)
    cipher.setAAD(header)
    return Buffer.concat([header, cipher.update(inner), cipher.final(), cipher.getAuthTag()])
  }

  /** Undefined when the tag does not fit. */
  open(record: Uint8Array): Opened | undefined {
    const body = record.subarray(5)
    const end = body.length - 16
    const decipher: DecipherGCM = createDecipheriv(this.suite.cipher, this.#key, this.#nonce(), tag)
    decipher.setAAD(record.subarray(0, 5))
    decipher.setAuthTag(body.subarray(end))
    const inner = decipher.update(body.subarray(0, end))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    const last = inner.findLastIndex((byte) => byte !== 0)
    return { type: inner[last] ?? 0, content: inner.subarray(0, last) }
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv)
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#count++, 4)
    return nonce
  }
}

const tag = { authTagLength: 16 }

/** The server's end of a key agreement. Keys that never change make a flight that never changes. */
export interface Agreement {
  readonly share: Buffer
  with(peer: Uint8Array): Buffer
}

export const groupIds = { secp256r1: 0x17, x25519: 0x1d, X25519MLKEM768: 0x11ec } as const

/** RFC 8410: a private key, and a public one, up to their 32 bytes. */
const privatePrefix = {
  x25519: '302e020100300506032b656e04220420',
  ed25519: '302e020100300506032b657004220420',
}
const x25519Public = Buffer.from('302a300506032b656e032100', 'hex')

/** The same key for the same number, in each process. */
export function fixedKey(kind: keyof typeof privatePrefix, number: number): KeyObject {
  const seed = createHash('sha256').update(`${kind} ${number}`).digest()
  const key = Buffer.concat([Buffer.from(privatePrefix[kind], 'hex'), seed])
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}

export function x25519Agreement(number: number): Agreement {
  const privateKey = fixedKey('x25519', number)
  const own = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  return {
    share: own.subarray(x25519Public.length),
    with: remembered((peer) => {
      const key = Buffer.concat([x25519Public, peer])
      const publicKey = createPublicKey({ key, format: 'der', type: 'spki' })
      return diffieHellman({ privateKey, publicKey })
    }),
  }
}

export function p256Agreement(number: number): Agreement {
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(createHash('sha256').update(`P-256 ${number}`).digest())
  return { share: ecdh.getPublicKey(), with: remembered((peer) => ecdh.computeSecret(peer)) }
}

/** A family of tests agrees on the same secret thousands of times. */
function remembered(make: (peer: Uint8Array) => Buffer): (peer: Uint8Array) => Buffer {
  const known = new Map<string, Buffer>()
  return (peer) => {
    const key = Buffer.from(peer).toString('latin1')
    const secret = known.get(key) ?? make(peer)
    known.set(key, secret)
    return Buffer.from(secret)
  }
}

/** The server's key pairs, by the number of the group. */
export const puppetAgreements: ReadonlyMap<number, Agreement> = new Map([
  [groupIds.x25519, x25519Agreement(1)],
  [groupIds.secp256r1, p256Agreement(1)],
])
