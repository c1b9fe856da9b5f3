/**
 * What one byte of answer says. An ATECC608 answers either data or a status; a status is a single
 * byte, and every byte has its meaning here, also those that the chip should never send.
 * Unconfirmed on silicon (U9).
 */
import { type ElementError, type ElementErrorCode, elementError } from '@countersign/core/ports'
import type { Command } from './packet.ts'

export const status = {
  ok: 0x00,
  mismatch: 0x01,
  parse: 0x03,
  ecc: 0x05,
  selfTest: 0x07,
  rngHealth: 0x08,
  execution: 0x0f,
  woke: 0x11,
  // That these say "not carried out" is unconfirmed on silicon (U14).
  watchdog: 0xee,
  communication: 0xff,
} as const

/** RNG, ECDSA, ECDH, AES and SHA. */
const allTests = 0x3b

type Known = (typeof status)[keyof typeof status]

const meanings: Readonly<Record<Known, readonly [ElementErrorCode, string]>> = {
  [status.ok]: ['ERR_ELEMENT_PARSE', 'said "done" where it should give data'],
  [status.mismatch]: ['ERR_ELEMENT_VERIFY_FAILED', 'found that the value does not verify'],
  [status.parse]: ['ERR_ELEMENT_PARSE', 'did not understand the command'],
  [status.ecc]: ['ERR_ELEMENT_ECC', 'failed in a computation on the curve'],
  [status.selfTest]: ['ERR_ELEMENT_SELFTEST', 'failed its self-test'],
  [status.rngHealth]: ['ERR_ELEMENT_RNG_HEALTH', 'does not trust its random numbers now'],
  [status.execution]: ['ERR_ELEMENT_POLICY', 'refused the command in its present state'],
  [status.woke]: ['ERR_ELEMENT_BUS', 'has just woken and knows nothing of the command'],
  [status.watchdog]: ['ERR_ELEMENT_WATCHDOG', 'had no time left before its watchdog'],
  [status.communication]: ['ERR_ELEMENT_CRC', 'received a damaged command'],
}

/** A status, or as many bytes as the command wants. */
export function fits(command: Command, payload: Uint8Array): boolean {
  const { length } = payload
  if (length === 1) return true
  const { answer } = command
  if (typeof answer !== 'object') return length === answer
  return 'lengthMax' in answer ? length <= answer.lengthMax : length === answer.length
}

/** What an answer that succeeded carries; for a verdict or a map its byte. Throws what it says. */
export function readAnswer(command: Command, payload: Uint8Array): Uint8Array {
  if (payload.length === 1) return readByte(command, payload)
  if (fits(command, payload)) return payload
  throw elementError(
    'ERR_ELEMENT_PARSE',
    `${command.name} was answered with ${payload.length} bytes`,
    { command: command.name, length: payload.length },
  )
}

function readByte(command: Command, payload: Uint8Array): Uint8Array {
  const byte = payload[0] ?? 0
  const { answer } = command
  if (answer === 'status' && byte === status.ok) return new Uint8Array()
  if (answer === 'verdict' && (byte === status.ok || byte === status.mismatch)) return payload
  // A map has only bits that were asked for (none: any of all); anything else is a status.
  const asked = command.param1 === 0 ? allTests : command.param1
  if (answer === 'map' && (byte & ~asked) === 0) return payload
  if (typeof answer === 'object' && 'orStatus' in answer && byte === answer.orStatus) return payload
  throw statusError(command.name, byte)
}

export function statusError(command: string, byte: number): ElementError {
  const [code, words] = isKnown(byte)
    ? meanings[byte]
    : (['ERR_ELEMENT_PARSE', 'answered with a status that has no meaning'] as const)
  return elementError(code, `at ${command} the element ${words}`, { command, status: byte })
}

function isKnown(byte: number): byte is Known {
  return Object.hasOwn(meanings, byte)
}

/** The status inside an error that came from one; undefined when the failure was another. */
export function statusOf(error: ElementError): number | undefined {
  const byte = error.details.status
  return typeof byte === 'number' ? byte : undefined
}

export type WakeAnswer = 'awake' | 'selftest' | 'damaged' | 'foreign' | 'silent'

const wakeAnswer = [0x04, 0x11, 0x33, 0x43]
const selfTestAnswers = [
  // Its CRC as the polynomial gives it,
  [0x04, 0x07, 0x40, 0xc2],
  // and as the vendor's published code compares it. Which is sent is unconfirmed on silicon (U10).
  [0x04, 0x07, 0xc4, 0x40],
]
/** More differing bits than this is another answer, not a damaged one. */
const damagedBitsMax = 3

/**
 * What came after a wake. `foreign`: it was awake already, and what was read belongs to someone
 * else (or is the 0xFF of an empty buffer); `silent`: nobody acknowledged.
 */
export function readWakeAnswer(bytes: Uint8Array): WakeAnswer {
  if (bytes.length === 0) return 'silent'
  if (bytes.length !== wakeAnswer.length) return 'foreign'
  if (selfTestAnswers.some((answer) => differingBits(bytes, answer) === 0)) return 'selftest'
  const bits = differingBits(bytes, wakeAnswer)
  if (bits === 0) return 'awake'
  return bits <= damagedBitsMax ? 'damaged' : 'foreign'
}

function differingBits(bytes: Uint8Array, expected: readonly number[]): number {
  let count = 0
  for (const [index, byte] of expected.entries()) {
    for (let rest = byte ^ (bytes[index] ?? 0); rest !== 0; rest &= rest - 1) count++
  }
  return count
}
