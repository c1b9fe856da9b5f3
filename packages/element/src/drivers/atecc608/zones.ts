/**
 * Read, Write and Lock. The chip reads and writes words of 4 bytes and blocks of 32; here are runs
 * of any length. Addresses: configuration and one-time zone `block << 3 | word`, data
 * `block << 8 | slot << 3 | word`.
 * Unconfirmed on silicon (U21).
 */
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import { requireSlot } from './basics.ts'
import type { Command } from './packet.ts'
import type { CommandLine } from './session.ts'

export type Zone =
  | { readonly kind: 'config' }
  | { readonly kind: 'otp' }
  | { readonly kind: 'data'; readonly slot: number }

export const configLength = 128
export const otpLength = 64
const zoneBits = { config: 0, otp: 1, data: 2 } as const
const blockLength = 32
const wordLength = 4
/** Bit 7 of param1: 32 bytes and not 4. */
const blockBit = 0x80

/** 36 bytes in slots 0 to 7, 416 in slot 8, 72 in the others. */
export function slotLength(slot: number): number {
  requireSlot(slot)
  if (slot < 8) return 36
  return slot === 8 ? 416 : 72
}

export function zoneLength(zone: Zone): number {
  if (zone.kind === 'config') return configLength
  return zone.kind === 'otp' ? otpLength : slotLength(zone.slot)
}

/** A piece of a zone that one command reads or writes. */
interface Piece {
  readonly offset: number
  readonly length: 4 | 32
}

/** Any run of bytes: read by blocks where they are whole, and by words at the edges. */
export async function readZone(
  line: CommandLine,
  zone: Zone,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  requireRun(zone, offset, length)
  const pieces = cover(zone, offset, length)
  const parts: Uint8Array[] = []
  for (const piece of pieces) parts.push(await readPiece(line, zone, piece))
  const from = pieces[0]?.offset ?? 0
  return concat(...parts).slice(offset - from, offset - from + length)
}

export function readConfig(line: CommandLine): Promise<Uint8Array> {
  return readZone(line, { kind: 'config' }, 0, configLength)
}

/** One block or word at its address. */
function readPiece(line: CommandLine, zone: Zone, piece: Piece): Promise<Uint8Array> {
  return line.run({
    name: 'Read',
    param1: zoneBits[zone.kind] | (piece.length === blockLength ? blockBit : 0),
    param2: zoneAddress(zone, piece.offset),
    answer: piece.length,
    repeat: 'alone',
  })
}

/**
 * A run of whole words. Not sent twice: when an answer is lost, read what is there and write again.
 * While the configuration or the data zone is open, the chip takes data only by blocks.
 */
export async function writeZone(
  line: CommandLine,
  zone: Zone,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  requireRun(zone, offset, bytes.length)
  if (offset % wordLength !== 0 || bytes.length % wordLength !== 0) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'a write takes whole words of 4 bytes', {
      offset,
      length: bytes.length,
    })
  }
  for (const piece of cover(zone, offset, bytes.length)) {
    const start = piece.offset - offset
    await writePiece(line, zone, piece.offset, bytes.subarray(start, start + piece.length))
  }
}

/**
 * Whole blocks from the begin of a block, the last one filled with zeros: the way into slots and the
 * one-time zone while the data zone is open, when the chip takes no words.
 */
export async function writeBlocks(
  line: CommandLine,
  zone: Zone,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  requireRun(zone, offset, bytes.length)
  if (offset % blockLength !== 0) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'a block begins at a multiple of 32', { offset })
  }
  for (let start = 0; start < bytes.length; start += blockLength) {
    const block = new Uint8Array(blockLength)
    block.set(bytes.subarray(start, start + blockLength))
    await writePiece(line, zone, offset + start, block)
  }
}

/** The words of the configuration that Write cannot change: UserExtra and the locks. */
const lockedWord = { offset: 84, length: 4 } as const
const configWritableFrom = 16

/**
 * All of an open configuration that can be written: bytes 16 to 83 and 88 to 127. Read it back and
 * compare before it is locked.
 */
export async function writeConfigZone(line: CommandLine, config: Uint8Array): Promise<void> {
  const zone: Zone = { kind: 'config' }
  const after = lockedWord.offset + lockedWord.length
  await writeZone(
    line,
    zone,
    configWritableFrom,
    config.slice(configWritableFrom, lockedWord.offset),
  )
  await writeZone(line, zone, after, config.slice(after))
}

/** One word of 4 or one block of 32 bytes. */
export async function writePiece(
  line: CommandLine,
  zone: Zone,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  await line.run(writeCommand(zone, offset, bytes))
}

export function writeCommand(zone: Zone, offset: number, bytes: Uint8Array): Command {
  return {
    name: 'Write',
    param1: zoneBits[zone.kind] | (bytes.length === blockLength ? blockBit : 0),
    param2: zoneAddress(zone, offset),
    data: bytes,
    answer: 'status',
    repeat: 'never',
  }
}

/** Of the word or block that begins at this offset. */
export function zoneAddress(zone: Zone, offset: number): number {
  const block = Math.floor(offset / blockLength)
  const word = Math.floor((offset % blockLength) / wordLength)
  return zone.kind === 'data' ? (block << 8) | (zone.slot << 3) | word : (block << 3) | word
}

/** Blocks and words that cover the run; a block only where the zone has all of it. */
function cover(zone: Zone, offset: number, length: number): Piece[] {
  const pieces: Piece[] = []
  const end = offset + length
  let at = offset - (offset % wordLength)
  while (at < end) {
    const block = at % blockLength === 0 && at + blockLength <= Math.min(zoneLength(zone), end)
    const piece: Piece = { offset: at, length: block ? blockLength : wordLength }
    pieces.push(piece)
    at += piece.length
  }
  return pieces
}

function requireRun(zone: Zone, offset: number, length: number): void {
  const whole = zoneLength(zone)
  const integers = Number.isInteger(offset) && Number.isInteger(length)
  if (integers && offset >= 0 && length >= 0 && offset + length <= whole) return
  throw elementError('ERR_ELEMENT_ARGUMENT', `the zone has ${whole} bytes`, { offset, length })
}

/**
 * Locks the configuration for ever, if the CRC of its 128 bytes is this one. Never sent twice: when
 * its answer is lost, read bytes 86 to 89 of the configuration.
 */
export function lockConfig(line: CommandLine, crc: number): Promise<void> {
  return lock(line, lockConfigCommand(crc))
}

export function lockConfigCommand(crc: number): Command {
  return lockCommand(0, crc)
}

/** Locks data and one-time zone: the CRC is of all slots in order and the one-time zone after them. */
export function lockData(line: CommandLine, crc: number): Promise<void> {
  return lock(line, lockCommand(1, crc))
}

/**
 * The same without a CRC (bit 7): for a part that has made keys, whose bytes nobody outside knows.
 * Compare before what can be read.
 */
export function lockDataUnchecked(line: CommandLine): Promise<void> {
  return lock(line, lockDataUncheckedCommand)
}

export const lockDataUncheckedCommand: Command = {
  name: 'Lock',
  param1: 0x81,
  param2: 0,
  answer: 'status',
  repeat: 'never',
}

/**
 * Locks one slot. The chip has no CRC for this, which is unconfirmed on silicon (U25): compare its
 * contents before.
 */
export function lockSlot(line: CommandLine, slot: number): Promise<void> {
  return lock(line, lockCommand(2 | (requireSlot(slot) << 2), 0))
}

function lockCommand(mode: number, param2: number): Command {
  return { name: 'Lock', param1: mode, param2, answer: 'status', repeat: 'never' }
}

async function lock(line: CommandLine, command: Command): Promise<void> {
  await line.run(command)
}
