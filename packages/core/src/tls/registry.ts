/** Code points of TLS 1.3 (RFC 8446 §4, §B; RFC 8449; draft-ietf-tls-ecdhe-mlkem), in one place. */
import type { AeadName, GroupName, HashName, KeyAlgorithm, SignatureScheme } from '../ports.ts'
import { sameScheme } from '../verdict.ts'

export const contentType = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
} as const

export const handshakeType = {
  clientHello: 1,
  serverHello: 2,
  newSessionTicket: 4,
  encryptedExtensions: 8,
  certificate: 11,
  certificateRequest: 13,
  certificateVerify: 15,
  finished: 20,
  keyUpdate: 24,
  messageHash: 254,
} as const

export const extensionType = {
  serverName: 0,
  statusRequest: 5,
  supportedGroups: 10,
  signatureAlgorithms: 13,
  alpn: 16,
  recordSizeLimit: 28,
  preSharedKey: 41,
  earlyData: 42,
  supportedVersions: 43,
  cookie: 44,
  pskKeyExchangeModes: 45,
  certificateAuthorities: 47,
  keyShare: 51,
} as const

export const tls12 = 0x0303
export const tls13 = 0x0304

export type SuiteName =
  | 'TLS_AES_128_GCM_SHA256'
  | 'TLS_AES_256_GCM_SHA384'
  | 'TLS_CHACHA20_POLY1305_SHA256'
  | 'TLS_AES_128_CCM_8_SHA256'

export interface Suite {
  readonly name: SuiteName
  readonly id: number
  /** Those of COSE take another nonce. */
  readonly aead: Exclude<AeadName, 'aes-ccm-16-64-128' | 'aes-ccm-16-128-128'>
  readonly keyLength: number
  readonly hash: HashName
  readonly hashLength: number
}

/** RFC 8446 §B.4. Every AEAD here has an IV of 12 bytes. */
export const suites: Readonly<Record<SuiteName, Suite>> = {
  TLS_AES_128_GCM_SHA256: {
    name: 'TLS_AES_128_GCM_SHA256',
    id: 0x1301,
    aead: 'aes-128-gcm',
    keyLength: 16,
    hash: 'sha256',
    hashLength: 32,
  },
  TLS_AES_256_GCM_SHA384: {
    name: 'TLS_AES_256_GCM_SHA384',
    id: 0x1302,
    aead: 'aes-256-gcm',
    keyLength: 32,
    hash: 'sha384',
    hashLength: 48,
  },
  TLS_CHACHA20_POLY1305_SHA256: {
    name: 'TLS_CHACHA20_POLY1305_SHA256',
    id: 0x1303,
    aead: 'chacha20-poly1305',
    keyLength: 32,
    hash: 'sha256',
    hashLength: 32,
  },
  TLS_AES_128_CCM_8_SHA256: {
    name: 'TLS_AES_128_CCM_8_SHA256',
    id: 0x1305,
    aead: 'aes-128-ccm-8',
    keyLength: 16,
    hash: 'sha256',
    hashLength: 32,
  },
}

export const groupNumbers: Readonly<Record<GroupName, number>> = {
  secp256r1: 0x0017,
  x25519: 0x001d,
  X25519MLKEM768: 0x11ec,
}

/**
 * SignatureScheme (RFC 8446 §4.2.3) that we verify, in our order. PKCS#1 v1.5 signs certificates only, never a
 * handshake; it is here because chains of RSA CAs carry it.
 */
export const signatureSchemes: readonly {
  readonly id: number
  readonly scheme: SignatureScheme
  /** The key that may use it; TLS 1.3 binds a curve to its hash. */
  readonly fits: (key: KeyAlgorithm) => boolean
  readonly inHandshake: boolean
}[] = [
  ecdsa(0x0403, 'sha256', 'P-256'),
  { id: 0x0807, scheme: { kind: 'ed25519' }, fits: isEd25519, inHandshake: true },
  ecdsa(0x0503, 'sha384', 'P-384'),
  ecdsa(0x0603, 'sha512', 'P-521'),
  pss(0x0804, 'sha256', 32),
  pss(0x0805, 'sha384', 48),
  pss(0x0806, 'sha512', 64),
  pkcs1(0x0401, 'sha256'),
  pkcs1(0x0501, 'sha384'),
  pkcs1(0x0601, 'sha512'),
]

type SchemeRow = (typeof signatureSchemes)[number]

function ecdsa(id: number, hash: HashName, curve: string): SchemeRow {
  return {
    id,
    scheme: { kind: 'ecdsa', hash, encoding: 'der' },
    fits: (key) => key.kind === 'ec' && key.curve === curve,
    inHandshake: true,
  }
}

function pss(id: number, hash: HashName, saltLength: number): SchemeRow {
  const scheme: SignatureScheme = { kind: 'rsa-pss', hash, saltLength }
  return { id, scheme, fits: isRsa, inHandshake: true }
}

function pkcs1(id: number, hash: HashName): SchemeRow {
  return { id, scheme: { kind: 'rsa-pkcs1', hash }, fits: isRsa, inHandshake: false }
}

function isRsa(key: KeyAlgorithm): boolean {
  return key.kind === 'rsa'
}

function isEd25519(key: KeyAlgorithm): boolean {
  return key.kind === 'ed25519'
}

/** The code point of what a signer makes; undefined when TLS 1.3 has none for it. */
export function schemeNumber(scheme: SignatureScheme, key: KeyAlgorithm): number | undefined {
  return signatureSchemes.find(
    (row) => row.inHandshake && row.fits(key) && sameScheme(row.scheme, scheme),
  )?.id
}
