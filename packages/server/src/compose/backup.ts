/**
 * Backup and restore of a whole folder. The packing is the store's; both leave an entry in the
 * audit log of the house.
 */
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { InvariantError } from '@countersign/core/errors'
import { tokenName } from '@countersign/element/pkcs11'
import { isInToken } from '../authority/caKeys.ts'
import { openHouse } from '../compose.ts'
import type { EventDraft } from '../ports.ts'
import { backupFolder } from '../store/backup.ts'
import { restoreFolder } from '../store/restore.ts'
import { devPassphraseFile } from './layout.ts'
import { forgetWhatMovedOn } from './restored.ts'
import type { Services } from './services.ts'

/** More CAs than a house makes in centuries of rollovers. */
const casMax = 1000

export interface BackedUp {
  readonly file: string
  readonly bytes: number
  /**
   * The folder is one of `init --dev`: its passphrase lies beside the keys, and so it does in the
   * backup.
   */
  readonly passphraseInside: boolean
  /** The token that holds CA keys: they are in no backup. */
  readonly caToken: string | null
}

export interface Restored {
  readonly dir: string
  /** When the backup was made. What happened later is not in it. */
  readonly madeAt: string
  /** The token that its CA keys are in, and that has to be at hand. */
  readonly caToken: string | null
}

export async function backupHouse(house: Services, file: string): Promise<BackedUp> {
  // Written before the copy is taken: who carries the backup away carries this entry with it.
  await house.store.apply({ events: [audit(house, 'house.backup', { file: basename(file) })] })
  const path = house.dir
  const { bytes } = await backupFolder({ path, store: house.store, clock: house.clock }, file)
  const passphraseInside = existsSync(join(path, devPassphraseFile))
  return { file, bytes, passphraseInside, caToken: await tokenOf(house) }
}

export async function restoreHouse(file: string, dir: string): Promise<Restored> {
  const { path, madeAt } = await restoreFolder(file, dir)
  const time = new Date(madeAt).toISOString()
  const house = await openHouse(path, { passphrase: refuseToAsk })
  let caToken: string | null
  try {
    const { commands, sessions, contexts } = await forgetWhatMovedOn(house.store, house.clock.now())
    const counts = { commandsEnded: commands, sessionsForgotten: sessions }
    const data = { madeAt: time, ...counts, contextsForgotten: contexts }
    await house.store.apply({ events: [audit(house, 'house.restored', data)] })
    caToken = await tokenOf(house)
  } finally {
    await house.close()
  }
  return { dir: path, madeAt: time, caToken }
}

/** Undefined in the configuration, and still the keys are in one: then its name is not known. */
async function tokenOf({ store, config }: Services): Promise<string | null> {
  const rows = await store.scan('ca', { limit: casMax })
  if (!rows.some(isInToken)) return null
  return config.caToken === null ? 'unnamed' : tokenName(config.caToken)
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
