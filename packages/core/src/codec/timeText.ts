/** Times as people and protocols write them: RFC 3339, and durations of one unit. */
import type { Milliseconds } from '../ports.ts'

/**
 * RFC 3339 §5.6, with the offset required: a local time would mean something else on each machine.
 */
const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

/** Undefined when the text is no real date and time. */
export function parseRfc3339(text: string): Milliseconds | undefined {
  const parts = rfc3339.exec(text)
  if (parts === null) return undefined
  const time = Date.parse(text.replace(' ', 'T').toUpperCase())
  const real = isRealDay(Number(parts[1]), Number(parts[2]), Number(parts[3]))
  return Number.isNaN(time) || !real ? undefined : time
}

const unitMs: Readonly<Record<string, Milliseconds>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `90s`, `15m`, `1h`, `30d`; undefined when the text is no duration, or none at all. */
export function parseDurationText(text: string): Milliseconds | undefined {
  const parts = /^(\d{1,9})([smhd])$/.exec(text)
  const length = Number(parts?.[1]) * (unitMs[parts?.[2] ?? ''] ?? Number.NaN)
  return length > 0 ? length : undefined
}

/** Date.parse takes February 30 as March 2. */
function isRealDay(year: number, month: number, day: number): boolean {
  return (
    month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate()
  )
}
