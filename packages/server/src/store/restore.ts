/**
 * A backup becomes a data folder again. Nothing is believed that the manifest does not confirm,
 * names cannot lead out of the folder, and a folder that holds anything is never touched: the new
 * one is made beside and gets its name when it is whole.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { CallerError, PeerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { makeFolders, syncFolder } from '@countersign/element/durable'
import {
  backupVersion,
  chunks,
  codeOf,
  diskError,
  type Manifest,
  manifestBytesMax,
  manifestName,
  manifestSchema,
  membersMax,
} from './backupParts.ts'
import { databaseFile, type FolderErrorCode, markFile } from './folder.ts'
import { checkDatabase } from './sqliteCheck.ts'
import {
  type BackupErrorCode,
  blockBytes,
  damaged,
  isMemberName,
  parseTarHeader,
  type TarHeader,
  tarPadding,
} from './tar.ts'

export interface RestoreResult {
  readonly path: string
  readonly madeAt: Milliseconds
  readonly members: readonly string[]
}

/**
 * Throws PeerError<BackupErrorCode> for a backup that is not whole, CallerError ERR_FOLDER_EXISTS
 * for a folder that holds anything.
 */
export async function restoreFolder(source: string, dir: string): Promise<RestoreResult> {
  const path = resolve(dir)
  const there = existsSync(path)
  if (there && (await readdir(path)).length > 0) throw folderExists(path)
  const beside = `${path}.${randomBytes(6).toString('hex')}.restoring`
  makeFolders(beside, 0o700)
  try {
    const manifest = await extract(source, beside)
    checkDatabase(join(beside, databaseFile))
    if (there) await rmdir(path)
    await rename(beside, path)
    await syncFolder(dirname(path))
    return { path, madeAt: manifest.madeAt, members: manifest.members.map(({ name }) => name) }
  } catch (error) {
    throw diskError(error, path)
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
}

async function extract(source: string, into: string): Promise<Manifest> {
  const archive = await openBackup(source)
  try {
    const found = new Map<string, { size: number; sha256: string }>()
    for (;;) {
      const header = await nextHeader(archive, source)
      if (header.name === manifestName) {
        const manifest = parseManifest(await readAll(archive, header, source), source)
        compare(manifest, found, source)
        return manifest
      }
      if (!isMemberName(header.name) || found.has(header.name) || found.size >= membersMax)
        throw damaged(`a member named ${header.name} cannot be`, source)
      found.set(header.name, await extractFile(archive, header, into, source))
    }
  } finally {
    await archive.close()
  }
}

async function openBackup(source: string): Promise<FileHandle> {
  try {
    return await open(source, 'r')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    const hint = 'Check the name of the backup.'
    throw new CallerError(
      'ERR_BACKUP_MISSING',
      'there is no such file',
      {},
      { where: source, hint },
    )
  }
}

async function nextHeader(archive: FileHandle, where: string): Promise<TarHeader> {
  const block = Buffer.alloc(blockBytes)
  const { bytesRead } = await archive.read(block, 0, blockBytes)
  if (bytesRead !== blockBytes) throw damaged('the backup ends too early', where)
  const header = parseTarHeader(block, where)
  if (header === undefined) throw damaged('the backup has no manifest', where)
  return header
}

async function extractFile(
  archive: FileHandle,
  { name, size }: TarHeader,
  into: string,
  where: string,
): Promise<{ size: number; sha256: string }> {
  const path = join(into, name.replaceAll('/', sep))
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const target = await open(path, 'wx', 0o600)
  try {
    const hash = createHash('sha256')
    for await (const chunk of chunks(archive, size, where)) {
      hash.update(chunk)
      await target.writeFile(chunk)
    }
    await skipPadding(archive, size, where)
    await target.sync()
    return { size, sha256: hash.digest('hex') }
  } finally {
    await target.close()
  }
}

async function readAll(archive: FileHandle, header: TarHeader, where: string): Promise<string> {
  if (header.size > manifestBytesMax) throw damaged('the manifest is too large', where)
  const parts: Buffer[] = []
  for await (const chunk of chunks(archive, header.size, where)) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts).toString('utf8')
}

async function skipPadding(archive: FileHandle, size: number, where: string): Promise<void> {
  const { length } = tarPadding(size)
  if (length === 0) return
  const { bytesRead } = await archive.read(Buffer.alloc(length), 0, length)
  if (bytesRead !== length) throw damaged('the backup ends too early', where)
}

function parseManifest(text: string, where: string): Manifest {
  let manifest: Manifest
  try {
    manifest = manifestSchema.parse(JSON.parse(text))
  } catch {
    throw damaged('the manifest cannot be read', where)
  }
  if (manifest.backup <= backupVersion) return manifest
  throw new PeerError<BackupErrorCode>(
    'ERR_BACKUP_NEWER',
    `the backup has version ${manifest.backup}, this countersign knows ${backupVersion}`,
    {},
    { where, hint: 'Restore it with the countersign version that wrote it.' },
  )
}

function compare(
  manifest: Manifest,
  found: ReadonlyMap<string, { size: number; sha256: string }>,
  where: string,
): void {
  for (const { name, size, sha256 } of manifest.members) {
    const member = found.get(name)
    if (member?.size !== size || member.sha256 !== sha256)
      throw damaged(`${name} is damaged`, where)
  }
  if (manifest.members.length !== found.size)
    throw damaged('it holds more than its manifest', where)
  for (const needed of [databaseFile, markFile])
    if (!found.has(needed)) throw damaged(`${needed} is missing`, where)
}

function folderExists(path: string): CallerError<FolderErrorCode> {
  const hint = 'Restore into a new or an empty folder, named with --dir.'
  return new CallerError('ERR_FOLDER_EXISTS', 'the folder is not empty', {}, { where: path, hint })
}
