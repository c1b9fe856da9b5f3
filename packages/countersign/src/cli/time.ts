/**
 * Times as people write them: RFC 3339, or a duration from now (`90s`, `15m`, `1h`, `30d`).
 */
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'

const unitMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * RFC 3339 §5.6, with the offset required: a local time would mean something else on each machine.
 */
const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

export function parseTime(text: string, now: Milliseconds, where: string): Milliseconds {
  if (/^\d+[smhd]$/.test(text)) return now + parseDuration(text, where)
  const parts = rfc3339.exec(text)
  const time = parts === null ? Number.NaN : Date.parse(text.replace(' ', 'T').toUpperCase())
  if (
    Number.isNaN(time) ||
    !isRealDay(Number(parts?.[1]), Number(parts?.[2]), Number(parts?.[3]))
  ) {
    throw new CallerError('ERR_USAGE', `"${text}" is not a time`, {}, { where, hint: timeHint })
  }
  return time
}

const timeHint =
  'Give RFC 3339 with an offset (2027-01-31T12:00:00Z) or a duration from now (90s, 15m, 1h, 30d).'

export function parseDuration(text: string, where: string): number {
  const parts = /^(\d{1,9})([smhd])$/.exec(text)
  const length = Number(parts?.[1]) * (unitMs[parts?.[2] ?? ''] ?? Number.NaN)
  if (!(length > 0)) {
    throw new CallerError(
      'ERR_USAGE',
      `"${text}" is not a duration`,
      {},
      { where, hint: 'Durations are a number and a unit: 90s, 15m, 1h, 30d.' },
    )
  }
  return length
}

/** Date.parse takes February 30 as March 2. */
function isRealDay(year: number, month: number, day: number): boolean {
  return (
    month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate()
  )
}
