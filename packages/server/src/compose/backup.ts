/** Backup and restore of a whole folder: which of its files go in. The packing is the store's. */
import { InvariantError } from '@countersign/core/errors'
import type { Services } from './services.ts'

export interface BackedUp {
  readonly file: string
  readonly bytes: number
}

export async function backupHouse(house: Services, file: string): Promise<BackedUp> {
  throw new InvariantError('ERR_BUG', `cannot pack ${house.dir} into ${file}`)
}

export async function restoreHouse(file: string, dir: string): Promise<{ readonly dir: string }> {
  throw new InvariantError('ERR_BUG', `cannot unpack ${file} into ${dir}`)
}
