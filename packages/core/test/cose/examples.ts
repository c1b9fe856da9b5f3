/** The published examples of COSE, and what tests need to judge them. */
import { readFileSync } from 'node:fs'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import type { KeyAlgorithm, PublicKey } from '../../src/ports.ts'

export interface ExampleKey {
  readonly curve: 'P-256' | 'P-384' | 'P-521' | 'Ed25519'
  readonly x: string
  readonly y?: string
}

interface Example {
  readonly source: string
  readonly message: string
}

export interface Sign1Example extends Example {
  readonly key: ExampleKey
  readonly externalAad?: string
  readonly structure: string
}

export interface SecretExample extends Example {
  readonly key: string
  readonly algorithm: number
  readonly structure: string
}

export interface Encrypt0Example extends SecretExample {
  readonly nonce: string
}

export interface Examples {
  /** The payload of every one. */
  readonly content: string
  readonly sign1: readonly Sign1Example[]
  readonly sign1Refused: readonly (Example & { readonly key: ExampleKey; readonly code: string })[]
  readonly encrypt0: readonly Encrypt0Example[]
  readonly mac0: readonly SecretExample[]
  readonly mac0Refused: readonly (Omit<SecretExample, 'structure'> & { readonly code: string })[]
}

const file = new URL('../../../../vectors/cose-examples.json', import.meta.url)

export const examples: Examples = JSON.parse(readFileSync(file, 'utf8')) as Examples

/** SubjectPublicKeyInfo up to the key (RFC 5480, RFC 8410). */
const spkiHeads: Readonly<Record<ExampleKey['curve'], readonly [string, KeyAlgorithm]>> = {
  'P-256': [
    '3059301306072a8648ce3d020106082a8648ce3d03010703420004',
    { kind: 'ec', curve: 'P-256' },
  ],
  'P-384': ['3076301006072a8648ce3d020106052b8104002203620004', { kind: 'ec', curve: 'P-384' }],
  'P-521': ['30819b301006072a8648ce3d020106052b810400230381860004', { kind: 'ec', curve: 'P-521' }],
  Ed25519: ['302a300506032b6570032100', { kind: 'ed25519' }],
}

export function publicKey({ curve, x, y = '' }: ExampleKey): PublicKey {
  const [head, algorithm] = spkiHeads[curve]
  return nodeCrypto.importPublicKey(Buffer.from(head + x + y, 'hex'), algorithm)
}

/** The first of a list that is not empty. */
export function first<Value>(list: readonly Value[]): Value {
  const [value] = list
  if (value === undefined) throw new Error('nothing there')
  return value
}

/** Every copy with one bit changed. */
export function* flips(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    yield flipped
  }
}
