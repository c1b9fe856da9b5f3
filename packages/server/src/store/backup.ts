/**
 * A data folder as one file: a tar archive of the database (a consistent copy, taken while the
 * server works), the keys as they lie there (encrypted) and the configuration, ended by a manifest
 * with the hash of each. What is not whole has no manifest and no name.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type FileHandle, link, open, readdir, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { CallerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import { syncFolder } from '@countersign/element/durable'
import type { Store } from '../ports.ts'
import {
  backupVersion,
  chunks,
  codeOf,
  diskError,
  type Manifest,
  manifestName,
} from './backupParts.ts'
import { databaseFile } from './folder.ts'
import { lockFile, ownerFile } from './folderLock.ts'
import { isMemberName, tarEnd, tarHeader, tarPadding } from './tar.ts'

export interface BackupResult {
  readonly file: string
  readonly bytes: number
  readonly members: readonly string[]
}

interface Source {
  readonly path: string
  readonly store: Store
  readonly clock: Clock
}

/**
 * By folder: its copy of the database has one name, so that a crash leaves one at most, and backups
 * take turns at it.
 */
const turns = new Map<string, Promise<unknown>>()

/** Throws CallerError ERR_BACKUP_EXISTS or ERR_BACKUP_NAME, AdapterError ERR_STORE_FULL. */
export async function backupFolder(house: Source, target: string): Promise<BackupResult> {
  const before = turns.get(house.path) ?? Promise.resolve()
  const made = before.then(() => makeBackup(house, target))
  // Whoever asked for it hears of a failure; the next one only waits.
  const turn = made.then(ignore, ignore)
  turns.set(house.path, turn)
  try {
    return await made
  } finally {
    if (turns.get(house.path) === turn) turns.delete(house.path)
  }
}

function ignore(): void {
  // The result is the caller's.
}

async function makeBackup(house: Source, target: string): Promise<BackupResult> {
  const file = resolve(target)
  if (existsSync(file)) throw targetExists(file)
  const part = `${file}.${randomBytes(6).toString('hex')}.part`
  const copy = join(house.path, `${databaseFile}.backup`)
  try {
    await rm(copy, { force: true })
    await house.store.backup(copy)
    const archive = await open(part, 'wx', 0o600)
    let result: Omit<BackupResult, 'file'>
    try {
      result = await writeArchive(archive, house, copy)
      await archive.sync()
    } finally {
      await archive.close()
    }
    await publish(part, file)
    return { file, ...result }
  } catch (error) {
    throw diskError(error, file)
  } finally {
    await rm(part, { force: true })
    await rm(copy, { force: true })
  }
}

async function writeArchive(
  archive: FileHandle,
  house: Source,
  copy: string,
): Promise<Omit<BackupResult, 'file'>> {
  const madeAt = house.clock.now()
  const members: Manifest['members'][number][] = []
  let bytes = 0
  const put = async (chunk: Uint8Array): Promise<void> => {
    await archive.writeFile(chunk)
    bytes += chunk.length
  }
  const add = async (name: string, path: string): Promise<void> => {
    const source = await open(path, 'r')
    try {
      const { size } = await source.stat()
      await put(tarHeader({ name, size }, madeAt))
      const hash = createHash('sha256')
      for await (const chunk of chunks(source, size, name)) {
        hash.update(chunk)
        await put(chunk)
      }
      await put(tarPadding(size))
      members.push({ name, size, sha256: hash.digest('hex') })
    } finally {
      await source.close()
    }
  }
  await add(databaseFile, copy)
  for (const name of await filesBelow(house.path, '')) await add(name, join(house.path, name))
  const manifest: Manifest = { backup: backupVersion, madeAt, members }
  const text = new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`)
  await put(tarHeader({ name: manifestName, size: text.length }, madeAt))
  await put(text)
  await put(tarPadding(text.length))
  await put(tarEnd)
  return { bytes, members: members.map(({ name }) => name) }
}

/**
 * Everything but the database (copied on its own), its side files, the owner's lock, and what is no
 * regular file (the control socket).
 */
async function filesBelow(root: string, below: string): Promise<string[]> {
  const names: string[] = []
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`
    const ours = name.startsWith(databaseFile) || name.startsWith(lockFile) || name === ownerFile
    if (ours) continue
    if (entry.isDirectory()) names.push(...(await filesBelow(root, name)))
    else if (entry.isFile()) names.push(checkedName(name))
  }
  return names.toSorted()
}

function checkedName(name: string): string {
  if (isMemberName(name)) return name
  throw new CallerError(
    'ERR_BACKUP_NAME',
    'a file with this name cannot be backed up',
    {},
    { where: name, hint: 'Move it out of the data folder: countersign did not put it there.' },
  )
}

/**
 * Under its name only when it is whole, and never over another file: a link fails where a rename
 * would replace.
 */
async function publish(part: string, file: string): Promise<void> {
  try {
    await link(part, file)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw targetExists(file)
    if (codeOf(error) !== 'EPERM' && codeOf(error) !== 'ENOTSUP') throw error
    // A file system without links (FAT on a stick).
    if (existsSync(file)) throw targetExists(file)
    await rename(part, file)
  }
  await unlink(part).catch(() => undefined)
  await syncFolder(dirname(file))
}

function targetExists(file: string): CallerError<'ERR_BACKUP_EXISTS'> {
  const hint = 'Choose another name: a backup is never written over.'
  return new CallerError(
    'ERR_BACKUP_EXISTS',
    'there is a file of this name',
    {},
    { where: file, hint },
  )
}
