/**
 * One Change inside the open transaction: conditions first, then rows, then messages and the
 * chained events.
 */
import type { SQLInputValue } from 'node:sqlite'
import type { Applied, Change, Condition, MessageDraft, RowTable, Write } from '../ports.ts'
import { type ChainHead, chainEvent, chainStart } from './chain.ts'
import { schema } from './schema.ts'
import { Conflict } from './sqliteErrors.ts'
import {
  addText,
  deleteText,
  getText,
  insertText,
  matchText,
  rowValues,
  type Statements,
  updateText,
} from './sqliteStatements.ts'

const messageText =
  'INSERT INTO message (id, source, type, time, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, id) DO NOTHING RETURNING seq'

export class ChangeWriter {
  /** The newest event. The only copy in memory: whoever rolls back puts it back. */
  head: ChainHead = chainStart
  private savedHead: ChainHead = chainStart
  private readonly statements: Statements

  constructor(statements: Statements) {
    this.statements = statements
  }

  /** Throws Conflict; the caller undoes what was written until then. */
  write(change: Change): Applied {
    for (const condition of change.conditions ?? []) this.check(condition)
    for (const write of change.writes ?? []) this.writeRow(write)
    const seqs = (change.messages ?? []).map((message) => this.storeMessage(message))
    for (const draft of change.events ?? []) {
      const event = chainEvent(this.head, draft)
      this.statements.run(insertText('event'), rowValues('event', event))
      this.head = { seq: event.seq, hash: event.hash }
    }
    const messageSeqs = seqs.filter((seq) => seq !== undefined)
    return {
      messageSeqs,
      duplicates: seqs.length - messageSeqs.length,
      lastEventSeq: this.head.seq,
    }
  }

  saveHead(): void {
    if (this.head.seq === this.savedHead.seq) return
    const { seq, hash } = this.head
    this.statements.run('UPDATE house SET eventSeq = ?, eventHash = ?', [seq, hash])
    this.savedHead = this.head
  }

  /** Reads what the file says; returns the trimmed sequence number that stands beside it. */
  loadHead(): number {
    const row = this.statements.one('SELECT * FROM house', [])
    this.head = { seq: Number(row?.['eventSeq'] ?? 0), hash: textOf(row?.['eventHash']) }
    this.savedHead = this.head
    return Number(row?.['trimmedSeq'] ?? 0)
  }

  private check(condition: Condition): void {
    const { table, key } = condition
    if (condition.kind === 'absent') {
      if (this.statements.one(matchText(table, []), [key]) !== undefined)
        throw new Conflict(table, schema[table].key, `${table} ${key} exists`)
      return
    }
    const names = Object.keys(condition.where)
    const values = Object.values(condition.where) as SQLInputValue[]
    if (this.statements.one(matchText(table, names), [key, ...values]) !== undefined) return
    throw new Conflict(
      table,
      this.differing(table, key, condition.where),
      `${table} ${key} changed`,
    )
  }

  /** The first column that is not as expected; undefined when there is no such row. */
  private differing(table: RowTable, key: string, where: object): string | undefined {
    const row = this.statements.one(getText(table), [key])
    if (row === undefined) return undefined
    return Object.entries(where).find(([name, value]) => row[name] !== value)?.[0]
  }

  private writeRow(write: Write): void {
    const { table } = write
    switch (write.kind) {
      case 'insert':
        this.statements.run(insertText(table), rowValues(table, write.row))
        return
      case 'update': {
        const values = Object.values(write.set) as SQLInputValue[]
        const text = updateText(table, Object.keys(write.set))
        if (this.statements.run(text, [...values, write.key]) === 0) throw missing(table, write.key)
        return
      }
      case 'delete':
        if (this.statements.run(deleteText(table), [write.key]) === 0)
          throw missing(table, write.key)
        return
      case 'add': {
        const { column, by, atMost, key } = write
        const bound = atMost === undefined ? [by, key] : [by, key, by]
        if (this.statements.run(addText(table, column, atMost), bound) === 0)
          throw new Conflict(table, column, `${table}.${column} of ${key} is used up or missing`)
      }
    }
  }

  /** undefined: its id was seen before. */
  private storeMessage({ id, source, type, time, body }: MessageDraft): number | undefined {
    const row = this.statements.one(messageText, [id, source, type, time, body])
    return row === undefined ? undefined : Number(row['seq'])
  }
}

function textOf(value: SQLInputValue | undefined): string {
  return typeof value === 'string' ? value : chainStart.hash
}

function missing(table: RowTable, key: string): Conflict {
  return new Conflict(table, undefined, `there is no ${table} ${key}`)
}
