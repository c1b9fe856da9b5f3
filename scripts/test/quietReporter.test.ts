import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const reporter = fileURLToPath(new URL('../quietReporter.ts', import.meta.url))

test('what is skipped is told with its reason, suites whose tests nobody counted among it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-reporter-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'some.test.mjs')
  writeFileSync(
    file,
    `import { describe, test } from 'node:test'
test('green', () => {})
test('one', { skip: 'no peer' }, () => {})
test('two', { skip: 'no peer' }, () => {})
describe('three', { skip: 'no peer' }, () => { test('four', () => {}) })
describe('five', { skip: 'no token' }, () => { test('six', () => {}) })
`,
  )
  // A runner that is told of another one above it would report to that one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { stdout } = spawnSync(process.execPath, ['--test', `--test-reporter=${reporter}`, file], {
    encoding: 'utf8',
    env,
  })
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  assert.deepEqual(lines, [
    'skipped 2 tests and 1 whole suite: no peer',
    'skipped 1 whole suite: no token',
  ])
})
