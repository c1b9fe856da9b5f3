/**
 * One process works in a state folder. The lock is the operating system's, taken through SQLite's
 * exclusive transaction on an otherwise empty file: it ends with the process, however that ends,
 * and no process number can be mistaken for another's.
 */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CallerError } from '@countersign/core/errors'
import { privateMode } from '@countersign/element/durable'
import { errorCode } from '@countersign/element/shapes'
import type { DeviceErrorCode } from '../errors.ts'

export interface FolderLock {
  release(): void
}

export function lockFolder(folder: string): FolderLock {
  const path = join(folder, 'lock')
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    chmodSync(path, privateMode)
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (errorCode(error) !== 'ERR_SQLITE_ERROR') throw error
    throw new CallerError<DeviceErrorCode>(
      'ERR_STATE_LOCKED',
      'another command is working with this device state',
      {},
      {
        where: folder,
        hint: 'Wait until it is done, stop the running "device run", or name another --state.',
        cause: error,
      },
    )
  }
  return { release: () => database.close() }
}
