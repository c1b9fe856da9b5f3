/** A chip and its EEPROM as one thing that wires can be put on. */
import { randomBytes } from 'node:crypto'
import { Chip, type ChipOptions } from './chip.ts'
import type { Eeprom } from './eeprom.ts'
import { configLength } from './layout.ts'
import type { Core } from './part.ts'

export interface CoreOptions {
  /** Node's generator when it is absent. Tests alone have reason for another. */
  readonly random?: ChipOptions['random']
  /** A part that breaks, for tests. */
  readonly selfTest?: ChipOptions['selfTest']
  /** After a command that wrote, before its reply can be seen. */
  readonly onWritten?: () => void
}

export function coreOf(
  eeprom: Eeprom,
  { random = drawBytes, selfTest, onWritten }: CoreOptions = {},
): Core {
  const chip = new Chip(eeprom, { random, selfTest })
  let written = eeprom.writeCount
  return {
    chip: {
      wake: () => chip.wake(),
      idle: () => chip.idle(),
      sleep: () => chip.sleep(),
      execute: (packet, timeLeftMs) => {
        try {
          return chip.execute(packet, timeLeftMs)
        } finally {
          // Also when the power was cut under way: what is written is written. When the file cannot
          // be written, the host sees no reply, and the next command tries again.
          if (eeprom.writeCount !== written) {
            onWritten?.()
            written = eeprom.writeCount
          }
        }
      },
    },
    config: () => eeprom.read('config', 0, configLength),
    guardWrites: (guard) => {
      eeprom.onWrite = guard
    },
  }
}

export function drawBytes(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length))
}
