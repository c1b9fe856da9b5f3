/**
 * Backup and restore of a whole folder. The packing is the store's; both leave an entry in the
 * audit log of the house.
 */
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { InvariantError } from '@countersign/core/errors'
import { openHouse } from '../compose.ts'
import type { EventDraft } from '../ports.ts'
import { backupFolder } from '../store/backup.ts'
import { restoreFolder } from '../store/restore.ts'
import { devPassphraseFile } from './layout.ts'
import { forgetWhatMovedOn } from './restored.ts'
import type { Services } from './services.ts'

export interface BackedUp {
  readonly file: string
  readonly bytes: number
  /**
   * The folder is one of `init --dev`: its passphrase lies beside the keys, and so it does in the
   * backup.
   */
  readonly passphraseInside: boolean
}

export interface Restored {
  readonly dir: string
  /** When the backup was made. What happened later is not in it. */
  readonly madeAt: string
}

export async function backupHouse(house: Services, file: string): Promise<BackedUp> {
  // Written before the copy is taken: who carries the backup away carries this entry with it.
  await house.store.apply({ events: [audit(house, 'house.backup', { file: basename(file) })] })
  const path = house.dir
  const { bytes } = await backupFolder({ path, store: house.store, clock: house.clock }, file)
  const passphraseInside = existsSync(join(path, devPassphraseFile))
  return { file, bytes, passphraseInside }
}

export async function restoreHouse(file: string, dir: string): Promise<Restored> {
  const { path, madeAt } = await restoreFolder(file, dir)
  const time = new Date(madeAt).toISOString()
  const house = await openHouse(path, { passphrase: refuseToAsk })
  try {
    const { commands, sessions } = await forgetWhatMovedOn(house.store, house.clock.now())
    const data = { madeAt: time, commandsEnded: commands, sessionsForgotten: sessions }
    await house.store.apply({ events: [audit(house, 'house.restored', data)] })
  } finally {
    await house.close()
  }
  return { dir: path, madeAt: time }
}

function audit(
  { clock }: Services,
  type: string,
  data: Readonly<Record<string, string | number>>,
): EventDraft {
  const entry = { time: clock.now(), type, subject: 'house', actor: 'operator' }
  return { ...entry, data: JSON.stringify(data) }
}

function refuseToAsk(): Promise<never> {
  throw new InvariantError('ERR_KEYS_CLOSED', 'restoring needs no key')
}
