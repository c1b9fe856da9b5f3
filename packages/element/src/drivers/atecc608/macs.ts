/** GenDig, MAC, CheckMac and DeriveKey: secrets that are shown by their digests only. */
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import { requireSlot } from './basics.ts'
import { requireLength } from './keys.ts'
import type { CommandLine } from './session.ts'
import { status } from './status.ts'

/**
 * What GenDig folds into TempKey: 32 bytes of a zone (`number`: which block or slot), a nonce of the
 * host, a counter, or the rules of a slot.
 */
export type GenDigZone = 'config' | 'otp' | 'slot' | 'sharedNonce' | 'counter' | 'keyConfig'

const genDigZones: Readonly<Record<GenDigZone, number>> = {
  config: 0,
  otp: 1,
  slot: 2,
  sharedNonce: 3,
  counter: 4,
  keyConfig: 5,
}

/** TempKey must be valid before. `other`: 4 bytes for a slot with NoMac, 32 for a shared nonce. */
export async function genDig(
  line: CommandLine,
  zone: GenDigZone,
  number: number,
  other: Uint8Array = new Uint8Array(),
): Promise<void> {
  if (other.length !== 0 && other.length !== 4 && other.length !== 32) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'the other data of GenDig has 4 or 32 bytes', {
      length: other.length,
    })
  }
  await line.run({
    name: 'GenDig',
    param1: genDigZones[zone],
    param2: number,
    data: other,
    answer: 'status',
    repeat: 'sequence',
  })
}

/**
 * 32 bytes over a secret and a challenge. Mode bit 0: the second 32 bytes are TempKey (then no
 * challenge), bit 1: the first are, bit 2: TempKey came from the host, bit 6: with the serial.
 */
export function mac(
  line: CommandLine,
  mode: number,
  slot: number,
  challenge?: Uint8Array,
): Promise<Uint8Array> {
  const wanted = (mode & 0x01) === 0
  if (wanted) requireLength('a challenge', challenge ?? new Uint8Array(), 32)
  const command = {
    name: 'MAC',
    param1: mode,
    param2: requireSlot(slot),
    answer: 32,
    repeat: 'sequence',
  } as const
  return line.run(wanted && challenge !== undefined ? { ...command, data: challenge } : command)
}

export interface CheckMacInput {
  readonly mode: number
  readonly slot: number
  readonly challenge: Uint8Array
  readonly response: Uint8Array
  /** The 13 bytes of the other side's MAC command and serial. */
  readonly other: Uint8Array
}

/** Whether a response is what the secret in the slot gives. */
export async function checkMac(line: CommandLine, input: CheckMacInput): Promise<boolean> {
  requireLength('a challenge', input.challenge, 32)
  requireLength('a response', input.response, 32)
  requireLength('the other data of CheckMac', input.other, 13)
  const verdict = await line.run({
    name: 'CheckMac',
    param1: input.mode,
    param2: requireSlot(input.slot),
    data: concat(input.challenge, input.response, input.other),
    answer: 'verdict',
    repeat: 'sequence',
  })
  return verdict[0] === status.ok
}

/**
 * The secret in the slot becomes one derived of it (or of its parent) and TempKey. Mode 4 when
 * TempKey came from the host, else 0. Never sent twice.
 */
export async function deriveKey(
  line: CommandLine,
  mode: 0 | 4,
  slot: number,
  authorization: Uint8Array = new Uint8Array(),
): Promise<void> {
  if (authorization.length !== 0) requireLength('the MAC of DeriveKey', authorization, 32)
  await line.run({
    name: 'DeriveKey',
    param1: mode,
    param2: requireSlot(slot),
    data: authorization,
    answer: 'status',
    repeat: 'never',
  })
}
