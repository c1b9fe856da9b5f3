/** What a command may touch. Made by `Chip`, never handed out of it. */
import type { Config } from './config.ts'
import type { Eeprom } from './eeprom.ts'
import { status } from './status.ts'
import type { Registers } from './tempKey.ts'

export interface Inside {
  readonly eeprom: Eeprom
  readonly config: Config
  readonly registers: Registers
  /** From the generator, or the fixed pattern while the configuration is open. */
  random(length: number): Uint8Array
  /** Which of these self-tests fail now. */
  selfTest(tests: number): number
}

export interface Command {
  readonly opcode: number
  /** Param1, which most commands call mode. */
  readonly mode: number
  readonly param2: number
  readonly data: Uint8Array
}

/** Answers the bytes between count and CRC; a refusal is thrown, see status.ts. */
export type Handler = (inside: Inside, command: Command) => Uint8Array

/** The reply of a command that has nothing else to say. */
export function done(): Uint8Array {
  return Uint8Array.of(status.ok)
}
