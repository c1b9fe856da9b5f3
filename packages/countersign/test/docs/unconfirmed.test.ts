/**
 * docs/element/unconfirmed.md lists what nobody has confirmed on a chip, with the files that lean on
 * it; in each of those stands "unconfirmed on silicon" with the number of the line.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../../../..')
const list = 'docs/element/unconfirmed.md'
const folders: Readonly<Record<string, string>> = {
  'emulator/': 'packages/element/src/emulators/atecc608/',
  'driver/': 'packages/element/src/drivers/atecc608/',
}
const sources = globSync(['packages/*/src/**/*.ts', 'docs/**/*.md'], { cwd: root }).filter(
  (path) => path !== list,
)

interface Line {
  readonly number: string
  readonly files: readonly string[]
}

const lines: readonly Line[] = [...read(list).matchAll(/^\| (U\d+) \|.*\| (`[^|]*`) \|$/gm)].map(
  ([, number = '', where = '']) => ({
    number,
    files: [...where.matchAll(/`([^`]+)`/g)].map(([, path = '']) => whole(path)),
  }),
)

test('every line of the list has a number of its own', () => {
  const numbers = lines.map(({ number }) => number)
  assert.ok(numbers.length >= 80, `${numbers.length} lines`)
  assert.equal(new Set(numbers).size, numbers.length)
  assert.equal(read(list).match(/^\| U/gm)?.length, numbers.length)
})

test('each file that a line names has its mark, and each mark has its line', () => {
  const listed = lines.flatMap(({ number, files }) => files.map((file) => `${file} ${number}`))
  const marked = sources.flatMap((file) =>
    [...new Set(marksOf(file))].map((number) => `${file} ${number}`),
  )
  assert.deepEqual(marked.toSorted(), listed.toSorted())
})

test('nothing is said to be unconfirmed on silicon without a number', () => {
  const bare = sources.filter((file) => wordsOf(file).length > numbersOf(file).length)
  assert.deepEqual(bare, [])
})

/** "unconfirmed on silicon (U1, U2)", or ", U1" inside other brackets; in docs it may be a link. */
function numbersOf(file: string): readonly string[] {
  const mark = /unconfirmed on silicon(?:\]\([^)]*\))?(?: \(|, )(U\d+(?:, U\d+)*)/gi
  return [...flat(file).matchAll(mark)].map(([, numbers = '']) => numbers)
}

function marksOf(file: string): readonly string[] {
  return numbersOf(file).flatMap((numbers) => numbers.split(', '))
}

/** Other words for the same are none. */
function wordsOf(file: string): readonly string[] {
  return flat(file).match(/unconfirmed (?:on|in) (?:silicon|hardware)/gi) ?? []
}

/** A comment or a paragraph without its line breaks. */
function flat(file: string): string {
  return read(file).replaceAll(/\s*\n\s*(?:\*|\/\/)?\s*/g, ' ')
}

function whole(path: string): string {
  const prefix = Object.keys(folders).find((start) => path.startsWith(start)) ?? ''
  return `${folders[prefix] ?? ''}${path.slice(prefix.length)}`
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
