/** What the server says when it says no: problem+json (RFC 9457), read as text from outside. */
import { parseRecord } from '@countersign/element/shapes'
import type { Answer } from './connect.ts'

export interface Problem {
  readonly status: number
  /** `ERR_…`, when the server gave one. */
  readonly code: string | undefined
  readonly message: string
  readonly hint: string | undefined
}

/** One line of a terminal. */
const textMax = 300

export function readProblem(answer: Answer): Problem {
  const value = parseRecord(Buffer.from(answer.body).toString('utf8'))
  const code = typeof value?.code === 'string' && /^ERR_[A-Z0-9_]{1,60}$/.test(value.code)
  return {
    status: answer.status,
    code: code ? String(value?.code) : undefined,
    message: line(value?.detail) ?? `it answered ${answer.status}`,
    hint: line(value?.hint),
  }
}

/** What a server asks for in earnest; one wrong answer must not silence a device for days. */
const retryAfterMsMax = 3_600_000

/**
 * Seconds of a Retry-After header as milliseconds (RFC 9110 §10.2.3); a date is not taken: the
 * clock may be wrong.
 */
export function retryAfterMs(answer: Answer): number | undefined {
  const text = answer.headers['retry-after']
  if (text === undefined || !/^\d+$/.test(text)) return undefined
  return Math.min(Number(text) * 1000, retryAfterMsMax)
}

/** Text of the other side goes to terminals: no control characters, no direction marks, bounded. */
function line(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  return value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').slice(0, textMax)
}
