/**
 * Fuzzes the messages, plaintexts and errors of EDHOC: whatever is taken is the only encoding of its
 * value, and an x coordinate that is taken has a point. `node fuzz/edhoc.ts --seconds N --seed S`
 */
import { readFileSync } from 'node:fs'
import { equalBytes } from '@countersign/core/codec'
import {
  encodeEad,
  encodeError,
  encodeMessage1,
  encodeMessage2,
  encodePlaintext2,
  encodePlaintext3,
  encodeSealed,
  methods,
  parseError,
  parseMessage1,
  parseMessage2,
  parseMessage3,
  parseMessage4,
  parsePlaintext2,
  parsePlaintext3,
  parsePlaintext4,
  peerShare,
  suitesOf,
} from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { each, fuzz } from './fuzz.ts'

interface Vector {
  readonly message_1: string
  readonly message_2: string
  readonly message_3: string
  readonly message_4: string
  readonly intermediate: { readonly PLAINTEXT_2: string; readonly PLAINTEXT_3: string }
}

const file = new URL('../vectors/edhoc-x509.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] }

const suite = required(suitesOf(nodeCrypto).find(({ number }) => number === 2))
const [signing, agreeing] = [required(methods.get(0)), required(methods.get(3))]

const corpus = [
  ...vectors.flatMap(({ message_1, message_2, message_3, message_4, intermediate }) => [
    ...[message_1, message_2, message_3, message_4].map(bytes),
    ...[intermediate.PLAINTEXT_2, intermediate.PLAINTEXT_3].map(bytes),
  ]),
  // Errors, a kid that travels bare, authorization data.
  ...['01626e6f', '0202', '02820203', '03f5', '2732480943305c899f5c54', '2042aabb0043000000'].map(
    bytes,
  ),
]

fuzz('edhoc', corpus, (input) =>
  each([
    () => {
      const message1 = parseMessage1(input)
      same(encodeMessage1(message1), input)
      peerShare(nodeCrypto, suite, message1.gX)
    },
    () => same(encodeMessage2(parseMessage2(input, suite)), input),
    () => same(encodeSealed(parseMessage3(input, suite)), input),
    () => same(encodeSealed(parseMessage4(input, suite)), input),
    () => same(encodePlaintext2(parsePlaintext2(input, suite, signing)), input),
    () => same(encodePlaintext2(parsePlaintext2(input, suite, agreeing)), input),
    () => same(encodePlaintext3(parsePlaintext3(input, suite, signing)), input),
    () => same(encodePlaintext3(parsePlaintext3(input, suite, agreeing)), input),
    () => same(encodeEad(parsePlaintext4(input)), input),
    () => {
      const error = parseError(input)
      if (error.kind !== 'other') same(encodeError(error), input)
    },
  ]),
)

function same(again: Uint8Array, input: Uint8Array): void {
  if (!equalBytes(again, input)) throw new Error('something else was taken for the same')
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('not in the table')
  return value
}
