/**
 * What a hostile relay does to one connection, drawn from a seed. Chunks are what arrives in one
 * read: TCP has no frames, so to duplicate, reorder or change one is to break the byte stream above
 * it, which TLS must notice. A delay alone breaks nothing.
 */
import type { Seeded } from './seeded.ts'

export type Fault = 'none' | 'flip' | 'duplicate' | 'reorder' | 'truncate' | 'drop'

export interface PlanOptions {
  /** Share of connections that get one fault, 0 … 1. */
  readonly faultShare: number
  /** Longest delay of a chunk in milliseconds. */
  readonly delayMsMax: number
  /** Faults to draw from; all by default. */
  readonly faults?: readonly Fault[]
}

export interface ConnectionPlan {
  readonly fault: Fault
  readonly direction: 'up' | 'down'
  /** Which chunk of that direction is hit, counted from 0. */
  readonly chunk: number
  /** Where in the chunk and which bit: reduced modulo the chunk's length. */
  readonly at: number
  readonly bit: number
}

export const allFaults: readonly Fault[] = ['flip', 'duplicate', 'reorder', 'truncate', 'drop']

/**
 * A handshake and a few requests take about this many chunks each way: later ones would rarely be
 * reached.
 */
const chunksReached = 6

export function planConnection(options: PlanOptions, random: Seeded): ConnectionPlan {
  const faults = options.faults ?? allFaults
  // Drawn in a fixed order and always all of them: one option changed leaves the other draws as
  // they were.
  const faulty = random.chance(options.faultShare)
  const fault = faults[random.below(Math.max(1, faults.length))] ?? 'none'
  return {
    fault: faulty ? fault : 'none',
    direction: random.chance(0.5) ? 'up' : 'down',
    chunk: random.below(chunksReached),
    at: random.word(),
    bit: random.below(8),
  }
}

/**
 * What becomes of a chunk: what goes on now, what is held for later, and whether the connection
 * ends.
 */
export interface Verdict {
  readonly forward: readonly Uint8Array[]
  readonly hold: Uint8Array | undefined
  readonly end: boolean
  readonly tampered: boolean
}

export function applyFault(plan: ConnectionPlan, index: number, chunk: Uint8Array): Verdict {
  const pass: Verdict = { forward: [chunk], hold: undefined, end: false, tampered: false }
  if (plan.fault === 'none' || index !== plan.chunk) return pass
  switch (plan.fault) {
    case 'flip':
      return { ...pass, forward: [flip(chunk, plan)], tampered: true }
    case 'duplicate':
      return { ...pass, forward: [chunk, chunk], tampered: true }
    case 'reorder':
      // Whether anything overtakes it is seen later: see relay.ts.
      return { ...pass, forward: [], hold: chunk, tampered: false }
    case 'truncate':
      // A link that breaks in the middle of a frame.
      return {
        ...pass,
        forward: [chunk.subarray(0, plan.at % chunk.length)],
        end: true,
        tampered: true,
      }
    case 'drop':
      return { ...pass, forward: [], end: true, tampered: true }
  }
}

function flip(chunk: Uint8Array, plan: ConnectionPlan): Uint8Array {
  const changed = Uint8Array.from(chunk)
  const at = plan.at % changed.length
  changed[at] = (changed[at] ?? 0) ^ (1 << plan.bit)
  return changed
}
