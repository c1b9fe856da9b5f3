/**
 * GCM (NIST SP 800-38D) over a block function and a multiplication in GF(2^128), both of which an
 * ATECC608 has. With a tag of 16 bytes.
 */
import { timingSafeEqual } from 'node:crypto'
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import {
  type BlockFunction,
  blockLength,
  blocksOf,
  ctr,
  type FieldMultiply,
  increment,
  tagMismatch,
  zeroPadded,
} from './aesModes.ts'
import { xor } from './hostMath.ts'

/** The counter of GCM is the last 32 bits. */
const counterLength = 4
const tagLength = 16
/** SP 800-38D §5.2.1.1 allows more; a chip that does a block in milliseconds does not. */
const lengthMax = 0xffff

/** The sealed bytes, and behind them the tag. */
export async function gcmSeal(
  encrypt: BlockFunction,
  multiply: FieldMultiply,
  iv: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
): Promise<Uint8Array> {
  const state = await begin(encrypt, multiply, iv, aad, plain.length)
  const sealed = await ctr(encrypt, state.firstCounter, plain, counterLength)
  return concat(sealed, await tagOf(encrypt, multiply, state, aad, sealed))
}

/** ERR_ELEMENT_VERIFY_FAILED, and nothing else, for what was not sealed so. */
export async function gcmOpen(
  encrypt: BlockFunction,
  multiply: FieldMultiply,
  iv: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  if (sealed.length < tagLength) throw tagMismatch()
  const body = sealed.subarray(0, sealed.length - tagLength)
  const state = await begin(encrypt, multiply, iv, aad, body.length)
  const tag = await tagOf(encrypt, multiply, state, aad, body)
  if (!timingSafeEqual(tag, sealed.subarray(body.length))) throw tagMismatch()
  return ctr(encrypt, state.firstCounter, body, counterLength)
}

interface GcmState {
  readonly hashKey: Uint8Array
  /** J_0, which hides the tag, and its successor, which begins the stream. */
  readonly preCounter: Uint8Array
  readonly firstCounter: Uint8Array
}

/** SP 800-38D §7.1, steps 1 to 3. */
async function begin(
  encrypt: BlockFunction,
  multiply: FieldMultiply,
  iv: Uint8Array,
  aad: Uint8Array,
  length: number,
): Promise<GcmState> {
  if (iv.length === 0 || iv.length > lengthMax || aad.length > lengthMax || length > lengthMax) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'lengths that GCM does not have here', {
      iv: iv.length,
      aad: aad.length,
      length,
    })
  }
  const hashKey = await encrypt(new Uint8Array(blockLength))
  const preCounter =
    iv.length === 12
      ? concat(iv, Uint8Array.of(0, 0, 0, 1))
      : await ghash(multiply, hashKey, concat(zeroPadded(iv), lengths(0, iv.length)))
  const firstCounter = Uint8Array.from(preCounter)
  increment(firstCounter, counterLength)
  return { hashKey, preCounter, firstCounter }
}

/** SP 800-38D §7.1, steps 4 to 6. */
async function tagOf(
  encrypt: BlockFunction,
  multiply: FieldMultiply,
  state: GcmState,
  aad: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  const input = concat(zeroPadded(aad), zeroPadded(sealed), lengths(aad.length, sealed.length))
  const hash = await ghash(multiply, state.hashKey, input)
  return xor(hash, await encrypt(state.preCounter))
}

async function ghash(
  multiply: FieldMultiply,
  hashKey: Uint8Array,
  data: Uint8Array,
): Promise<Uint8Array> {
  let y: Uint8Array = new Uint8Array(blockLength)
  for (const block of blocksOf(data)) y = await multiply(hashKey, xor(y, block))
  return y
}

/** Both in bits, 64 each. */
function lengths(first: number, second: number): Uint8Array {
  const bytes = new Uint8Array(blockLength)
  const view = new DataView(bytes.buffer)
  view.setUint32(4, first * 8)
  view.setUint32(12, second * 8)
  return bytes
}

/** The multiplication for a block function whose chip has none (SP 800-38D §6.3). */
export async function multiplyHere(h: Uint8Array, x: Uint8Array): Promise<Uint8Array> {
  const product = new Uint8Array(blockLength)
  let v = Uint8Array.from(h)
  for (let bit = 0; bit < blockLength * 8; bit++) {
    if ((((x[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1) product.set(xor(product, v))
    v = shiftRight(v)
  }
  return product
}

/** Multiplied by the variable: 0xE1 comes in at the top when a bit falls out below. */
function shiftRight(v: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(blockLength)
  for (let index = 0; index < blockLength; index++) {
    result[index] = ((v[index] ?? 0) >> 1) | ((v[index - 1] ?? 0) << 7)
  }
  if (((v[blockLength - 1] ?? 0) & 1) === 1) result[0] = (result[0] ?? 0) ^ 0xe1
  return result
}
