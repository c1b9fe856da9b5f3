/** CCM (RFC 3610, NIST SP 800-38C) over a block function. */
import { timingSafeEqual } from 'node:crypto'
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import {
  type BlockFunction,
  blockLength,
  blocksOf,
  ctr,
  tagMismatch,
  zeroPadded,
} from './aesModes.ts'
import { xor } from './hostMath.ts'

/** Additional data beyond this has a longer length field, which nobody here needs. */
const aadLengthMax = 0xfeff

/** The sealed bytes, and behind them the tag. */
export async function ccmSeal(
  encrypt: BlockFunction,
  nonce: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
  tagLength: number,
): Promise<Uint8Array> {
  requireShape(nonce, aad, plain.length, tagLength)
  const tag = await mac(encrypt, nonce, aad, plain, tagLength)
  const sealed = await stream(encrypt, nonce, concat(zeroPadded(tag), plain))
  return concat(sealed.subarray(blockLength), sealed.subarray(0, tagLength))
}

/** ERR_ELEMENT_VERIFY_FAILED, and nothing else, for what was not sealed so. */
export async function ccmOpen(
  encrypt: BlockFunction,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
  tagLength: number,
): Promise<Uint8Array> {
  if (sealed.length < tagLength) throw tagMismatch()
  const length = sealed.length - tagLength
  requireShape(nonce, aad, length, tagLength)
  const given = sealed.subarray(length)
  const opened = await stream(encrypt, nonce, concat(zeroPadded(given), sealed.subarray(0, length)))
  const plain = opened.slice(blockLength)
  const tag = await mac(encrypt, nonce, aad, plain, tagLength)
  if (timingSafeEqual(tag, opened.subarray(0, tagLength))) return plain
  plain.fill(0)
  throw tagMismatch()
}

/** RFC 3610 §2.2: CBC-MAC over B_0, the additional data and the message. */
async function mac(
  encrypt: BlockFunction,
  nonce: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
  tagLength: number,
): Promise<Uint8Array> {
  const lengthBytes = blockLength - 1 - nonce.length
  const flags = (aad.length > 0 ? 0x40 : 0) | (((tagLength - 2) / 2) << 3) | (lengthBytes - 1)
  const first = concat(Uint8Array.of(flags), nonce, bigEndian(plain.length, lengthBytes))
  const authenticated = aad.length === 0 ? aad : zeroPadded(concat(bigEndian(aad.length, 2), aad))
  let chain: Uint8Array = new Uint8Array(blockLength)
  for (const block of blocksOf(concat(first, authenticated, zeroPadded(plain)))) {
    chain = await encrypt(xor(chain, block))
  }
  return chain.slice(0, tagLength)
}

/** RFC 3610 §2.3: A_0 hides the tag, A_1 and on the message. */
function stream(encrypt: BlockFunction, nonce: Uint8Array, data: Uint8Array): Promise<Uint8Array> {
  const counterLength = blockLength - 1 - nonce.length
  const counter = concat(Uint8Array.of(counterLength - 1), nonce, new Uint8Array(counterLength))
  return ctr(encrypt, counter, data, counterLength)
}

function bigEndian(value: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = length - 1, rest = value; rest > 0 && index >= 0; index--) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return bytes
}

function requireShape(nonce: Uint8Array, aad: Uint8Array, length: number, tagLength: number): void {
  const nonceOk = nonce.length >= 7 && nonce.length <= 13
  const tagOk = tagLength >= 4 && tagLength <= 16 && tagLength % 2 === 0
  const lengthOk = length < 256 ** (blockLength - 1 - nonce.length)
  if (nonceOk && tagOk && lengthOk && aad.length <= aadLengthMax) return
  throw elementError('ERR_ELEMENT_ARGUMENT', 'lengths that CCM does not have', {
    nonce: nonce.length,
    tag: tagLength,
    aad: aad.length,
    length,
  })
}
