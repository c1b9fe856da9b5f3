/**
 * Files that survive a power cut: written beside, flushed, renamed over, and the folder flushed
 * too, so that after a crash there is the old content or the new one and nothing between.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Readable by the owner alone. */
export const privateMode = 0o600

/** As 'w', but never through a link that somebody has laid there. Windows has no such flag. */
const anew =
  constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0)

export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const beside = `${path}.new`
  // A file left by a crash may carry other permissions or be longer: it is truncated, and the mode is
  // set before a byte is in it.
  const file = await open(beside, anew, privateMode)
  try {
    await file.chmod(privateMode)
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(beside, path)
  await syncFolder(dirname(path))
}

/**
 * The same for those who cannot wait. Without `flush` it outlives the process, not a power cut of
 * the machine.
 */
export function writeDurablySync(
  path: string,
  content: string | Uint8Array,
  { flush = true }: { readonly flush?: boolean } = {},
): void {
  const beside = `${path}.new`
  const file = openSync(beside, anew, privateMode)
  try {
    fchmodSync(file, privateMode)
    writeFileSync(file, content)
    if (flush) fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(beside, path)
  if (flush) syncFolderSync(dirname(path))
}

function syncFolderSync(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Makes names in a folder durable. Windows cannot open a folder and needs no such flush. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  let folder: FileHandle | undefined
  try {
    folder = await open(path, 'r')
    await folder.sync()
  } finally {
    await folder?.close()
  }
}

/**
 * Makes a folder and those above it; one that is there stays as it is. mkdir with `recursive` does
 * the same, but never returns where a file system answers "no such file" in a folder that exists
 * (Linux: below /proc).
 */
export function makeFolders(path: string, mode: number): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return
  const above = dirname(path)
  if (above !== path) makeFolders(above, mode)
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    // Somebody else made it meanwhile.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error
  }
}
