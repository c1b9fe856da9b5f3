/** A world that is ten times as fast: what a device waits for by itself is soon over, and servers still have time to answer. */
import { systemWorld, type World } from '@countersign/device'

const factor = 10

/** `aheadMs`: its clock, at first. */
export function quickWorld(aheadMs = 0): World {
  const world = systemWorld()
  const start = Date.now()
  return {
    ...world,
    clock: { now: () => start + aheadMs + factor * (Date.now() - start) },
    wait: (milliseconds, signal) => world.wait(milliseconds / factor, signal),
  }
}
