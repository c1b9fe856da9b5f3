/**
 * SQL from the schema, each text prepared once and kept. Names come from `schema.ts` and from the
 * keys of typed values of our own code, never from outside; values are always bound.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { InvariantError } from '@countersign/core/errors'
import type { RowTable, TableName } from '../ports.ts'
import { columnsOf, schema } from './schema.ts'

export type Values = Readonly<Record<string, SQLInputValue>>

interface Kept {
  readonly statement: StatementSync
  /** Columns of the answer; none for a statement that answers nothing. */
  readonly names: readonly string[]
}

export class Statements {
  private readonly kept = new Map<string, Kept>()
  private readonly db: DatabaseSync

  constructor(db: DatabaseSync) {
    this.db = db
  }

  run(text: string, values: readonly SQLInputValue[]): number {
    return Number(this.prepare(text).statement.run(...values).changes)
  }

  one(text: string, values: readonly SQLInputValue[]): Values | undefined {
    const { statement, names } = this.prepare(text)
    const answer: unknown = statement.get(...values)
    return Array.isArray(answer) ? rowOf(names, answer) : undefined
  }

  all(text: string, values: readonly SQLInputValue[]): Values[] {
    const { statement, names } = this.prepare(text)
    const answers: readonly unknown[] = statement.all(...values)
    return answers.filter((answer) => Array.isArray(answer)).map((answer) => rowOf(names, answer))
  }

  private prepare(text: string): Kept {
    const kept = this.kept.get(text)
    if (kept !== undefined) return kept
    const statement = this.db.prepare(text)
    // Rows as objects come without a prototype and in a slow shape; as arrays they become plain
    // objects here.
    statement.setReturnArrays(true)
    const made = { statement, names: statement.columns().map(({ name }) => name) }
    this.kept.set(text, made)
    return made
  }
}

function rowOf(names: readonly string[], values: readonly SQLInputValue[]): Values {
  const row: Record<string, SQLInputValue> = {}
  for (let at = 0; at < names.length; at++) row[names[at] ?? ''] = values[at] ?? null
  return row
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
  const values: readonly SQLInputValue[] = Object.values(row)
  const names = Object.keys(row)
  const columns = columnsOf(table)
  return columns.map((name, at) => {
    // Rows are nearly always made in the order of the columns.
    const value = names[at] === name ? values[at] : values[names.indexOf(name)]
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
  readonly limit: number
  readonly withoutBlobs: boolean
}

export function listText(table: TableName, listing: Listing): string {
  const { tests, after, newestFirst, limit, withoutBlobs } = listing
  const { key } = schema[table]
  const all = after ? [...tests, `${key} ${newestFirst ? '<' : '>'} ?`] : tests
  const where = all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`
  // The limit stands in the text: bound, it takes part in planning, and SQLite would prepare the
  // statement anew at every call.
  return `SELECT ${selected(table, withoutBlobs)} FROM ${table}${where} ORDER BY ${key}${newestFirst ? ' DESC' : ''} LIMIT ${Math.trunc(limit)}`
}

/** No column of the row is named, so that the index alone answers. The limit as in `listText`. */
export function countText(table: TableName, test: string, atMost: number): string {
  return `SELECT count(*) AS n FROM (SELECT 1 FROM ${table} WHERE ${test} LIMIT ${Math.trunc(atMost)})`
}

/** Whether one row at most has a value of this column. */
export function isUnique(table: TableName, name: string): boolean {
  return schema[table].unique.some((columns) => columns.length === 1 && columns[0] === name)
}

const uniqueTexts = new Map<string, string>()

export function uniqueText(table: TableName, name: string, withoutBlobs: boolean): string {
  const key = `${table}.${name}${withoutBlobs ? '-' : ''}`
  let text = uniqueTexts.get(key)
  if (text === undefined) {
    text = `SELECT ${selected(table, withoutBlobs)} FROM ${table} WHERE ${column(table, name)} = ?`
    uniqueTexts.set(key, text)
  }
  return text
}

function selected(table: TableName, withoutBlobs: boolean): string {
  if (!withoutBlobs) return '*'
  const kinds = new Map<string, string>(Object.entries(schema[table].columns))
  return columnsOf(table)
    .map((name) => (kinds.get(name) === 'blob?' ? `NULL AS ${name}` : name))
    .join(', ')
}

/**
 * How an indexed column is looked up. The status index holds only what is asked for by status, and
 * the planner takes it only when the text says so; an x5t is the beginning of the fingerprint and
 * needs no index of its own.
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
