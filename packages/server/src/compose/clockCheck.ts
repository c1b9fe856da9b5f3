/**
 * Is the machine's clock to be believed? Certificates and tokens are judged by it, so a clock far
 * behind what this house has already seen would let the expired in, and one far ahead would shut
 * everyone out.
 */
import { AdapterError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import type { EventRow, Store } from '../ports.ts'

/** Network time may step a clock back by this much without anybody having made a mistake. */
const driftMsMax = 5 * 60_000
/** Behind the last event by more: `serve` refuses. */
const behindMsMax = 24 * 3_600_000
/** This code was written after it: a clock before it has lost its battery. */
const builtAfter = Date.UTC(2026, 10, 1)

export type ClockVerdict =
  | { readonly verdict: 'ok' }
  | { readonly verdict: 'behind' | 'farBehind' | 'unset'; readonly message: string }

export function judgeClock(
  now: Milliseconds,
  last: Pick<EventRow, 'time'> | undefined,
): ClockVerdict {
  const shown = new Date(now).toISOString()
  if (now < builtAfter) {
    return { verdict: 'unset', message: `the clock says ${shown}, before this version was made` }
  }
  if (last === undefined || now >= last.time - driftMsMax) return { verdict: 'ok' }
  const event = new Date(last.time).toISOString()
  return {
    verdict: last.time - now > behindMsMax ? 'farBehind' : 'behind',
    message: `the clock says ${shown}, but the last event of this folder was at ${event}`,
  }
}

export function clockError(message: string): AdapterError<'ERR_CLOCK'> {
  return new AdapterError(
    'ERR_CLOCK',
    message,
    {},
    {
      where: 'system clock',
      hint: 'Set the clock (NTP) and start again. If it is right now and was ahead before, start once with --accept-clock.',
    },
  )
}

export async function lastEvent(
  store: Pick<Store, 'eventHead' | 'get'>,
): Promise<EventRow | undefined> {
  const { seq } = await store.eventHead()
  return seq === 0 ? undefined : await store.get('event', seq)
}
