/**
 * Reads and writes that nobody on the bus can follow. Host and chip come to the same session key by
 * a random nonce and a secret that both know (GenDig); it masks the bytes, and a MAC under it shows
 * that a write is the host's. Each of these takes one sequence.
 * Unconfirmed on silicon (U30, U69).
 */
import { concat } from '@countersign/core/codec'
import { requireSlot } from './basics.ts'
import { genDigValue, nonceValue, privWriteMac, sha256, writeMac, xor } from './hostMath.ts'
import { randomNonce, requireLength } from './keys.ts'
import { genDig } from './macs.ts'
import type { CommandLine } from './session.ts'
import { zoneAddress } from './zones.ts'

export interface SharedSecret {
  /** 32 bytes. */
  readonly key: Uint8Array
  /** Where the chip has it: the ReadKey or WriteKey of the slot that is meant. */
  readonly slot: number
  /** The slot has NoMac: the host then says in GenDig what goes into the digest. */
  readonly noMac?: boolean
  /** 20 bytes that the host drew for this once. */
  readonly hostNonce: Uint8Array
  /** The nine bytes of the chip. */
  readonly serial: Uint8Array
}

const readBlock = 0x82
/** Data zone, 32 bytes, and bit 6: the bytes are masked and have a MAC. */
/** With bit 6. Unconfirmed on silicon (U42). */
const writeBlockMasked = 0xc2
const privWriteMasked = 0x40

/** One block of 32 bytes of a slot with EncryptRead. */
export async function readEncrypted(
  line: CommandLine,
  slot: number,
  block: number,
  secret: SharedSecret,
): Promise<Uint8Array> {
  const sessionKey = await agreeSessionKey(line, secret)
  const masked = await line.run({
    name: 'Read',
    param1: readBlock,
    param2: blockAddress(slot, block),
    answer: 32,
    // The session key serves once.
    repeat: 'sequence',
  })
  const plain = xor(masked, sessionKey)
  sessionKey.fill(0)
  return plain
}

/** One block of 32 bytes of a slot whose WriteConfig wants it so. Never sent twice. */
export async function writeEncrypted(
  line: CommandLine,
  slot: number,
  block: number,
  plain: Uint8Array,
  secret: SharedSecret,
): Promise<void> {
  requireLength('a block', plain, 32)
  const sessionKey = await agreeSessionKey(line, secret)
  const param2 = blockAddress(slot, block)
  const proof = writeMac(sessionKey, writeBlockMasked, param2, secret.serial, plain)
  const masked = xor(plain, sessionKey)
  sessionKey.fill(0)
  await line.run({
    name: 'Write',
    param1: writeBlockMasked,
    param2,
    data: concat(masked, proof),
    answer: 'status',
    repeat: 'never',
  })
}

/**
 * Puts a private key of the host's into a slot: in clear only while the data zone is open. A key
 * that was outside once is no key that an element made. Never sent twice.
 */
export async function writePrivateKey(
  line: CommandLine,
  slot: number,
  privateKey: Uint8Array,
  secret?: SharedSecret,
): Promise<void> {
  requireLength('a private key', privateKey, 32)
  requireSlot(slot)
  const padded = concat(new Uint8Array(4), privateKey)
  const [mode, body] =
    secret === undefined
      ? [0, concat(padded, new Uint8Array(32))] // instead of the MAC
      : [privWriteMasked, await maskPrivateKey(line, slot, padded, secret)]
  padded.fill(0)
  await line.run({
    name: 'PrivWrite',
    param1: mode,
    param2: slot,
    data: body,
    answer: 'status',
    repeat: 'never',
  })
  body.fill(0)
}

async function maskPrivateKey(
  line: CommandLine,
  slot: number,
  padded: Uint8Array,
  secret: SharedSecret,
): Promise<Uint8Array> {
  const sessionKey = await agreeSessionKey(line, secret)
  const proof = privWriteMac(sessionKey, privWriteMasked, slot, secret.serial, padded)
  // 36 bytes and a mask of 32: the last 4 take the digest of the mask.
  const mask = concat(sessionKey, sha256(sessionKey).subarray(0, 4))
  const masked = xor(padded, mask)
  sessionKey.fill(0)
  mask.fill(0)
  return concat(masked, proof)
}

async function agreeSessionKey(line: CommandLine, secret: SharedSecret): Promise<Uint8Array> {
  requireLength('a shared secret', secret.key, 32)
  requireLength('a serial number', secret.serial, 9)
  const slot = requireSlot(secret.slot)
  const randOut = await randomNonce(line, secret.hostNonce)
  // Where the host must say it, it says what the chip would take itself: the key is the same.
  const other = secret.noMac ? Uint8Array.of(0x15, 0x02, slot, 0x00) : new Uint8Array()
  await genDig(line, 'slot', slot, other)
  const nonce = nonceValue(randOut, secret.hostNonce, 0)
  return genDigValue(nonce, secret.key, slot, secret.serial)
}

function blockAddress(slot: number, block: number): number {
  return zoneAddress({ kind: 'data', slot: requireSlot(slot) }, block * 32)
}
