/**
 * Opens a database file: made if there is none, upgraded if it is older (a copy is kept beside),
 * refused if it is newer, somebody else's, or its ledger tells another history than ours.
 */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { AdapterError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import type { StoreErrorCode } from '../ports.ts'
import { type Migration, migrationHash } from './migrations.ts'
import { storeError } from './sqliteErrors.ts'

/** `CSGN`: tells our files from other programs' (sqlite.org/pragma.html#pragma_application_id). */
const applicationId = 0x4353474e
const busyTimeoutMs = 5_000
/** The log is cut back to this after a checkpoint; a burst may exceed it. */
const walBytesKept = 32 * 1024 * 1024
/**
 * Pages written to the log before they are brought home: a page written twice in between is brought
 * home once. 16 MiB.
 */
const checkpointPages = 4_096
/** Inner pages of the indexes of a million devices stay in memory. */
const cacheKiB = 64 * 1024

export function openDatabase(
  file: string,
  steps: readonly Migration[],
  now: Milliseconds,
): DatabaseSync {
  // Created here because SQLite would take the umask; its side files inherit this mode.
  if (!existsSync(file)) closeSync(openSync(file, 'wx', 0o600))
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(file, { enableForeignKeyConstraints: false, timeout: busyTimeoutMs })
    checkOwnership(db, file)
    const version = pragma(db, 'user_version')
    if (version > steps.length) throw newer(file, version, steps.length)
    checkLedger(db, file, version, steps)
    configure(db)
    if (version < steps.length) upgrade(db, file, version, steps, now)
    return db
  } catch (error) {
    db?.close()
    throw storeError(error, file)
  }
}

/**
 * Every commit is synced (FULL) before it is acknowledged; a crash of process or machine loses
 * nothing acknowledged.
 */
function configure(db: DatabaseSync): void {
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('PRAGMA synchronous = FULL')
  db.exec('PRAGMA fullfsync = ON')
  db.exec(`PRAGMA journal_size_limit = ${walBytesKept}`)
  db.exec(`PRAGMA wal_autocheckpoint = ${checkpointPages}`)
  db.exec(`PRAGMA cache_size = -${cacheKiB}`)
  // Savepoints of large Changes would otherwise make files in the machine's temporary folder.
  db.exec('PRAGMA temp_store = MEMORY')
  db.exec('PRAGMA trusted_schema = OFF')
}

function checkOwnership(db: DatabaseSync, file: string): void {
  const id = pragma(db, 'application_id')
  const empty = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'] === 0
  if (id === applicationId || (id === 0 && empty)) return
  throw corrupt(file, 'this database was not made by countersign')
}

function checkLedger(
  db: DatabaseSync,
  file: string,
  version: number,
  steps: readonly Migration[],
): void {
  if (version === 0) return
  const rows = db.prepare('SELECT version, hash FROM migration ORDER BY version').all()
  if (rows.length !== version) throw corrupt(file, 'the ledger of migrations has gaps')
  for (const [at, row] of rows.entries()) {
    const step = steps[at]
    if (
      step === undefined ||
      row['version'] !== step.version ||
      row['hash'] !== migrationHash(step)
    )
      throw corrupt(file, `migration ${at + 1} in the ledger is not the one of this version`)
  }
}

function upgrade(
  db: DatabaseSync,
  file: string,
  from: number,
  steps: readonly Migration[],
  now: Milliseconds,
): void {
  if (from > 0) keepCopy(db, `${file}.v${from}`)
  for (const step of steps.slice(from)) {
    // DDL, ledger and version are one transaction: a crash leaves the step done or not begun.
    db.exec('BEGIN IMMEDIATE')
    if (step.version === 1) {
      db.exec(`PRAGMA application_id = ${applicationId}`)
      db.exec(
        'CREATE TABLE migration (version INTEGER NOT NULL PRIMARY KEY, hash TEXT NOT NULL, appliedAt INTEGER NOT NULL) STRICT',
      )
    }
    db.exec(step.sql)
    db.prepare('INSERT INTO migration VALUES (?, ?, ?)').run(step.version, migrationHash(step), now)
    db.exec(`PRAGMA user_version = ${step.version}`)
    db.exec('COMMIT')
  }
  // Home from the log at once: whatever happens to the log, the file never again looks like a new
  // one.
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
}

function keepCopy(db: DatabaseSync, copy: string): void {
  // A copy that is there was made before an upgrade that did not finish: it is the older and better
  // one.
  if (existsSync(copy)) return
  // Under another name until it is whole: half a copy must not count as one.
  const part = `${copy}.part`
  rmSync(part, { force: true })
  closeSync(openSync(part, 'wx', 0o600))
  db.prepare('VACUUM INTO ?').run(part)
  const made = openSync(part, 'r+')
  fsyncSync(made)
  closeSync(made)
  renameSync(part, copy)
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
}

function newer(file: string, found: number, known: number): AdapterError<StoreErrorCode> {
  return new AdapterError(
    'ERR_STORE_NEWER',
    `the data folder has data version ${found}, this countersign knows ${known}`,
    { found, known },
    {
      where: file,
      hint: 'Use the countersign version that wrote it, or a newer one; nothing was changed.',
    },
  )
}

function corrupt(file: string, message: string): AdapterError<StoreErrorCode> {
  const hint = 'Check that --dir names the right folder; otherwise restore the newest backup.'
  return new AdapterError('ERR_STORE_CORRUPT', message, {}, { where: file, hint })
}
