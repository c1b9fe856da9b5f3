/**
 * Waiting between attempts: doubling, bounded, and never in step with other devices that failed at
 * the same moment.
 */
import { fromBigEndian } from '@countersign/core/codec'
import type { Milliseconds, Random } from '@countersign/core/ports'

export interface BackoffLimits {
  readonly firstMs: Milliseconds
  readonly maxMs: Milliseconds
}

/** After a broken connection: soon, then about once a minute. */
export const brokenBackoff: BackoffLimits = { firstMs: 250, maxMs: 60_000 }
/** After a refusal: only the owner can change that. */
export const refusedBackoff: BackoffLimits = { firstMs: 5_000, maxMs: 300_000 }

/** Between half and the whole of `firstMs` doubled by each failure before this one. */
export function backoffMs(failures: number, limits: BackoffLimits, random: Random): Milliseconds {
  const whole = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(failures, 30))
  const share = fromBigEndian(random.bytes(2)) / 65_536
  return Math.round(whole / 2 + (whole / 2) * share)
}
