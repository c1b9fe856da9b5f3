/**
 * The life of a command as one table:
 *
 * - queued → delivered: the device says that it has it
 * - queued → answered, refused: the device says what came of it
 * - queued → expired: its time was over before the device said anything
 * - queued → refused: the device was revoked or retired
 * - delivered → answered, refused: also after its time, since the device had it before
 *
 * Answered, expired and refused are the end. A command whose time is over is expired whatever
 * happens next, so that the moment at which the sweep comes by decides nothing.
 */
import type { Milliseconds } from '@countersign/core/ports'
import { parseMediaType } from '../payload.ts'
import type { CommandAnswer, CommandRow, CommandState } from '../ports.ts'

export type Happening =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'answer'; readonly answer: CommandAnswer }
  | { readonly kind: 'overdue' }
  | { readonly kind: 'dropped'; readonly reason: string }

/** One line of a terminal. */
const reasonLengthMax = 256

/** Its last moment is outside: `expires` is when it is too late. */
export function isOver(row: Pick<CommandRow, 'expiresAt'>, now: Milliseconds): boolean {
  return now >= row.expiresAt
}

export function hasEnded({ state }: Pick<CommandRow, 'state'>): boolean {
  return state === 'answered' || state === 'expired' || state === 'refused'
}

/** The row after it; undefined: what happened changes nothing. */
export function after(
  row: CommandRow,
  happening: Happening,
  now: Milliseconds,
): CommandRow | undefined {
  if (hasEnded(row)) return undefined
  if (row.state === 'delivered')
    return happening.kind === 'answer' ? answered(row, happening.answer, now) : undefined
  if (happening.kind === 'dropped') return ended(row, 'refused', now, happening.reason)
  // Not `now`: whoever looks, or marks it, and however late, sees the same end.
  if (isOver(row, now)) return ended(row, 'expired', row.expiresAt, null)
  switch (happening.kind) {
    case 'delivered':
      return { ...row, state: 'delivered', waiting: null, deliveredAt: now }
    case 'answer':
      return answered(row, happening.answer, now)
    case 'overdue':
      return undefined
  }
}

function answered(row: CommandRow, answer: CommandAnswer, now: Milliseconds): CommandRow {
  const { state, contentType, body } = answer
  return {
    ...ended(row, state, now, state === 'refused' ? reasonOf(answer) : null),
    result: body,
    resultType: contentType,
    // Who answers has it.
    deliveredAt: row.deliveredAt ?? now,
  }
}

function ended(
  row: CommandRow,
  state: CommandState,
  now: Milliseconds,
  reason: string | null,
): CommandRow {
  return { ...row, state, reason, waiting: null, endedAt: now }
}

/** A device's words go to terminals and logs: one bounded line without control characters. */
function reasonOf({ contentType, body }: CommandAnswer): string {
  const text = isText(contentType) ? new TextDecoder().decode(body.subarray(0, 1024)) : ''
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
  return line === '' ? 'the device refused it' : line.slice(0, reasonLengthMax)
}

function isText(contentType: string): boolean {
  try {
    return parseMediaType(contentType).form === 'text'
  } catch {
    return false
  }
}
