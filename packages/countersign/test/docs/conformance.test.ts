/** docs/conformance.md names files: of each standard, and of what it is checked against. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../../../..')
const text = readFileSync(join(root, 'docs/conformance.md'), 'utf8')

test('every file that the table of conformance names is there', () => {
  const paths = [...text.matchAll(/`((?:packages|vectors|fuzz|docs)\/[^`]+)`/g)].map(
    ([, path]) => path,
  )
  assert.ok(paths.length > 100)
  assert.deepEqual(
    paths.filter((path) => !existsSync(join(root, path ?? ''))),
    [],
  )
})

test('every test that it names by a sentence is in its file', () => {
  const named = [...text.matchAll(/`(packages\/[^`]+\.test\.ts)`:? "([^"]+)"/g)]
  assert.ok(named.length > 25, `${named.length} names`)
  const missing = named.filter(([, path = '', name = '']) => {
    const source = readFileSync(join(root, path), 'utf8')
    return !source.includes(name)
  })
  assert.deepEqual(
    missing.map(([whole]) => whole),
    [],
  )
})
