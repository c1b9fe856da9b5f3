/**
 * Reads a whole database file and says whether its pages and indexes agree: for a restore, and for
 * `doctor`.
 */
import { DatabaseSync } from 'node:sqlite'
import { AdapterError } from '@countersign/core/errors'
import type { StoreErrorCode } from '../ports.ts'
import { storeError } from './sqliteErrors.ts'

/** Throws AdapterError ERR_STORE_CORRUPT. Changes nothing. */
export function checkDatabase(file: string): void {
  let found: unknown
  try {
    const db = new DatabaseSync(file, { readOnly: true })
    try {
      found = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
    } finally {
      db.close()
    }
  } catch (error) {
    throw storeError(error, file)
  }
  if (found === 'ok') return
  throw new AdapterError<StoreErrorCode>(
    'ERR_STORE_CORRUPT',
    `the database is damaged: ${typeof found === 'string' ? found : 'no answer'}`,
    {},
    { where: file, hint: 'Restore the newest backup into a new folder.' },
  )
}
