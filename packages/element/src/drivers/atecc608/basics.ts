/** Info, Random, Counter, SelfTest, UpdateExtra: what needs neither key nor zone. */

import { elementError } from '@countersign/core/ports'
import type { CommandLine } from './session.ts'

/** Four bytes: `00 00 60 02` is a 608A, `00 00 60 03` a 608B. Unconfirmed on silicon (U13). */
export function revision(line: CommandLine): Promise<Uint8Array> {
  return info(line, 0, 0)
}

/** Whether a slot holds a valid ECC key. */
export async function keyValid(line: CommandLine, slot: number): Promise<boolean> {
  const answer = await info(line, 1, requireSlot(slot))
  return ((answer[0] ?? 0) & 1) !== 0
}

/** The state of the volatile memory, as the chip gives it. */
export function deviceState(line: CommandLine): Promise<Uint8Array> {
  return info(line, 2, 0)
}

/** The pin of a part for the single wire: read, or set to a value; the first byte is its value. */
export function gpio(line: CommandLine, set?: boolean): Promise<Uint8Array> {
  return info(line, 3, set === undefined ? 0 : set ? 0b11 : 0b10)
}

/**
 * Allows or forbids the keys that need it (VolatileKeyPermission), until the power goes. What is set
 * is answered by zero in any case: read it to see it.
 */
export function volatileKeyPermit(line: CommandLine, set?: boolean): Promise<Uint8Array> {
  return info(line, 4, set === undefined ? 0 : set ? 0b11 : 0b10)
}

function info(line: CommandLine, mode: number, param2: number): Promise<Uint8Array> {
  return line.run({ name: 'Info', param1: mode, param2, answer: 4, repeat: 'alone' })
}

/** While the configuration is open, the generator gives this. Unconfirmed on silicon (U16). */
const fixedPattern = Uint8Array.of(0xff, 0xff, 0x00, 0x00)

/** 32 bytes. `keepSeed` does not write the new seed to the EEPROM, which wears. */
export async function random(line: CommandLine, keepSeed = false): Promise<Uint8Array> {
  const bytes = await line.run({
    name: 'Random',
    param1: keepSeed ? 1 : 0,
    param2: 0,
    answer: 32,
    repeat: 'alone',
  })
  requireRandom(bytes)
  return bytes
}

/** Refuses what a chip answers instead of random numbers. */
export function requireRandom(bytes: Uint8Array): void {
  const fixed = bytes.length >= 8 && bytes.every((byte, index) => byte === fixedPattern[index % 4])
  if (!fixed) return
  throw elementError(
    'ERR_ELEMENT_NOT_LOCKED',
    'the element gives its fixed pattern instead of random numbers',
    {},
    { hint: 'Its configuration must be locked before anything that needs random numbers.' },
  )
}

export const counterCount = 2
export const counterValueMax = 2_097_151

export function readCounter(line: CommandLine, counter: number): Promise<number> {
  return count(line, 0, counter)
}

/** The new value. Never sent twice: when its answer is lost, read the counter. */
export async function incrementCounter(line: CommandLine, counter: number): Promise<number> {
  return count(line, 1, counter)
}

async function count(line: CommandLine, mode: 0 | 1, counter: number): Promise<number> {
  if (!Number.isInteger(counter) || counter < 0 || counter >= counterCount) {
    throw elementError('ERR_ELEMENT_ARGUMENT', `no counter has the number ${counter}`, { counter })
  }
  const bytes = await line.run({
    name: 'Counter',
    param1: mode,
    param2: counter,
    answer: 4,
    repeat: mode === 0 ? 'alone' : 'never',
  })
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

export const slotCount = 16

/** The same number; ERR_ELEMENT_SLOT when no slot has it. */
export function requireSlot(slot: number): number {
  if (Number.isInteger(slot) && slot >= 0 && slot < slotCount) return slot
  throw elementError('ERR_ELEMENT_SLOT', `an ATECC608 has the slots 0 to 15, not ${slot}`, { slot })
}
