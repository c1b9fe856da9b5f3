/**
 * The store on one SQLite file (node:sqlite, WAL, synchronous FULL). Concurrent `apply` calls share
 * a transaction and its one fsync; a conflict of one is its own affair and leaves the others alone.
 * Inside a transaction nothing waits and nobody is called.
 *
 * SQLite works on the calling thread: a commit holds the event loop for one fsync, which group
 * commit divides among all who wait.
 */
import { open } from 'node:fs/promises'
import { backup, DatabaseSync } from 'node:sqlite'
import { AdapterError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import type {
  Applied,
  Change,
  Indexes,
  Store,
  StoreErrorCode,
  TableName,
  Tables,
} from '../ports.ts'
import type { ChainHead } from './chain.ts'
import { type Migration, migrations } from './migrations.ts'
import { ChangeWriter } from './sqliteChange.ts'
import { isFatal, storeError } from './sqliteErrors.ts'
import { leaveOut } from './sqliteLeaveOut.ts'
import { openDatabase } from './sqliteOpen.ts'
import {
  countText,
  equalsTest,
  getText,
  isUnique,
  type Listing,
  listText,
  Statements,
  uniqueText,
  type Values,
} from './sqliteStatements.ts'
import { type DedupeBounds, dedupeDefault, newestMessage, trimSlice } from './sqliteTrim.ts'

export interface SqliteOptions {
  readonly clock: Clock
  /** For tests of upgrades. */
  readonly migrations?: readonly Migration[]
  readonly dedupe?: Partial<DedupeBounds>
}

/** Changes in one transaction: bounds how long the event loop is held. */
const batchMax = 512
const findLimitDefault = 1_000

interface Waiting {
  readonly change: Change
  readonly resolve: (applied: Applied) => void
  readonly reject: (error: Error) => void
}

export async function openSqliteStore(file: string, options: SqliteOptions): Promise<Store> {
  const db = openDatabase(file, options.migrations ?? migrations, options.clock.now())
  return new SqliteStore(db, file, options)
}

class SqliteStore implements Store {
  private readonly db: DatabaseSync
  private readonly file: string
  private readonly clock: Clock
  private readonly dedupe: DedupeBounds
  private readonly statements: Statements
  private readonly writer: ChangeWriter
  private waiting: Waiting[] = []
  private scheduled = false
  private closed = false
  private trimmedSeq = 0

  constructor(db: DatabaseSync, file: string, options: SqliteOptions) {
    this.db = db
    this.file = file
    this.clock = options.clock
    this.dedupe = { ...dedupeDefault, ...options.dedupe }
    this.statements = new Statements(db)
    this.writer = new ChangeWriter(this.statements)
    this.reload()
  }

  async get<T extends TableName>(table: T, key: string | number): Promise<Tables[T] | undefined> {
    return this.guarded(() => {
      const row = this.statements.one(getText(table), [key])
      const forgotten = table === 'message' && Number(key) <= this.trimmedSeq
      return row === undefined || forgotten ? undefined : rowsOf(table, [row])[0]
    })
  }

  async find<T extends TableName>(
    table: T,
    column: Indexes[T],
    value: string | number,
    options: {
      readonly limit?: number
      readonly after?: string | number
      readonly newestFirst?: boolean
      readonly withoutBlobs?: boolean
    } = {},
  ): Promise<readonly Tables[T][]> {
    const { limit = findLimitDefault, after, newestFirst = false, withoutBlobs = false } = options
    if (after === undefined && limit > 0 && isUnique(table, column)) {
      return this.guarded(() => {
        const row = this.statements.one(uniqueText(table, column, withoutBlobs), [value])
        return row === undefined ? [] : rowsOf(table, [row])
      })
    }
    const { test, values } = equalsTest(table, column, value)
    return this.list(table, test, values, { after, newestFirst, limit, withoutBlobs })
  }

  async scan<T extends TableName>(
    table: T,
    options: { readonly after?: string | number; readonly limit: number },
  ): Promise<readonly Tables[T][]> {
    return this.list(table, '', [], { ...options, newestFirst: false, withoutBlobs: false })
  }

  async count<T extends TableName>(
    table: T,
    column: Indexes[T],
    value: string | number,
    atMost: number,
  ): Promise<number> {
    const { test, values } = equalsTest(table, column, value)
    return this.guarded(() => {
      const row = this.statements.one(countText(table, test, atMost), values)
      return Number(row?.['n'] ?? 0)
    })
  }

  apply(change: Change): Promise<Applied> {
    if (this.closed) return Promise.reject(closedError(this.file))
    return new Promise((resolve, reject) => {
      this.waiting.push({ change, resolve, reject })
      this.schedule()
    })
  }

  async eventHead(): Promise<ChainHead> {
    return this.guarded(() => this.writer.head)
  }

  async trimMessages(throughSeq: number): Promise<void> {
    const through = this.guarded(() => Math.min(throughSeq, newestMessage(this.statements)))
    while (this.trimmedSeq < through) {
      this.guarded(() => {
        const { statements, trimmedSeq, dedupe } = this
        this.trimmedSeq = this.transaction(() =>
          trimSlice(statements, trimmedSeq, through, dedupe, this.clock.now()),
        )
      })
      // Others come in between.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async backup(file: string): Promise<void> {
    this.guarded(() => undefined)
    // A connection of its own, and one step for all pages: the copy is one snapshot, and writers go
    // on meanwhile.
    const source = new DatabaseSync(this.file, { readOnly: true })
    try {
      await backup(source, file, { rate: 0x7fff_ffff })
      leaveOut(file)
      const copy = await open(file, 'r+')
      await copy.chmod(0o600)
      await copy.sync()
      await copy.close()
    } catch (error) {
      throw storeError(error, file)
    } finally {
      source.close()
    }
  }

  async close(): Promise<void> {
    if (this.closed) return
    while (this.waiting.length > 0) this.flush()
    this.closed = true
    this.db.close()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    // After the callbacks of this turn's input: what arrived together is committed together.
    setImmediate(() => {
      this.scheduled = false
      if (this.waiting.length === 0) return
      this.flush()
      if (this.waiting.length > 0) this.schedule()
    })
  }

  private flush(): void {
    const batch = this.waiting.splice(0, batchMax)
    let outcomes: (Applied | Error)[]
    try {
      outcomes = this.commit(batch)
    } catch (error) {
      const failure = storeError(error, this.file)
      for (const { reject } of batch) reject(failure)
      return
    }
    for (const [at, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[at]
      if (outcome instanceof Error) reject(outcome)
      else if (outcome !== undefined) resolve(outcome)
    }
  }

  /**
   * Together first; when one of them cannot be, again with each under a savepoint of its own.
   * Conflicts are rare, savepoints are not free.
   */
  private commit(batch: readonly Waiting[]): (Applied | Error)[] {
    const together = (write: (change: Change) => Applied | Error): (Applied | Error)[] =>
      this.transaction(() => {
        const results = batch.map(({ change }) => write(change))
        this.writer.saveHead()
        return results
      })
    try {
      return together((change) => this.writer.write(change))
    } catch (error) {
      const failure = storeError(error, this.file)
      if (isFatal(failure)) throw failure
      return batch.length === 1 ? [failure] : together((change) => this.applyOne(change))
    }
  }

  /** One Change under its savepoint. Throws only what spoils the whole transaction. */
  private applyOne(change: Change): Applied | Error {
    const { head } = this.writer
    this.statements.run('SAVEPOINT change', [])
    try {
      const applied = this.writer.write(change)
      this.statements.run('RELEASE change', [])
      return applied
    } catch (error) {
      const failure = storeError(error, this.file)
      if (isFatal(failure)) throw failure
      this.statements.run('ROLLBACK TO change', [])
      this.statements.run('RELEASE change', [])
      this.writer.head = head
      return failure
    }
  }

  /** Everything or nothing; afterwards memory agrees with the file, whatever happened. */
  private transaction<T>(work: () => T): T {
    try {
      this.db.exec('BEGIN IMMEDIATE')
      const result = work()
      this.db.exec('COMMIT')
      return result
    } catch (error) {
      // SQLite ends the transaction by itself after some errors (a full disk); a second ROLLBACK
      // would be an error.
      if (this.db.isTransaction) this.db.exec('ROLLBACK')
      this.reload()
      throw error
    }
  }

  private reload(): void {
    this.trimmedSeq = this.writer.loadHead()
  }

  private list<T extends TableName>(
    table: T,
    test: string,
    values: readonly (string | number)[],
    {
      after,
      ...listing
    }: Omit<Listing, 'tests' | 'after'> & { readonly after?: string | number | undefined },
  ): readonly Tables[T][] {
    return this.guarded(() => {
      const tests = test === '' ? [] : [test]
      const bound = [...values]
      let from = after
      // A trimmed message stays as an id that stops duplicates, and is never seen. Of two lower bounds
      // SQLite walks from the one and tests the other at each row: it gets the higher one only.
      if (table === 'message' && listing.newestFirst) {
        tests.push('seq > ?')
        bound.push(this.trimmedSeq)
      } else if (table === 'message') {
        from = Math.max(this.trimmedSeq, Number(after ?? 0))
      }
      if (from !== undefined) bound.push(from)
      const text = listText(table, { ...listing, tests, after: from !== undefined })
      return rowsOf(table, this.statements.all(text, bound))
    })
  }

  private guarded<T>(work: () => T): T {
    if (this.closed) throw closedError(this.file)
    try {
      return work()
    } catch (error) {
      throw storeError(error, this.file)
    }
  }
}

/** The tables are STRICT and made from the row types: what comes out is what went in. */
function rowsOf<T extends TableName>(_table: T, rows: readonly Values[]): readonly Tables[T][] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place where SQL becomes a type
  return rows as unknown as readonly Tables[T][]
}

function closedError(file: string): AdapterError<StoreErrorCode> {
  return new AdapterError('ERR_STORE_CLOSED', 'the store is closed', {}, { where: file })
}
