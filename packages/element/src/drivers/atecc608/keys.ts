/** Nonce, GenKey and Sign: keys that are made inside, and what they sign. */
import { elementError } from '@countersign/core/ports'
import { requireRandom, requireSlot } from './basics.ts'
import type { Repeat } from './packet.ts'
import type { CommandLine } from './session.ts'

/** Where 32 or 64 bytes go that commands then work on. */
export type VolatileTarget = 'tempKey' | 'messageDigest' | 'alternateKey'

export const targetBits: Readonly<Record<VolatileTarget, number>> = {
  tempKey: 0x00,
  messageDigest: 0x40,
  alternateKey: 0x80,
}

/** GenKey of a key that lives in TempKey, and Sign or ECDH with it. */
export const ephemeralKey = 0xffff

/**
 * Loads 32 or 64 bytes as they are (mode 3). TempKey then counts as given by the host: rules that
 * want randomness refuse it.
 */
export async function loadNonce(
  line: CommandLine,
  bytes: Uint8Array,
  target: VolatileTarget = 'tempKey',
): Promise<void> {
  const long = bytes.length === 64
  if (!long) requireLength('a nonce', bytes, 32)
  await line.run({
    name: 'Nonce',
    param1: 0x03 | (long ? 0x20 : 0) | targetBits[target],
    param2: 0,
    data: bytes,
    answer: 'status',
    repeat: 'alone',
  })
}

export interface RandomNonceOptions {
  /** Does not write a new seed to the EEPROM (mode 1). */
  readonly keepSeed?: boolean
  readonly target?: VolatileTarget
  /**
   * No new number: what is in TempKey stands in its place, and the answer is the new TempKey (param2
   * bit 15). TempKey must be valid, and nobody else knows the result only if nobody knew it before.
   */
  readonly fromTempKey?: boolean
}

export const nonceInputLength = 20

/**
 * TempKey = SHA-256(RandOut || input || 16 || mode || 00): nobody chose it alone. Answers RandOut,
 * 32 bytes.
 */
export async function randomNonce(
  line: CommandLine,
  input: Uint8Array,
  options: RandomNonceOptions = {},
): Promise<Uint8Array> {
  requireLength('the input of a nonce', input, nonceInputLength)
  const answer = await line.run({
    name: 'Nonce',
    param1: (options.keepSeed ? 1 : 0) | targetBits[options.target ?? 'tempKey'],
    param2: options.fromTempKey ? 0x8000 : 0,
    data: input,
    answer: 32,
    repeat: options.fromTempKey ? 'sequence' : 'alone',
  })
  if (!options.fromTempKey) requireRandom(answer)
  return answer
}

/** Makes a key in the slot; X || Y. Never sent twice: when its answer is lost, read the public key. */
export function createKey(line: CommandLine, slot: number): Promise<Uint8Array> {
  return genKey(line, 0x04, requireSlot(slot), 64, { repeat: 'never' })
}

/** Makes a key in TempKey; X || Y. */
export function createEphemeralKey(line: CommandLine): Promise<Uint8Array> {
  return genKey(line, 0x04, ephemeralKey, 64, {})
}

/** X || Y of the private key in the slot, computed inside. */
export function publicKeyOf(line: CommandLine, slot: number): Promise<Uint8Array> {
  return genKey(line, 0x00, requireSlot(slot), 64, {})
}

/**
 * The same, and TempKey becomes a digest of it and of the TempKey before, which must be valid: with
 * an internal signature over that the chip attests the key.
 */
export function digestPrivateSlot(line: CommandLine, slot: number): Promise<Uint8Array> {
  return genKey(line, 0x08, requireSlot(slot), 64, { repeat: 'sequence' })
}

/** TempKey becomes a digest of the public key that is stored in the slot. */
export async function digestPublicSlot(
  line: CommandLine,
  slot: number,
  otherData: Uint8Array = new Uint8Array(3),
): Promise<void> {
  requireLength('the other data of GenKey', otherData, 3)
  await genKey(line, 0x10, requireSlot(slot), 'status', {
    data: otherData,
    repeat: 'sequence',
  })
}

function genKey(
  line: CommandLine,
  mode: number,
  param2: number,
  answer: 64 | 'status',
  more: { readonly data?: Uint8Array; readonly repeat?: Repeat },
): Promise<Uint8Array> {
  const { repeat = 'alone', data = new Uint8Array() } = more
  return line.run({ name: 'GenKey', param1: mode, param2, data, answer, repeat })
}

export interface SignOptions {
  /** Where the digest, or for an internal signature its begin, was loaded. TempKey by default. */
  readonly source?: 'tempKey' | 'messageDigest'
}

const sourceBit = { tempKey: 0x00, messageDigest: 0x20 } as const

/** r || s over the 32 bytes that were loaded, whatever they are. In a sequence after `loadNonce`. */
export function signExternal(
  line: CommandLine,
  slot: number,
  options: SignOptions = {},
): Promise<Uint8Array> {
  return sign(line, 0x80 | sourceBit[options.source ?? 'tempKey'], slot)
}

export interface SignInternalOptions extends SignOptions {
  /** The whole serial number goes into what is signed. */
  readonly includeSerial?: boolean
  /** What is signed will invalidate a public key. */
  readonly forInvalidate?: boolean
}

/** r || s over the 55 bytes that the chip composes of TempKey, its slot's rules and its serial. */
export function signInternal(
  line: CommandLine,
  slot: number,
  options: SignInternalOptions = {},
): Promise<Uint8Array> {
  const { source = 'tempKey', includeSerial = false, forInvalidate = false } = options
  const mode = (includeSerial ? 0x40 : 0) | (forInvalidate ? 0x01 : 0)
  return sign(line, mode | sourceBit[source], slot)
}

function sign(line: CommandLine, mode: number, slot: number): Promise<Uint8Array> {
  const param2 = requireSlot(slot)
  return line.run({ name: 'Sign', param1: mode, param2, answer: 64, repeat: 'alone' })
}

export function requireLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length === length) return
  throw elementError('ERR_ELEMENT_ARGUMENT', `${what} has ${length} bytes, not ${bytes.length}`, {
    length: bytes.length,
  })
}
