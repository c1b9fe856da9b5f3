/** SecureBoot, SelfTest and UpdateExtra. */
import { timingSafeEqual } from 'node:crypto'
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import { requireSlot } from './basics.ts'
import { nonceValue, secureBootKey, secureBootMac, xor } from './hostMath.ts'
import { randomNonce, requireLength } from './keys.ts'
import type { CommandLine } from './session.ts'
import { status } from './status.ts'

const bootModes = { full: 5, fullStore: 6, fullCopy: 7 } as const
const prohibitBit = 0x40
const maskedBit = 0x80

export interface SecureBootInput {
  readonly mode: keyof typeof bootModes
  /** SHA-256 of the code. */
  readonly digest: Uint8Array
  /** Absent where the chip has stored what it compares with. */
  readonly signature?: Uint8Array
  /** No further SecureBoot until the power goes. */
  readonly prohibit?: boolean
}

/** Whether the code is the one that the chip accepts. FullCopy is never sent twice. */
export async function secureBoot(line: CommandLine, input: SecureBootInput): Promise<boolean> {
  const { digest, signature = new Uint8Array() } = input
  requireBoot(digest, signature)
  const verdict = await line.run({
    name: 'SecureBoot',
    param1: bootMode(input),
    param2: 0,
    data: concat(digest, signature),
    answer: 'verdict',
    repeat: input.mode === 'fullCopy' ? 'never' : 'sequence',
  })
  return verdict[0] === status.ok
}

export interface MaskedBootInput extends SecureBootInput {
  readonly ioKey: Uint8Array
  /** 20 bytes that the host drew for this once. */
  readonly hostNonce: Uint8Array
}

/** The same, with a digest that the bus does not see and an answer that nobody can forge. */
export async function secureBootMasked(
  line: CommandLine,
  input: MaskedBootInput,
): Promise<boolean> {
  const { digest, signature = new Uint8Array(), ioKey, hostNonce } = input
  requireBoot(digest, signature)
  requireLength('the I/O protection key', ioKey, 32)
  const randOut = await randomNonce(line, hostNonce)
  const key = secureBootKey(ioKey, nonceValue(randOut, hostNonce, 0))
  const mode = bootMode(input) | maskedBit
  const proof = await line.run({
    name: 'SecureBoot',
    param1: mode,
    param2: 0,
    data: concat(xor(digest, key), signature),
    answer: { length: 32, orStatus: status.mismatch },
    repeat: input.mode === 'fullCopy' ? 'never' : 'sequence',
  })
  return proof.length === 32 && timingSafeEqual(proof, secureBootMac(key, digest, signature, mode))
}

function bootMode(input: SecureBootInput): number {
  return bootModes[input.mode] | (input.prohibit ? prohibitBit : 0)
}

function requireBoot(digest: Uint8Array, signature: Uint8Array): void {
  requireLength('a digest', digest, 32)
  if (signature.length !== 0) requireLength('a signature', signature, 64)
}

export const selfTests = {
  rng: 0x01,
  ecdsa: 0x02,
  ecdh: 0x08,
  aes: 0x10,
  sha: 0x20,
} as const
export type SelfTestName = keyof typeof selfTests

const allSelfTests: readonly SelfTestName[] = ['rng', 'ecdsa', 'ecdh', 'aes', 'sha']

/** Runs these tests, and names those that failed. */
export async function selfTest(
  line: CommandLine,
  names: readonly SelfTestName[] = allSelfTests,
): Promise<readonly SelfTestName[]> {
  return runSelfTest(line, names, false)
}

/** Runs none: names those that failed before, for which a chip answers everything else with 07. */
export async function failedSelfTests(line: CommandLine): Promise<readonly SelfTestName[]> {
  return runSelfTest(line, allSelfTests, true)
}

async function runSelfTest(
  line: CommandLine,
  names: readonly SelfTestName[],
  askOnly: boolean,
): Promise<readonly SelfTestName[]> {
  const mask = askOnly ? 0 : names.reduce((bits, name) => bits | selfTests[name], 0)
  const answer = await line.run({
    name: 'SelfTest',
    param1: mask,
    param2: 0,
    answer: 'map',
    repeat: 'alone',
  })
  const map = answer[0] ?? 0
  return names.filter((name) => (map & selfTests[name]) !== 0)
}

/** Byte 84 of the configuration, or 85 (the I2C address): each once, while it is zero. */
export async function writeExtra(
  line: CommandLine,
  which: 'userExtra' | 'userExtraAdd',
  value: number,
): Promise<void> {
  if (!Number.isInteger(value) || value < 0 || value > 0xff) {
    throw elementError('ERR_ELEMENT_ARGUMENT', `${value} is no byte`, { value })
  }
  await updateExtra(line, which === 'userExtra' ? 0 : 1, value)
}

/** A key of limited use has one use less. */
export async function decrementUses(line: CommandLine, slot: number): Promise<void> {
  await updateExtra(line, 2, requireSlot(slot))
}

async function updateExtra(line: CommandLine, mode: number, param2: number): Promise<void> {
  await line.run({ name: 'UpdateExtra', param1: mode, param2, answer: 'status', repeat: 'never' })
}
