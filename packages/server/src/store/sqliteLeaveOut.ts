/**
 * Takes out of a copy of the database what must not come back with it: rows whose life goes on without
 * the copy. Their bytes are overwritten, not only unlinked.
 */
import { DatabaseSync } from 'node:sqlite'
import { leftOutOfBackups } from './schema.ts'

/** The file is nobody else's yet. */
export function leaveOut(file: string): void {
  const db = new DatabaseSync(file)
  try {
    // One file again: whoever copies it copies everything.
    db.exec('PRAGMA journal_mode = DELETE; PRAGMA secure_delete = ON')
    const has = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
    for (const table of leftOutOfBackups) {
      // A copy of an older version lacks it.
      if (has.get(table) !== undefined) db.exec(`DELETE FROM ${table}`)
    }
  } finally {
    db.close()
  }
}
