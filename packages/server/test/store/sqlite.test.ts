import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { dataVersion, type Migration, migrations } from '../../src/store/migrations.ts'
import { columnsOf, schema } from '../../src/store/schema.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { checkDatabase } from '../../src/store/sqliteCheck.ts'
import { storeCompliance } from './compliance.ts'
import { deviceRow, messageDraft, testTime } from './rows.ts'

const clock = { now: () => testTime }

storeCompliance('sqlite', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-store-'))
  const file = join(dir, 'store.db')
  let store = await openSqliteStore(file, { clock })
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await openSqliteStore(file, { clock })
      return store
    },
    dispose: async () => {
      await store.close()
      await rm(dir, { recursive: true })
    },
  }
})

describe('a database file', () => {
  let dir: string
  let file: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'countersign-sqlite-'))
    file = join(dir, 'store.db')
  })
  afterEach(() => rm(dir, { recursive: true }))

  const made = async (): Promise<void> => {
    const store = await openSqliteStore(file, { clock })
    await store.apply({ writes: [{ kind: 'insert', table: 'device', row: deviceRow(1) }] })
    await store.close()
  }
  const change = (...sql: string[]): void => {
    const db = new DatabaseSync(file)
    for (const text of sql) db.exec(text)
    db.close()
  }
  const next: Migration = {
    version: dataVersion + 1,
    what: 'a test',
    sql: 'ALTER TABLE device ADD COLUMN mood TEXT',
  }

  test('the migrations make the tables that the schema describes', async () => {
    await made()
    const db = new DatabaseSync(file, { readOnly: true })
    for (const [table, { key, columns, unique }] of Object.entries(schema)) {
      const found = db.prepare(`PRAGMA table_info(${table})`).all()
      assert.deepEqual(
        found.map(({ name, type, notnull }) => [
          name,
          String(type).toLowerCase() + (notnull === 1 ? '' : '?'),
        ]),
        Object.entries(columns),
        table,
      )
      assert.deepEqual(
        found.filter(({ pk }) => pk === 1).map(({ name }) => name),
        [key],
      )
      const indexes = db.prepare(`PRAGMA index_list(${table})`).all()
      const uniques = indexes
        .filter((index) => index['unique'] === 1 && index['origin'] === 'c')
        .map(({ name }) =>
          db
            .prepare(`PRAGMA index_info(${String(name)})`)
            .all()
            .map((row) => row['name']),
        )
      assert.deepEqual(uniques.map(String).toSorted(), unique.map(String).toSorted(), table)
      assert.equal(
        db.prepare(`SELECT strict FROM pragma_table_list('${table}')`).get()?.['strict'],
        1,
      )
    }
    db.close()
  })

  test('every look-up by an indexed column is answered from an index', async () => {
    await made()
    const db = new DatabaseSync(file, { readOnly: true })
    const small = new Set(['ca', 'anchor'])
    for (const [table, { indexes }] of Object.entries(schema)) {
      for (const column of indexes) {
        if (small.has(table) || column === 'status') continue
        const asked =
          column === 'x5t' ? "fingerprint >= 'a' AND fingerprint < 'b'" : `${column} = 'a'`
        const plan = db.prepare(`EXPLAIN QUERY PLAN SELECT * FROM ${table} WHERE ${asked}`).all()
        assert.match(String(plan[0]?.['detail']), /USING INDEX/, `${table}.${column}`)
      }
      assert.ok(columnsOf(asTable(table)).length > 0)
    }
    const reserved = db
      .prepare(
        "EXPLAIN QUERY PLAN SELECT * FROM certificate WHERE status = ? AND status IN ('reserved', 'revoked') ORDER BY serial",
      )
      .all('reserved')
    assert.deepEqual(
      reserved.map(({ detail }) => detail),
      ['SEARCH certificate USING INDEX certificate_status (status=?)'],
    )
    db.close()
  })

  test('is readable by its owner alone, its side files too', async () => {
    const store = await openSqliteStore(file, { clock })
    await store.apply({ messages: [messageDraft('a', '1')] })
    for (const name of [file, `${file}-wal`, `${file}-shm`])
      assert.equal((await stat(name)).mode & 0o777, 0o600, name)
    await store.close()
  })

  test('an older version is upgraded after a copy is kept', async () => {
    await made()
    const store = await openSqliteStore(file, { clock, migrations: [...migrations, next] })
    assert.equal((await store.get('device', deviceRow(1).id))?.serial, 'SN-1')
    await store.close()
    const copy = `${file}.v${dataVersion}`
    assert.equal((await stat(copy)).mode & 0o777, 0o600)
    checkDatabase(copy)
    const old = await openSqliteStore(copy, { clock })
    assert.equal((await old.get('device', deviceRow(1).id))?.serial, 'SN-1')
    await old.close()
  })

  test('an upgrade that fails leaves the old version as it was', async () => {
    await made()
    const broken = { ...next, sql: `${next.sql}; ALTER TABLE nothing ADD COLUMN x TEXT` }
    await assert.rejects(openSqliteStore(file, { clock, migrations: [...migrations, broken] }))
    const store = await openSqliteStore(file, { clock })
    assert.equal((await store.get('device', deviceRow(1).id))?.serial, 'SN-1')
    await store.close()
  })

  test('a newer version is refused and not touched', async () => {
    const newer = await openSqliteStore(file, { clock, migrations: [...migrations, next] })
    await newer.close()
    const before = await readFile(file)
    await assert.rejects(openSqliteStore(file, { clock }), {
      code: 'ERR_STORE_NEWER',
      message: `the data folder has data version ${dataVersion + 1}, this countersign knows ${dataVersion}`,
    })
    assert.deepEqual(await readFile(file), before)
  })

  test('a migration that is not the one of this version is refused', async () => {
    await made()
    const [first, ...rest] = migrations
    assert.ok(first !== undefined)
    const edited = [{ ...first, sql: `${first.sql} -- edited` }, ...rest]
    await assert.rejects(openSqliteStore(file, { clock, migrations: edited }), {
      code: 'ERR_STORE_CORRUPT',
    })
    change('DELETE FROM migration')
    await assert.rejects(openSqliteStore(file, { clock }), { code: 'ERR_STORE_CORRUPT' })
  })

  test("another program's database is refused, and so is what is none", async () => {
    change('CREATE TABLE theirs (x)')
    await assert.rejects(openSqliteStore(file, { clock }), { code: 'ERR_STORE_CORRUPT' })
    await writeFile(file, 'not a database, but long enough to look at. '.repeat(200))
    await assert.rejects(openSqliteStore(file, { clock }), { code: 'ERR_STORE_CORRUPT' })
    assert.throws(() => checkDatabase(file), { code: 'ERR_STORE_CORRUPT' })
  })

  test('a folder that is not there is an error of the disk', async () => {
    await assert.rejects(openSqliteStore(join(dir, 'none', 'store.db'), { clock }))
    assert.ok(!existsSync(join(dir, 'none')))
  })

  test('a damaged page is found by the check', async () => {
    const store = await openSqliteStore(file, { clock })
    for (let n = 0; n < 200; n++)
      await store.apply({ writes: [{ kind: 'insert', table: 'device', row: deviceRow(n) }] })
    await store.close()
    checkDatabase(file)
    const bytes = await readFile(file)
    bytes.fill(0xff, bytes.length - 3 * 4096, bytes.length - 4096)
    await writeFile(file, bytes)
    assert.throws(() => checkDatabase(file), { code: 'ERR_STORE_CORRUPT' })
  })

  test('a large outbox is forgotten in slices, and others write in between', async () => {
    const store = await openSqliteStore(file, { clock })
    const messages = Array.from({ length: 9_000 }, (_, n) => messageDraft('a', `${n}`))
    await store.apply({ messages })
    const order: string[] = []
    await Promise.all([
      store.trimMessages(8_999).then(() => order.push('trimmed')),
      store.apply({ messages: [messageDraft('b', '1')] }).then(() => order.push('written')),
    ])
    assert.deepEqual(order, ['written', 'trimmed'])
    assert.deepEqual(
      (await store.scan('message', { limit: 9 })).map(({ seq }) => seq),
      [9_000, 9_001],
    )
    await store.close()
  })

  test('ids of trimmed messages are kept for a bounded number and a bounded time', async () => {
    let now = testTime
    const store = await openSqliteStore(file, {
      clock: { now: () => now },
      dedupe: { countMax: 3, daysMax: 1 },
    })
    const again = async (id: string): Promise<number> =>
      (await store.apply({ messages: [messageDraft('a', id)] })).duplicates
    await store.apply({ messages: ['1', '2', '3', '4', '5'].map((id) => messageDraft('a', id)) })
    await store.trimMessages(5)
    assert.deepEqual([await again('3'), await again('2')], [1, 0])
    now += 2 * 86_400_000
    await store.apply({ messages: [{ ...messageDraft('b', '1'), time: now }] })
    await store.trimMessages(Number.MAX_SAFE_INTEGER)
    assert.deepEqual([await again('5')], [0])
    assert.equal((await store.apply({ messages: [messageDraft('b', '1')] })).duplicates, 1)
    await store.close()
  })
})

function asTable(name: string): keyof typeof schema {
  const found = Object.keys(schema).find((table): table is keyof typeof schema => table === name)
  assert.ok(found !== undefined)
  return found
}
