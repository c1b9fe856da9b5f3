/**
 * The algorithms of COSE that are used here, by their registered numbers (RFC 9053, RFC 9054), and
 * what they mean for the ports. What is not in these tables is refused; text names are never known.
 */
import type { AeadName, Crypto, HashName, KeyAlgorithm, SignatureScheme } from '../ports.ts'
import { coseError } from './errors.ts'

/** By number, or by a name that nobody registered. */
export type AlgorithmId = number | string

export interface SignatureAlgorithm {
  readonly id: number
  readonly name: 'ES256' | 'ES384' | 'ES512' | 'EdDSA'
  readonly scheme: SignatureScheme
  /** Bytes: of r || s, or of a signature of RFC 8032. */
  readonly signatureLength: number
  /** ECDSA takes one curve for each hash, as the algorithms of RFC 9864 do. */
  readonly key: Exclude<KeyAlgorithm, { readonly kind: 'rsa' | 'x25519' }>
}

export interface AeadAlgorithm {
  readonly id: number
  readonly aead: AeadName
  readonly keyLength: number
  readonly nonceLength: number
  readonly tagLength: number
}

export interface MacAlgorithm {
  readonly id: number
  readonly hash: HashName
  /** Bytes of a key made for it (RFC 9053 §3.1). */
  readonly keyLength: number
  readonly tagLength: number
}

export interface HashAlgorithm {
  readonly id: number
  readonly hash: HashName
  /** Bytes that are left of the hash. */
  readonly length: number
}

/** RFC 9053 §2.1, §2.2. */
const signatures: readonly SignatureAlgorithm[] = [
  ecdsa(-7, 'ES256', 'sha256', 'P-256', 64),
  ecdsa(-35, 'ES384', 'sha384', 'P-384', 96),
  ecdsa(-36, 'ES512', 'sha512', 'P-521', 132),
  {
    id: -8,
    name: 'EdDSA',
    scheme: { kind: 'ed25519' },
    signatureLength: 64,
    key: { kind: 'ed25519' },
  },
]

/** RFC 9053 §4. */
const aeads: readonly AeadAlgorithm[] = [
  { id: 1, aead: 'aes-128-gcm', keyLength: 16, nonceLength: 12, tagLength: 16 },
  { id: 3, aead: 'aes-256-gcm', keyLength: 32, nonceLength: 12, tagLength: 16 },
  { id: 10, aead: 'aes-ccm-16-64-128', keyLength: 16, nonceLength: 13, tagLength: 8 },
  { id: 24, aead: 'chacha20-poly1305', keyLength: 32, nonceLength: 12, tagLength: 16 },
  { id: 30, aead: 'aes-ccm-16-128-128', keyLength: 16, nonceLength: 13, tagLength: 16 },
]

/** RFC 9053 §3.1. */
const macs: readonly MacAlgorithm[] = [
  { id: 4, hash: 'sha256', keyLength: 32, tagLength: 8 },
  { id: 5, hash: 'sha256', keyLength: 32, tagLength: 32 },
  { id: 6, hash: 'sha384', keyLength: 48, tagLength: 48 },
  { id: 7, hash: 'sha512', keyLength: 64, tagLength: 64 },
]

/** Numbers of hashes (RFC 9054 §3.2). SHA-256/64 is the first eight bytes of SHA-256. */
export const hashNumber = { sha256Truncated: -15, sha256: -16, sha384: -43, sha512: -44 } as const

const hashes: readonly HashAlgorithm[] = [
  { id: hashNumber.sha256Truncated, hash: 'sha256', length: 8 },
  { id: hashNumber.sha256, hash: 'sha256', length: 32 },
  { id: hashNumber.sha384, hash: 'sha384', length: 48 },
  { id: hashNumber.sha512, hash: 'sha512', length: 64 },
]

/** Throws PeerError ERR_COSE_ALGORITHM, as the three below; `where` is the path for the error. */
export function signatureAlgorithm(id: AlgorithmId, where: string): SignatureAlgorithm {
  return known(signatures, id, 'signature', where)
}

export function aeadAlgorithm(id: AlgorithmId, where: string): AeadAlgorithm {
  return known(aeads, id, 'AEAD', where)
}

/** Whether the algorithm signs with keys of this kind. */
export function isKeyFor({ key }: SignatureAlgorithm, found: KeyAlgorithm): boolean {
  if (key.kind === 'ec') return found.kind === 'ec' && found.curve === key.curve
  return found.kind === key.kind
}

/** The number of an AEAD of the crypto port; undefined for one that COSE does not have. */
export function aeadNumber(name: AeadName): number | undefined {
  return aeads.find(({ aead }) => aead === name)?.id
}

export function macAlgorithm(id: AlgorithmId, where: string): MacAlgorithm {
  return known(macs, id, 'MAC', where)
}

export function hashAlgorithm(id: AlgorithmId, where: string): HashAlgorithm {
  return known(hashes, id, 'hash', where)
}

/** The hash of the data, cut to the algorithm's length (RFC 9054 §3.2). */
export function coseHash(
  crypto: Pick<Crypto, 'hash'>,
  { hash, length }: HashAlgorithm,
  data: Uint8Array,
): Uint8Array {
  return crypto.hash(hash, data).subarray(0, length)
}

function known<Row extends { readonly id: number }>(
  rows: readonly Row[],
  id: AlgorithmId,
  kind: string,
  where: string,
): Row {
  const row = rows.find((one) => one.id === id)
  if (row !== undefined) return row
  throw coseError(
    'ERR_COSE_ALGORITHM',
    `${kind} algorithm ${JSON.stringify(id)} is not known`,
    where,
  )
}

function ecdsa(
  id: number,
  name: SignatureAlgorithm['name'],
  hash: HashName,
  curve: 'P-256' | 'P-384' | 'P-521',
  signatureLength: number,
): SignatureAlgorithm {
  const scheme = { kind: 'ecdsa', hash, encoding: 'p1363' } as const
  return { id, name, scheme, signatureLength, key: { kind: 'ec', curve } }
}
