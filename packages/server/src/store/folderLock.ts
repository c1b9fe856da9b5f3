/**
 * One process owns a data folder. The lock is the operating system's: an exclusive lock on an empty
 * SQLite file, which the kernel drops when its holder dies, however it dies. So there is no stale
 * lock to judge, and a process id that was given to somebody else misleads nobody. Beside it a
 * small file says who the owner is, for words and for finding its control socket.
 */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AdapterError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { z } from 'zod'

export type FolderErrorCode =
  | 'ERR_FOLDER_LOCKED'
  | 'ERR_FOLDER_MISSING'
  | 'ERR_FOLDER_EXISTS'
  | 'ERR_FOLDER_FOREIGN'
  | 'ERR_FOLDER_NEWER'

export interface Owner {
  readonly pid: number
  readonly since: Milliseconds
  /** What the owner announced, such as the path of its control socket. */
  readonly facts: Readonly<Record<string, string>>
}

export interface FolderLock {
  /** Replaces what `ownerOf` tells others. */
  announce(facts: Readonly<Record<string, string>>): void
  release(): void
}

const ownerSchema: z.ZodType<Owner> = z.object({
  pid: z.int().nonnegative(),
  since: z.int(),
  facts: z.record(z.string(), z.string()),
})

export const lockFile = 'owner.lock'
export const ownerFile = 'owner.json'
/** Somebody who only asks whether the folder is owned holds the lock for less than this. */
const patienceMs = 500

export function takeLock(dir: string, since: Milliseconds): FolderLock {
  const handle = hold(dir)
  if (handle === undefined) throw lockedError(dir, ownerFacts(dir))
  const announce = (facts: Readonly<Record<string, string>>): void => {
    const owner: Owner = { pid: process.pid, since, facts }
    writeFileSync(join(dir, ownerFile), `${JSON.stringify(owner)}\n`, { mode: 0o600 })
  }
  announce({})
  let held = true
  return {
    announce,
    release: () => {
      if (!held) return
      held = false
      rmSync(join(dir, ownerFile), { force: true })
      handle.close()
    },
  }
}

/** undefined: nobody owns the folder now. */
export function ownerOf(dir: string): Owner | undefined {
  if (!existsSync(join(dir, lockFile))) return undefined
  const handle = hold(dir)
  if (handle === undefined) return ownerFacts(dir) ?? { pid: 0, since: 0, facts: {} }
  handle.close()
  return undefined
}

function hold(dir: string): DatabaseSync | undefined {
  const file = join(dir, lockFile)
  if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600))
  const db = new DatabaseSync(file, { timeout: patienceMs })
  try {
    db.exec('PRAGMA journal_mode = OFF')
    // Takes the lock without writing a byte; closing the connection, or dying, lets go of it.
    db.exec('BEGIN EXCLUSIVE')
    return db
  } catch (error) {
    db.close()
    if (isBusy(error)) return undefined
    throw error
  }
}

const sqliteBusy = 5

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy
}

export function ownerFacts(dir: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(readFileSync(join(dir, ownerFile), 'utf8')))
  } catch {
    // The owner is between taking the lock and saying who it is, or its last words were cut off:
    // owned all the same.
    return undefined
  }
}

function lockedError(dir: string, owner: Owner | undefined): AdapterError<FolderErrorCode> {
  const who = owner === undefined ? 'another process' : `process ${owner.pid}`
  return new AdapterError(
    'ERR_FOLDER_LOCKED',
    `${who} has this data folder open`,
    { pid: owner?.pid },
    { where: dir, hint: 'Stop it, or give another folder with --dir.' },
  )
}
