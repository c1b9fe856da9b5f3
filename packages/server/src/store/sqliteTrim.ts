/**
 * Forgetting messages. Their bodies go at once, their ids stay for a while and stop duplicates. In
 * slices, because SQLite holds the event loop while it works: an outbox of a million messages must
 * not stop the doors.
 */
import type { Milliseconds } from '@countersign/core/ports'
import type { Statements } from './sqliteStatements.ts'

/** How long the id of a forgotten message still stops a duplicate: whichever is reached first. */
export interface DedupeBounds {
  readonly countMax: number
  readonly daysMax: number
}

export const dedupeDefault: DedupeBounds = { countMax: 1_000_000, daysMax: 30 }

const msPerDay = 86_400_000
/** Rows changed in one transaction: some ten milliseconds. */
const sliceMax = 2_000

/** The newest message there is: what is not written yet cannot be forgotten. */
export function newestMessage(statements: Statements): number {
  return numberOf(statements, 'SELECT max(seq) AS n FROM message', [])
}

/** One slice, inside a transaction. Returns the new mark up to which bodies are forgotten. */
export function trimSlice(
  statements: Statements,
  trimmed: number,
  through: number,
  bounds: DedupeBounds,
  now: Milliseconds,
): number {
  const mark = Math.min(through, trimmed + sliceMax)
  statements.run("UPDATE message SET body = '' WHERE seq > ? AND seq <= ?", [trimmed, mark])
  statements.run('UPDATE house SET trimmedSeq = ?', [mark])
  const oldest = numberOf(statements, 'SELECT min(seq) AS n FROM message', [])
  const bound = Math.min(idsEnd(statements, mark, bounds, now), oldest + sliceMax)
  statements.run('DELETE FROM message WHERE seq < ?', [bound])
  return mark
}

/**
 * The first id that is kept. Messages are nearly in the order of time: the first young one ends the
 * search.
 */
function idsEnd(
  statements: Statements,
  mark: number,
  { countMax, daysMax }: DedupeBounds,
  now: Milliseconds,
): number {
  const young = statements.one(
    'SELECT seq AS n FROM message WHERE seq <= ? AND time >= ? ORDER BY seq LIMIT 1',
    [mark, now - daysMax * msPerDay],
  )
  const byAge = young === undefined ? mark + 1 : Number(young['n'])
  return Math.max(byAge, mark - countMax + 1)
}

function numberOf(statements: Statements, text: string, values: readonly number[]): number {
  return Number(statements.one(text, values)?.['n'] ?? 0)
}
