import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { verifyLog } from '../../src/store/verifyLog.ts'
import { testTime } from './rows.ts'

const clock = { now: () => testTime }
const entries = 2_500

describe('the audit log', () => {
  let dir: string
  let file: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'countersign-log-'))
    file = join(dir, 'store.db')
    const store = await openSqliteStore(file, { clock })
    await store.apply({
      events: Array.from({ length: entries }, (_, n) => ({
        time: testTime + n,
        type: 'made',
        subject: `device ${n}`,
        actor: 'operator',
        data: `{"n":${n}}`,
      })),
    })
    await store.close()
  })
  afterEach(() => rm(dir, { recursive: true }))

  /** What somebody does who can write the file and knows SQL. */
  const tampered = async (...sql: string[]): Promise<ReturnType<typeof verifyLog>> => {
    const db = new DatabaseSync(file)
    for (const text of sql) db.exec(text)
    db.close()
    const store = await openSqliteStore(file, { clock })
    try {
      return await verifyLog(store)
    } finally {
      await store.close()
    }
  }

  test('untouched it verifies, and says its head', async () => {
    const verdict = await tampered()
    assert.equal(verdict.entries, entries)
    assert.match(verdict.head, /^[0-9a-f]{64}$/)
  })

  for (const column of ['time', 'type', 'subject', 'actor', 'data'])
    test(`a changed ${column} is found and the entry named`, async () => {
      const value = column === 'time' ? '1' : "'x'"
      await assert.rejects(tampered(`UPDATE event SET ${column} = ${value} WHERE seq = 1234`), {
        code: 'ERR_LOG_CHANGED',
        where: 'event 1234',
      })
    })

  for (const [where, gap] of [
    ['event 1', 'seq = 1'],
    ['event 999', 'seq BETWEEN 999 AND 1001'],
    ['event 1000', 'seq = 1000'],
    ['event 2000', 'seq BETWEEN 2000 AND 2499'],
  ] as const)
    test(`entries taken out are missed: ${gap}`, async () => {
      const cut = tampered(`DELETE FROM event WHERE ${gap}`)
      await assert.rejects(cut, { code: 'ERR_LOG_MISSING', where })
    })

  test('the newest entries taken out are missed', async () => {
    await assert.rejects(tampered('DELETE FROM event WHERE seq > 2400'), {
      code: 'ERR_LOG_MISSING',
      where: 'event 2401',
    })
  })

  test('two entries that changed places are found', async () => {
    await assert.rejects(
      tampered(
        'UPDATE event SET seq = -1 WHERE seq = 70',
        'UPDATE event SET seq = 70 WHERE seq = 71',
        'UPDATE event SET seq = 71 WHERE seq = -1',
      ),
      { code: 'ERR_LOG_CHANGED', where: 'event 70' },
    )
  })

  test('an entry written anew with its own hash does not fit its neighbours', async () => {
    const db = new DatabaseSync(file)
    const other = db.prepare('SELECT hash FROM event WHERE seq = 5').get()?.['hash']
    db.close()
    await assert.rejects(tampered(`UPDATE event SET previous = '${String(other)}' WHERE seq = 9`), {
      code: 'ERR_LOG_CHANGED',
      where: 'event 9',
    })
    await assert.rejects(tampered(`UPDATE event SET hash = '${String(other)}' WHERE seq = 2500`), {
      where: 'event 9',
    })
  })

  test('a log cut at its end together with its head is found by a head noted earlier', async () => {
    const store = await openSqliteStore(file, { clock })
    const noted = await store.eventHead()
    await store.close()
    const db = new DatabaseSync(file)
    db.exec('DELETE FROM event WHERE seq > 2000')
    db.exec(
      'UPDATE house SET eventSeq = 2000, eventHash = (SELECT hash FROM event WHERE seq = 2000)',
    )
    db.close()
    const cut = await openSqliteStore(file, { clock })
    assert.equal((await verifyLog(cut)).entries, 2_000)
    await assert.rejects(verifyLog(cut, noted), { code: 'ERR_LOG_MISSING', where: 'event 2001' })
    await assert.rejects(verifyLog(cut, { seq: 1_500, hash: noted.hash }), {
      code: 'ERR_LOG_CHANGED',
      where: 'event 1500',
    })
    await cut.close()
  })
})
