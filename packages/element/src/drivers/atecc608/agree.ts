/** ECDH and KDF: shared secrets, and keys derived of what the chip holds. */
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import { requireSlot } from './basics.ts'
import { unmaskOutput } from './hostMath.ts'
import { requireLength } from './keys.ts'
import type { CommandLine } from './session.ts'

const ecdhModes = {
  compatible: 0x00,
  fromTempKey: 0x01,
  encrypted: 0x02,
  toSlot: 0x04,
  toTempKey: 0x08,
  toOutput: 0x0c,
} as const

/** A slot, or the private key that GenKey left in TempKey. */
export type EcdhSource = number | 'tempKey'

/** The x-coordinate of the shared point, 32 bytes in clear: the rules of the slot must allow it. */
export function ecdh(line: CommandLine, source: EcdhSource, peer: Uint8Array): Promise<Uint8Array> {
  return runEcdh(line, source, ecdhModes.toOutput, peer, 32)
}

/** The same with param1 0, as older parts of the family have it. */
export function ecdhCompatible(
  line: CommandLine,
  slot: number,
  peer: Uint8Array,
): Promise<Uint8Array> {
  return runEcdh(line, slot, ecdhModes.compatible, peer, 32)
}

/** Masked on the bus with the I/O protection key, and unmasked here. */
export async function ecdhEncrypted(
  line: CommandLine,
  source: EcdhSource,
  peer: Uint8Array,
  ioKey: Uint8Array,
): Promise<Uint8Array> {
  requireLength('the I/O protection key', ioKey, 32)
  const mode = ecdhModes.toOutput | ecdhModes.encrypted
  const answer = await runEcdh(line, source, mode, peer, 64)
  return unmaskOutput(ioKey, answer.subarray(32), answer.subarray(0, 32))
}

/** The secret goes into the slot after this one. */
export async function ecdhToNextSlot(
  line: CommandLine,
  slot: number,
  peer: Uint8Array,
): Promise<void> {
  await runEcdh(line, slot, ecdhModes.compatible, peer, 'status')
}

/** The secret replaces what was in TempKey. */
export async function ecdhToTempKey(
  line: CommandLine,
  source: EcdhSource,
  peer: Uint8Array,
): Promise<void> {
  await runEcdh(line, source, ecdhModes.toTempKey, peer, 'status')
}

/** The secret of a private key in TempKey goes into a slot. */
export async function ecdhToSlot(line: CommandLine, slot: number, peer: Uint8Array): Promise<void> {
  const param1 = ecdhModes.fromTempKey | ecdhModes.toSlot
  await ecdhCommand(line, param1, requireSlot(slot), peer, 'status', 'sequence')
}

function runEcdh(
  line: CommandLine,
  source: EcdhSource,
  mode: number,
  peer: Uint8Array,
  answer: 32 | 64 | 'status',
): Promise<Uint8Array> {
  if (source === 'tempKey') {
    // The key in TempKey serves once.
    return ecdhCommand(line, mode | ecdhModes.fromTempKey, 0, peer, answer, 'sequence')
  }
  return ecdhCommand(line, mode, requireSlot(source), peer, answer, 'alone')
}

function ecdhCommand(
  line: CommandLine,
  param1: number,
  param2: number,
  peer: Uint8Array,
  answer: 32 | 64 | 'status',
  repeat: 'alone' | 'sequence',
): Promise<Uint8Array> {
  requireLength('a public key', peer, 64)
  return line.run({ name: 'ECDH', param1, param2, data: peer, answer, repeat })
}

export type KdfAlgorithm = 'prf' | 'aes' | 'hkdf'
/** The slot of `slot` is named beside. */
export type KdfSource = 'tempKey' | 'upperTempKey' | 'slot' | 'alternateKey'
export type KdfTarget = 'tempKey' | 'upperTempKey' | 'slot' | 'alternateKey' | 'output'

const kdfAlgorithms: Readonly<Record<KdfAlgorithm, number>> = { prf: 0x00, aes: 0x20, hkdf: 0x40 }
const kdfSources: Readonly<Record<KdfSource, number>> = {
  tempKey: 0,
  upperTempKey: 1,
  slot: 2,
  alternateKey: 3,
}
const kdfTargets: Readonly<Record<KdfTarget, number>> = {
  tempKey: 0x00,
  upperTempKey: 0x04,
  slot: 0x08,
  alternateKey: 0x0c,
  output: 0x10,
}
const kdfEncryptedOutput = 0x14
/** Bit 8 of the details of a PRF: 64 bytes come out and not 32. */
const prfLongBit = 0x100
const kdfMessageLengthMax = 128
const kdfAesMessageLength = 16

export interface KdfInput {
  readonly algorithm: KdfAlgorithm
  readonly source: KdfSource
  readonly sourceSlot?: number
  readonly target: KdfTarget
  readonly targetSlot?: number
  /** The low 24 bits of the details; the length of the message is put above them. */
  readonly details: number
  readonly message: Uint8Array
  /** Masks the output on the bus. */
  readonly ioKey?: Uint8Array
}

/** 32 or 64 bytes; none when the target is inside the chip. */
export async function kdf(line: CommandLine, input: KdfInput): Promise<Uint8Array> {
  const { algorithm, source, target, ioKey } = input
  const masked = target === 'output' && ioKey !== undefined
  const targetBits = masked ? kdfEncryptedOutput : kdfTargets[target]
  const long = algorithm === 'prf' && (input.details & prfLongBit) !== 0
  const length = long ? 64 : 32
  const answer = await line.run({
    name: 'KDF',
    param1: kdfAlgorithms[algorithm] | targetBits | kdfSources[source],
    param2: requireSlot(input.sourceSlot ?? 0) | (requireSlot(input.targetSlot ?? 0) << 8),
    data: concat(kdfDetails(input), input.message),
    answer: target === 'output' ? length + (masked ? 32 : 0) : 'status',
    repeat: target === 'slot' ? 'never' : 'sequence',
  })
  if (!masked) return answer
  return unmaskOutput(ioKey, answer.subarray(length), answer.subarray(0, length))
}

function kdfDetails(input: KdfInput): Uint8Array {
  const { algorithm, details, message } = input
  const fits =
    algorithm === 'aes'
      ? message.length === kdfAesMessageLength
      : message.length <= kdfMessageLengthMax
  if (!fits || !Number.isInteger(details) || details < 0 || details > 0xff_ffff) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'message or details that KDF cannot take', {
      length: message.length,
      details,
    })
  }
  const bytes = new Uint8Array(4)
  const length = algorithm === 'aes' ? 0 : message.length
  new DataView(bytes.buffer).setUint32(0, details + length * 0x100_0000, true)
  return bytes
}
