/**
 * Times as people write them: RFC 3339, or a duration from now (`90s`, `15m`, `1h`, `30d`).
 */
import { parseDurationText, parseRfc3339 } from '@countersign/core/codec'
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'

export function parseTime(text: string, now: Milliseconds, where: string): Milliseconds {
  if (/^\d+[smhd]$/.test(text)) return now + parseDuration(text, where)
  const time = parseRfc3339(text)
  if (time !== undefined) return time
  throw new CallerError('ERR_USAGE', `"${text}" is not a time`, {}, { where, hint: timeHint })
}

const timeHint =
  'Give RFC 3339 with an offset (2027-01-31T12:00:00Z) or a duration from now (90s, 15m, 1h, 30d).'

export function parseDuration(text: string, where: string): number {
  const length = parseDurationText(text)
  if (length !== undefined) return length
  throw new CallerError(
    'ERR_USAGE',
    `"${text}" is not a duration`,
    {},
    { where, hint: 'Durations are a number and a unit: 90s, 15m, 1h, 30d.' },
  )
}
