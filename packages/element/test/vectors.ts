/** The vectors of others, as vectors/README.md lists them, for the tests of crypto providers. */
import { readFileSync } from 'node:fs'
import type { HashName } from '@countersign/core/ports'

interface Wycheproof<Group> {
  readonly numberOfTests: number
  readonly testGroups: readonly Group[]
}

interface WycheproofCase {
  readonly tcId: number
  readonly comment: string
  readonly flags: readonly string[]
  readonly result: 'valid' | 'invalid' | 'acceptable'
}

export interface SignatureGroup {
  readonly publicKeyDer: string
  readonly tests: readonly (WycheproofCase & { readonly msg: string; readonly sig: string })[]
}

export interface AeadGroup {
  /** Bits, all three. */
  readonly keySize: number
  readonly ivSize: number
  readonly tagSize: number
  readonly tests: readonly (WycheproofCase & {
    readonly key: string
    readonly iv: string
    readonly aad: string
    readonly msg: string
    readonly ct: string
    readonly tag: string
  })[]
}

export interface HkdfGroup {
  readonly tests: readonly (WycheproofCase & {
    readonly ikm: string
    readonly salt: string
    readonly info: string
    readonly size: number
    readonly okm: string
  })[]
}

/** X25519, and ECDH with points as they travel. */
export interface AgreementGroup {
  readonly tests: readonly (WycheproofCase & {
    readonly public: string
    readonly private: string
    readonly shared: string
  })[]
}

interface Rfc5869 {
  readonly cases: readonly {
    readonly section: string
    readonly hash: HashName
    readonly ikm: string
    readonly salt: string | null
    readonly info: string
    readonly length: number
    readonly prk: string
    readonly okm: string
  }[]
}

interface Rfc8439 {
  readonly key: string
  readonly nonce: string
  readonly aad: string
  readonly plaintext: string
  readonly ciphertext: string
  readonly tag: string
}

export function wycheproof<Group>(name: string): Wycheproof<Group> {
  const vectors: Wycheproof<Group> = JSON.parse(text(`wycheproof/${name}`))
  return vectors
}

export function rfc5869(): Rfc5869 {
  const vectors: Rfc5869 = JSON.parse(text('rfc5869.json'))
  return vectors
}

export function rfc8439(): Rfc8439 {
  const vector: Rfc8439 = JSON.parse(text('rfc8439.json'))
  return vector
}

function text(name: string): string {
  return readFileSync(new URL(`../../../vectors/${name}`, import.meta.url), 'utf8')
}

export function bytes(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits, 'hex'))
}

export function hex(data: Uint8Array): string {
  return Buffer.from(data).toString('hex')
}
