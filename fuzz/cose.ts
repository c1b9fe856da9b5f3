/**
 * Fuzzes messages of COSE and references to credentials. What is believed has the content that was
 * protected; a reference that is taken is the only encoding of its value. `node fuzz/cose.ts
 * --seconds N --seed S`
 */
import { readFileSync } from 'node:fs'
import { CborReader, equalBytes } from '@countersign/core/codec'
import {
  encodeByteIdentifier,
  encodeCompactReference,
  encodeCredentialReference,
  openEncrypt0,
  parseEncrypt0,
  parseMac0,
  parseSign1,
  readByteIdentifier,
  readCompactReference,
  readCredentialReference,
  verifyMac0,
  verifySign1,
} from '@countersign/core/cose'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { each, fuzz } from './fuzz.ts'

interface Example {
  readonly message: string
  readonly key: string
}

interface SignedExample {
  readonly message: string
  readonly key: { readonly x: string; readonly y: string }
}

interface Examples {
  readonly content: string
  readonly sign1: readonly [SignedExample]
  readonly encrypt0: readonly [Example]
  readonly mac0: readonly [Example]
}

const file = new URL('../vectors/cose-examples.json', import.meta.url)
const { content, sign1, encrypt0, mac0 } = JSON.parse(readFileSync(file, 'utf8')) as Examples
const protectedContent = bytes(content)

const crypto = nodeCrypto
/** SubjectPublicKeyInfo of P-256 up to the point (RFC 5480). */
const head = '3059301306072a8648ce3d020106082a8648ce3d03010703420004'
const { x, y } = sign1[0].key
const key = crypto.importPublicKey(bytes(head + x + y), { kind: 'ec', curve: 'P-256' })
const aeadKey = { crypto, key: crypto.importSecret(bytes(encrypt0[0].key)), algorithm: 10 }
const macKey = { crypto, key: crypto.importSecret(bytes(mac0[0].key)), algorithm: 5 }

const references = [
  'a1044132',
  'a11822822e4879f2a41b510c1f9b',
  'a118218241304131',
  'a4044132182141301822822e4879f2a41b510c1f9b1823d8206161',
  '2d',
  '4118',
]
const corpus = [
  ...[sign1, encrypt0, mac0].flat().map(({ message }) => bytes(message)),
  // Text labels, critical headers, content elsewhere.
  ...['8348a2028161616161f5a0f6', '8443a10126a1616100f640', ...references].map(bytes),
]

fuzz('cose', corpus, (input) =>
  each([
    () => protects(verifySign1(parseSign1(input), { crypto, key })),
    () => protects(openEncrypt0(parseEncrypt0(input), aeadKey)),
    () => protects(verifyMac0(parseMac0(input), macKey)),
    () => parseEncrypt0(input, { understood: ['a'] }),
    () => parseSign1(input),
    () => {
      const reader = new CborReader(input, 'input')
      const reference = readCredentialReference(reader, 'ID_CRED', 'input')
      reader.end()
      same(encodeCredentialReference(reference), input)
    },
    () => {
      const reader = new CborReader(input, 'input')
      const reference = readCompactReference(reader, 'ID_CRED', 'input')
      reader.end()
      same(encodeCompactReference(reference), input)
    },
    () => {
      const reader = new CborReader(input, 'input')
      const identifier = readByteIdentifier(reader, 'C_I')
      reader.end()
      same(encodeByteIdentifier(identifier), input)
    },
  ]),
)

function protects(believed: Uint8Array): void {
  if (!equalBytes(believed, protectedContent)) throw new Error('a forged content was believed')
}

function same(again: Uint8Array, input: Uint8Array): void {
  if (!equalBytes(again, input)) throw new Error('two encodings of one value')
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}
