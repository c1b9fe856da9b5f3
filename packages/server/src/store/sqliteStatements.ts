/**
 * SQL from the schema, each text prepared once and kept. Names come from `schema.ts` and from the keys of typed values of our own code,
 * never from outside; values are always bound.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { InvariantError } from '@countersign/core/errors'
import type { RowTable, TableName } from '../ports.ts'
import { columnsOf, schema } from './schema.ts'

export type Values = Readonly<Record<string, SQLInputValue>>

export class Statements {
  private readonly kept = new Map<string, StatementSync>()
  private readonly db: DatabaseSync

  constructor(db: DatabaseSync) {
    this.db = db
  }

  run(text: string, values: readonly SQLInputValue[]): number {
    return Number(this.prepare(text).run(...values).changes)
  }

  one(text: string, values: readonly SQLInputValue[]): Values | undefined {
    const row = this.prepare(text).get(...values)
    return row === undefined ? undefined : { ...row }
  }

  all(text: string, values: readonly SQLInputValue[]): Values[] {
    return this.prepare(text)
      .all(...values)
      .map((row) => ({ ...row }))
  }

  private prepare(text: string): StatementSync {
    const kept = this.kept.get(text)
    if (kept !== undefined) return kept
    const made = this.db.prepare(text)
    this.kept.set(text, made)
    return made
  }
}

const insertTexts = new Map<TableName, string>()

export function insertText(table: TableName): string {
  const kept = insertTexts.get(table)
  if (kept !== undefined) return kept
  const names = columnsOf(table)
  const text = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`
  insertTexts.set(table, text)
  return text
}

/** The values of a row in the order of `insertText`. */
export function rowValues(table: TableName, row: object): SQLInputValue[] {
  const values = new Map<string, SQLInputValue | undefined>(Object.entries(row))
  return columnsOf(table).map((name) => {
    const value = values.get(name)
    if (value === undefined)
      throw new InvariantError('ERR_STORE_STATEMENT', `${table}.${name} has no value`, { table })
    return value
  })
}

export function updateText(table: RowTable, names: readonly string[]): string {
  const set = names.map((name) => `${column(table, name)} = ?`).join(', ')
  return `UPDATE ${table} SET ${set} WHERE ${schema[table].key} = ?`
}

export function deleteText(table: RowTable): string {
  return `DELETE FROM ${table} WHERE ${schema[table].key} = ?`
}

export function addText(table: RowTable, name: string, atMost: string | undefined): string {
  const counter = column(table, name)
  const bound = atMost === undefined ? '' : ` AND ${counter} + ? <= ${column(table, atMost)}`
  return `UPDATE ${table} SET ${counter} = ${counter} + ? WHERE ${schema[table].key} = ?${bound}`
}

/** `IS` compares null with null as equal. */
export function matchText(table: RowTable, names: readonly string[]): string {
  const tests = names.map((name) => ` AND ${column(table, name)} IS ?`).join('')
  return `SELECT 1 AS yes FROM ${table} WHERE ${schema[table].key} = ?${tests}`
}

export function getText(table: TableName): string {
  return `SELECT * FROM ${table} WHERE ${schema[table].key} = ?`
}

export interface Listing {
  readonly tests: readonly string[]
  readonly after: boolean
  readonly newestFirst: boolean
}

export function listText(table: TableName, { tests, after, newestFirst }: Listing): string {
  const { key } = schema[table]
  const all = after ? [...tests, `${key} ${newestFirst ? '<' : '>'} ?`] : tests
  const where = all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`
  return `SELECT * FROM ${table}${where} ORDER BY ${key}${newestFirst ? ' DESC' : ''} LIMIT ?`
}

/**
 * How an indexed column is looked up. The status index holds only what is asked for by status, and the planner takes it only when the
 * text says so; an x5t is the beginning of the fingerprint and needs no index of its own.
 */
export function equalsTest(
  table: TableName,
  name: string,
  value: string | number,
): { readonly test: string; readonly values: readonly (string | number)[] } {
  if (table === 'certificate' && name === 'status' && (value === 'reserved' || value === 'revoked'))
    return { test: "status = ? AND status IN ('reserved', 'revoked')", values: [value] }
  if (table === 'certificate' && name === 'x5t')
    return {
      test: 'fingerprint >= ? AND fingerprint < ? AND x5t = ?',
      values: [value, `${value}g`, value],
    }
  return { test: `${column(table, name)} = ?`, values: [value] }
}

function column(table: TableName, name: string): string {
  if (!Object.hasOwn(schema[table].columns, name))
    throw new InvariantError('ERR_STORE_STATEMENT', `${table} has no column ${name}`, { table })
  return name
}
