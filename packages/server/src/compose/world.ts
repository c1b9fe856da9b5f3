/** The world as this process sees it: the machine's clock and timers. Tests hand in their own. */
import type { Clock } from '@countersign/core/ports'
import type { Timers } from '../ports.ts'

export const machineClock: Clock = { now: () => Date.now() }

/** setTimeout takes a longer time for "at once". */
const timeoutMsMax = 2 ** 31 - 1

export const machineTimers: Timers = {
  after: (milliseconds, run) => {
    const timer = setTimeout(run, Math.min(Math.max(0, milliseconds), timeoutMsMax))
    return { cancel: () => clearTimeout(timer) }
  },
}
