/**
 * Modes of operation over a block cipher that is somewhere else: CBC and CTR (NIST SP 800-38A),
 * CMAC (RFC 4493). CCM and GCM are beside this file. Any block function serves, of a chip or of a
 * library.
 */
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import { xor } from './hostMath.ts'

/** 16 bytes to 16 bytes. */
export type BlockFunction = (block: Uint8Array) => Promise<Uint8Array>
/** The product in GF(2^128) as GCM has it, of the hash key and a block. */
export type FieldMultiply = (h: Uint8Array, x: Uint8Array) => Promise<Uint8Array>

export const blockLength = 16

/** Without padding: whole blocks only. */
export async function cbcEncrypt(
  encrypt: BlockFunction,
  iv: Uint8Array,
  plain: Uint8Array,
): Promise<Uint8Array> {
  requireBlocks(iv, plain)
  const parts: Uint8Array[] = []
  let chain = iv
  for (const block of blocksOf(plain)) {
    chain = await encrypt(xor(block, chain))
    parts.push(chain)
  }
  return concat(...parts)
}

export async function cbcDecrypt(
  decrypt: BlockFunction,
  iv: Uint8Array,
  secret: Uint8Array,
): Promise<Uint8Array> {
  requireBlocks(iv, secret)
  const parts: Uint8Array[] = []
  let chain = iv
  for (const block of blocksOf(secret)) {
    parts.push(xor(await decrypt(block), chain))
    chain = block
  }
  return concat(...parts)
}

/**
 * Encrypts and decrypts. The last `counterLength` bytes of the first counter count up, and wrap to
 * zero without a carry into the others: the caller keeps them from doing so under one key.
 */
export async function ctr(
  encrypt: BlockFunction,
  firstCounter: Uint8Array,
  data: Uint8Array,
  counterLength: number = blockLength,
): Promise<Uint8Array> {
  requireBlocks(firstCounter, new Uint8Array())
  const counter = Uint8Array.from(firstCounter)
  const parts: Uint8Array[] = []
  for (const block of blocksOf(data)) {
    parts.push(xor(block, await encrypt(Uint8Array.from(counter))))
    increment(counter, counterLength)
  }
  return concat(...parts)
}

/** Adds one to the last bytes, big-endian. */
export function increment(counter: Uint8Array, length: number): void {
  for (let index = counter.length - 1; index >= counter.length - length; index--) {
    const next = ((counter[index] ?? 0) + 1) & 0xff
    counter[index] = next
    if (next !== 0) return
  }
}

/** 16 bytes (RFC 4493 §2.4). */
export async function cmac(encrypt: BlockFunction, message: Uint8Array): Promise<Uint8Array> {
  const k1 = double(await encrypt(new Uint8Array(blockLength)))
  const blocks = blocksOf(message)
  const last = blocks.pop() ?? new Uint8Array()
  let chain: Uint8Array = new Uint8Array(blockLength)
  for (const block of blocks) chain = await encrypt(xor(chain, block))
  const whole = last.length === blockLength
  const final = whole ? xor(last, k1) : xor(padded(last), double(k1))
  return encrypt(xor(chain, final))
}

/** RFC 4493 §2.3: shifted left by one, and 0x87 where a bit fell out. */
function double(block: Uint8Array): Uint8Array {
  const result = new Uint8Array(blockLength)
  for (let index = 0; index < blockLength; index++) {
    result[index] = ((block[index] ?? 0) << 1) | ((block[index + 1] ?? 0) >> 7)
  }
  if ((block[0] ?? 0) >= 0x80) result[blockLength - 1] = (result[blockLength - 1] ?? 0) ^ 0x87
  return result
}

/** RFC 4493 §2.4: a one bit, then zeros. */
function padded(block: Uint8Array): Uint8Array {
  const result = new Uint8Array(blockLength)
  result.set(block)
  result[block.length] = 0x80
  return result
}

/** The last one may be short. */
export function blocksOf(data: Uint8Array): Uint8Array[] {
  const blocks: Uint8Array[] = []
  for (let start = 0; start < data.length; start += blockLength) {
    blocks.push(data.subarray(start, start + blockLength))
  }
  return blocks
}

/** Filled with zeros to whole blocks. */
export function zeroPadded(data: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.ceil(data.length / blockLength) * blockLength)
  result.set(data)
  return result
}

/** The one answer to anything that does not verify: no byte of it comes out. */
export function tagMismatch(): Error {
  return elementError('ERR_ELEMENT_VERIFY_FAILED', 'the tag does not verify')
}

function requireBlocks(iv: Uint8Array, data: Uint8Array): void {
  if (iv.length === blockLength && data.length % blockLength === 0) return
  throw elementError('ERR_ELEMENT_ARGUMENT', 'an initial block of 16 bytes and whole blocks', {
    iv: iv.length,
    length: data.length,
  })
}
