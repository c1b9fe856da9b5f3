/**
 * AES-CCM (RFC 3610, NIST SP 800-38C) of the CBC and CTR of @noble/ciphers, which has no CCM. For
 * nonces of 12 and 13 bytes: the counter that is left, of 3 or 2, ends where the message has to
 * end, so that CTR over the whole block counts as CCM does.
 */
import { cbc, ctr } from '@noble/ciphers/aes.js'

const blockLength = 16
/** RFC 3610 §2.2: from here on the length of the additional data takes six bytes. */
const shortAadEnd = 0xff00
/** The bit Adata of the flags in B_0 (RFC 3610 §2.2). */
const hasAad = 0x40

/** RFC 3610 §2.1: what the bytes that the nonce leaves can count. */
export function ccmPlaintextMax(nonceLength: number): number {
  return 256 ** (blockLength - 1 - nonceLength) - 1
}

/** The ciphertext with the tag behind it. */
export function ccmSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  tagLength: number,
): Uint8Array {
  const block = new Uint8Array(blockLength + plaintext.length)
  block.set(tagOf(key, nonce, aad, plaintext, tagLength))
  block.set(plaintext, blockLength)
  const hidden = stream(key, nonce, block)
  const sealed = new Uint8Array(plaintext.length + tagLength)
  sealed.set(hidden.subarray(blockLength))
  sealed.set(hidden.subarray(0, tagLength), plaintext.length)
  return sealed
}

/** Undefined when the tag does not fit. `sealed` is at least as long as a tag. */
export function ccmOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
  tagLength: number,
): Uint8Array | undefined {
  const length = sealed.length - tagLength
  if (length > ccmPlaintextMax(nonce.length)) return undefined
  const block = new Uint8Array(blockLength + length)
  block.set(sealed.subarray(length))
  block.set(sealed.subarray(0, length), blockLength)
  const opened = stream(key, nonce, block)
  const plaintext = opened.slice(blockLength)
  const expected = tagOf(key, nonce, aad, plaintext, tagLength)
  if (equal(expected, opened.subarray(0, tagLength))) return plaintext
  plaintext.fill(0)
  opened.fill(0)
  return undefined
}

/**
 * RFC 3610 §2.2: CBC-MAC over B_0, the additional data and the message, each filled up to a block.
 */
function tagOf(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  tagLength: number,
): Uint8Array {
  const lengthBytes = blockLength - 1 - nonce.length
  const aadHead = aadLengthField(aad.length)
  const aadEnd = blockLength + wholeBlocks(aadHead.length + aad.length)
  const blocks = new Uint8Array(aadEnd + wholeBlocks(plaintext.length))
  blocks[0] = (aad.length > 0 ? hasAad : 0) | (((tagLength - 2) / 2) << 3) | (lengthBytes - 1)
  blocks.set(nonce, 1)
  blocks.set(bigEndian(plaintext.length, lengthBytes), 1 + nonce.length)
  blocks.set(aadHead, blockLength)
  blocks.set(aad, blockLength + aadHead.length)
  blocks.set(plaintext, aadEnd)
  const chained = cbc(key, new Uint8Array(blockLength), { disablePadding: true }).encrypt(blocks)
  blocks.fill(0)
  return chained.slice(-blockLength).subarray(0, tagLength)
}

function aadLengthField(length: number): Uint8Array {
  if (length === 0) return new Uint8Array(0)
  if (length < shortAadEnd) return bigEndian(length, 2)
  return Uint8Array.of(0xff, 0xfe, ...bigEndian(length, 4))
}

/** RFC 3610 §2.3: A_0 hides the tag, A_1 and on the message. */
function stream(key: Uint8Array, nonce: Uint8Array, blocks: Uint8Array): Uint8Array {
  const counter = new Uint8Array(blockLength)
  counter[0] = blockLength - 2 - nonce.length
  counter.set(nonce, 1)
  return ctr(key, counter).encrypt(blocks)
}

function wholeBlocks(length: number): number {
  return Math.ceil(length / blockLength) * blockLength
}

function bigEndian(value: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (value / 256 ** (length - 1 - index)) & 0xff)
}

/** As `equalSecretBytes` of codec, which this provider does without: it imports no room of core. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0)
  return difference === 0
}
