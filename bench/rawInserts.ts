/** The rows of readings written by node:sqlite alone, a hundred in a transaction, each flushed. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Case, forAbout } from './measure.ts'

const together = 100
const contexts = 200
/** Of a reading of 32 bytes as a CloudEvent. */
const bodyBytes = 400

const schema = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE message (
  seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, source TEXT NOT NULL,
  type TEXT NOT NULL, time INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_source_id ON message (source, id);
CREATE TABLE context (
  id TEXT NOT NULL PRIMARY KEY, highest INTEGER NOT NULL, accepted INTEGER NOT NULL,
  life INTEGER NOT NULL, peerAddress TEXT NOT NULL
) STRICT;`

export function rawInserts(name: string, folder: string): Case {
  const database = new DatabaseSync(join(folder, 'raw.db'))
  database.exec(schema)
  const message = database.prepare(
    'INSERT INTO message (id, source, type, time, body) VALUES (?, ?, ?, ?, ?)',
  )
  const window = database.prepare(
    'UPDATE context SET highest = ?, accepted = ?, life = ?, peerAddress = ? WHERE id = ?',
  )
  const born = database.prepare('INSERT INTO context VALUES (?, ?, ?, ?, ?)')
  const sources = Array.from({ length: contexts }, () => randomBytes(8).toString('hex'))
  for (const source of sources) born.run(source, 0, 1, 1, '127.0.0.1:5683')
  const body = 'x'.repeat(bodyBytes)
  let count = 0
  const write = (): void => {
    const source = sources[count % contexts] ?? ''
    message.run(`${source}-${count}`, source, 'countersign.message', count, body)
    window.run(count, 0xffff_ffff, 1, '127.0.0.1:5683', source)
    count++
  }
  return {
    name,
    run: async (milliseconds) => {
      const rounds = await forAbout(milliseconds, () => {
        database.exec('BEGIN IMMEDIATE')
        for (let row = 0; row < together; row++) write()
        database.exec('COMMIT')
      })
      return rounds * together
    },
  }
}
