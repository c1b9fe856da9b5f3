/**
 * The data folder: mode 0700, one owner at a time, marked with the version of its layout and with
 * whether `demo` made it. What lies in it beside the database (keys, configuration) belongs to
 * others.
 */
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { AdapterError, CallerError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import { makeFolders, writeDurably } from '@countersign/element/durable'
import { z } from 'zod'
import { type FolderErrorCode, type FolderLock, takeLock } from './folderLock.ts'

export { type FolderErrorCode, ownerOf } from './folderLock.ts'

/** Layout of the folder as a whole; the database has its own version. */
const layoutVersion = 1
export const markFile = 'countersign.json'
export const databaseFile = 'store.db'
const folderMode = 0o700

export interface DataFolder extends FolderLock {
  readonly path: string
  /** Made by `demo`: listings show it, and `serve` on it listens on loopback only. */
  readonly demo: boolean
  readonly madeAt: Milliseconds
  file(name: string): string
}

interface Mark {
  readonly layout: number
  readonly demo: boolean
  readonly madeAt: Milliseconds
}

const markSchema: z.ZodType<Mark> = z.object({
  layout: z.int().positive(),
  demo: z.boolean(),
  madeAt: z.int(),
})

/** Makes and owns a folder. Refuses one that is not empty: nothing is ever overwritten. */
export async function makeFolder(
  dir: string,
  options: { readonly clock: Clock; readonly demo?: boolean },
): Promise<DataFolder> {
  const path = resolve(dir)
  makeFolders(path, folderMode)
  if (readdirSync(path).length > 0)
    throw new CallerError<FolderErrorCode>(
      'ERR_FOLDER_EXISTS',
      existsSync(join(path, markFile))
        ? 'this is a countersign data folder already'
        : 'the folder is not empty',
      {},
      { where: path, hint: 'Give an empty or a new folder with --dir.' },
    )
  chmodSync(path, folderMode)
  const madeAt = options.clock.now()
  const lock = takeLock(path, madeAt)
  try {
    const mark: Mark = { layout: layoutVersion, demo: options.demo === true, madeAt }
    await writeDurably(join(path, markFile), `${JSON.stringify(mark)}\n`)
    return owned(path, mark, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

/**
 * Owns a folder that `makeFolder` made. Throws ERR_FOLDER_MISSING, ERR_FOLDER_LOCKED (says who),
 * ERR_FOLDER_NEWER.
 */
export async function openFolder(
  dir: string,
  options: { readonly clock: Clock },
): Promise<DataFolder> {
  const path = resolve(dir)
  const mark = readMark(path)
  return owned(path, mark, takeLock(path, options.clock.now()))
}

/** What the folder says of itself, without owning it. */
export function readMark(dir: string): Mark {
  const file = join(dir, markFile)
  if (!existsSync(file))
    throw new CallerError<FolderErrorCode>(
      'ERR_FOLDER_MISSING',
      'there is no countersign data folder here',
      {},
      { where: dir, hint: 'Make one with "countersign init", or name it with --dir.' },
    )
  const mark = parseMark(readFileSync(file, 'utf8'))
  if (mark === undefined)
    throw new AdapterError<FolderErrorCode>(
      'ERR_FOLDER_FOREIGN',
      `${markFile} is not what countersign wrote`,
      {},
      { where: file, hint: 'Restore the newest backup into a new folder.' },
    )
  if (mark.layout > layoutVersion)
    throw new AdapterError<FolderErrorCode>(
      'ERR_FOLDER_NEWER',
      `the data folder has layout ${mark.layout}, this countersign knows ${layoutVersion}`,
      { found: mark.layout, known: layoutVersion },
      { where: file, hint: 'Use the countersign version that wrote it; nothing was changed.' },
    )
  return mark
}

function owned(path: string, mark: Mark, lock: FolderLock): DataFolder {
  const { demo, madeAt } = mark
  return { path, demo, madeAt, file: (name) => join(path, name), ...lock }
}

function parseMark(text: string): Mark | undefined {
  try {
    return markSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
