/**
 * UpdateExtra (20): two bytes that are set once, and the use counter of keys.
 * Unconfirmed on silicon (U26).
 */
import type { Command, Inside } from '../inside.ts'
import { done } from '../inside.ts'
import { at } from '../layout.ts'
import { countUse } from '../policy.ts'
import { Refusal, requireExecution, requireParse, status } from '../status.ts'

const extra = { userExtra: 0, userExtraAddress: 1, countUse: 2 } as const

/**
 * Sets one of two bytes of the configuration, each while it is zero, also after the lock; or uses
 * a key of limited use up by one.
 */
export function updateExtra(inside: Inside, { mode, param2, data }: Command): Uint8Array {
  requireParse(data.length === 0)
  const { config, eeprom } = inside
  switch (mode) {
    case extra.userExtra:
    case extra.userExtraAddress: {
      requireParse(param2 <= 0xff)
      const cell = at.userExtra + mode
      requireExecution(config.byte(cell) === 0)
      eeprom.write('config', cell, Uint8Array.of(param2))
      return done()
    }
    case extra.countUse:
      requireParse(param2 < 16)
      requireExecution(config.dataLocked && config.slotConfig(param2).limitedUse)
      countUse(inside, param2)
      return done()
    default:
      throw new Refusal(status.parse)
  }
}
