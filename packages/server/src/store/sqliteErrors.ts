/**
 * What SQLite says, in our words (sqlite.org/rescode.html). One place knows the numbers.
 */
import {
  AdapterError,
  CallerError,
  InvariantError,
  isCountersignError,
} from '@countersign/core/errors'
import type { StoreErrorCode, TableName } from '../ports.ts'
import { isTable } from './schema.ts'

const primary = { busy: 5, locked: 6, ioerr: 10, corrupt: 11, full: 13, cantOpen: 14, notADb: 26 }
const constraint = { primaryKey: 1555, unique: 2067 }

export class Conflict extends CallerError<'ERR_CONFLICT'> {
  constructor(table: TableName, column: string | undefined, message: string) {
    super('ERR_CONFLICT', message, column === undefined ? { table } : { table, column })
  }
}

/** The whole transaction is lost, not only the Change that met it. */
export function isFatal(error: unknown): boolean {
  return error instanceof AdapterError
}

/** Total: whatever was thrown while a statement ran becomes one of the four kinds. */
export function storeError(error: unknown, file: string): Error {
  if (isCountersignError(error)) return error
  const code = sqliteCode(error)
  const message = error instanceof Error ? error.message : String(error)
  if (code === constraint.unique || code === constraint.primaryKey) return conflictOf(message)
  switch ((code ?? 0) & 0xff) {
    case primary.full:
      return adapter(
        'ERR_STORE_FULL',
        'the disk is full',
        file,
        error,
        'Free space on the disk of the data folder; nothing was lost, and reading goes on.',
      )
    case primary.corrupt:
    case primary.notADb:
      return adapter(
        'ERR_STORE_CORRUPT',
        `the database is damaged: ${message}`,
        file,
        error,
        'Stop the server, keep a copy of the folder, and restore the newest backup.',
      )
    case primary.ioerr:
    case primary.cantOpen:
    case primary.busy:
    case primary.locked:
      return adapter(
        'ERR_STORE_IO',
        `the database cannot be used: ${message}`,
        file,
        error,
        'Check the disk, the permissions of the data folder, and that no other program has it open.',
      )
    default:
      // A wrong type, a broken statement, a value out of range: our own code handed it in.
      return new InvariantError('ERR_STORE_STATEMENT', message, {}, { where: file, cause: error })
  }
}

function adapter(
  code: StoreErrorCode,
  message: string,
  file: string,
  cause: unknown,
  hint: string,
): AdapterError<StoreErrorCode> {
  return new AdapterError(code, message, {}, { where: file, hint, cause })
}

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}

/**
 * `UNIQUE constraint failed: device.serial, device.product` names the first column as the one that
 * is taken.
 */
function conflictOf(message: string): Error {
  const [, table = '', column] = /failed: (\w+)\.(\w+)/.exec(message) ?? []
  if (!isTable(table) || column === undefined)
    return new InvariantError('ERR_STORE_STATEMENT', message)
  return new Conflict(table, column, `${table}.${column} is taken`)
}
