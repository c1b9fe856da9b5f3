/** Times that a driver can be given: the machine's, and one that nobody waits for. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BusTime } from './ports.ts'

export const machineTime: BusTime = {
  now: () => performance.now(),
  wait: async (milliseconds) => {
    // Node cuts a fraction off, and a chip that is not awake yet does not answer.
    await sleep(Math.ceil(milliseconds))
  },
}

/**
 * Goes on by itself as soon as somebody waits: a chip that is emulated beside its driver takes its
 * time on paper, and none of ours.
 */
export function paperTime(): BusTime {
  let now = 0
  return {
    now: () => now,
    wait: async (milliseconds) => {
      now += milliseconds
    },
  }
}
