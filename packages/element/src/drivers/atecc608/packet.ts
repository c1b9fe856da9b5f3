/**
 * The packets of an ATECC608. A command is count, opcode, param1, param2 (low byte first), data,
 * CRC; an answer is count, data, CRC. `count` counts the whole packet, itself included.
 */
import { elementError } from '@countersign/core/ports'
import { type CommandName, opcodeOf } from './commandTable.ts'
import { crc16 } from './crc.ts'

/** The input buffer of the chip. */
export const commandLengthMax = 151
/** Count, one byte, CRC. */
export const answerLengthMin = 4
/** Count, the context of a SHA of at most 99 bytes, CRC. All but this and KDF end at 75. */
export const answerLengthMax = 102
const overhead = 7

/**
 * What a successful answer is: so many bytes of data, exactly or at most; a status (00); a verdict
 * (00 or 01: the value that was given does not verify); the map of failed self-tests, bits of
 * param1; or data, with one status in its place that is no error.
 */
export type AnswerShape =
  | number
  | 'status'
  | 'verdict'
  | 'map'
  | { readonly lengthMax: number }
  | { readonly length: number; readonly orStatus: number }

/**
 * What may be done when an answer was lost. `alone`: the command is sent again. `sequence`: it works
 * on volatile memory and would do so twice, so only a whole sequence is sent again. `never`: it
 * burns, counts or makes something; the caller reads the state first.
 */
export type Repeat = 'alone' | 'sequence' | 'never'

/** How what a command works on is kept over a wake that loses it: read before, given back after. */
export interface Carry {
  readonly save: Command
  readonly restore: (saved: Uint8Array) => Command
}

export interface Command {
  readonly name: CommandName
  /** The mode. */
  readonly param1: number
  readonly param2: number
  readonly data?: Uint8Array
  readonly answer: AnswerShape
  readonly repeat: Repeat
  /** Absent: a wake loses nothing of it. `never`: what it works on cannot be kept. */
  readonly carry?: Carry | 'never'
}

export function encodeCommand(command: Command): Uint8Array {
  const data = command.data ?? new Uint8Array()
  const count = data.length + overhead
  if (count > commandLengthMax || !isByte(command.param1) || !isShort(command.param2)) {
    throw elementError('ERR_ELEMENT_ARGUMENT', `a ${command.name} command that is no packet`, {
      count,
      param1: command.param1,
      param2: command.param2,
    })
  }
  const packet = new Uint8Array(count)
  const view = new DataView(packet.buffer)
  packet.set([count, opcodeOf(command.name), command.param1])
  view.setUint16(3, command.param2, true)
  packet.set(data, 5)
  view.setUint16(count - 2, crc16(packet.subarray(0, count - 2)), true)
  return packet
}

/**
 * The data of an answer, or undefined for bytes that are no packet: too short, too long, not as long
 * as they say, or with a CRC that does not fit.
 */
export function decodeAnswer(bytes: Uint8Array): Uint8Array | undefined {
  const { length } = bytes
  if (length < answerLengthMin || length > answerLengthMax || bytes[0] !== length) return undefined
  const crc = (bytes[length - 2] ?? 0) | ((bytes[length - 1] ?? 0) << 8)
  if (crc !== crc16(bytes.subarray(0, length - 2))) return undefined
  return bytes.slice(1, length - 2)
}

function isByte(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xff
}

function isShort(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffff
}
