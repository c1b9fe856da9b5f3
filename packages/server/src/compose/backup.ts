/** Backup and restore of a whole folder; the packing is the store's. */
import { stat } from 'node:fs/promises'
import type { Services } from './services.ts'

export async function backupHouse(
  house: Services,
  file: string,
): Promise<{ readonly file: string; readonly bytes: number }> {
  throw new Error(`not yet ${house.dir} ${file} ${String(stat)}`)
}
