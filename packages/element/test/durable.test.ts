import assert from 'node:assert/strict'
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { makeFolders, writeDurably, writeDurablySync } from '../src/durable.ts'

const base = mkdtempSync(join(tmpdir(), 'countersign-durable-'))
after(() => rmSync(base, { recursive: true }))

test('a folder is made with those above it, and one that is there is left alone', () => {
  const folder = join(base, 'a', 'b', 'c')
  makeFolders(folder, 0o700)
  makeFolders(folder, 0o755)
  assert.ok(statSync(folder).isDirectory())
  if (process.platform !== 'win32') assert.equal(statSync(folder).mode & 0o777, 0o700)
})

test('a file in the way is an error', () => {
  const file = join(base, 'file')
  writeFileSync(file, '')
  assert.throws(() => makeFolders(file, 0o700), { code: 'EEXIST' })
  assert.throws(() => makeFolders(join(file, 'x', 'y'), 0o700), { code: 'EEXIST' })
})

test('a folder that cannot be made below /proc is an error and no endless loop', {
  skip: process.platform === 'linux' ? false : '/proc is of Linux',
}, () => {
  assert.throws(() => makeFolders('/proc/countersign/x', 0o700), { code: 'ENOENT' })
})

test('a file is replaced as a whole, for its owner alone, flushed or not', () => {
  const file = join(base, 'state')
  // Left by a crash: longer, and readable to others.
  writeFileSync(`${file}.new`, 'x'.repeat(100), { mode: 0o644 })
  for (const flush of [true, false]) {
    writeDurablySync(file, `flush ${flush}`, { flush })
    assert.equal(readFileSync(file, 'utf8'), `flush ${flush}`)
    assert.equal(existsSync(`${file}.new`), false)
    if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600)
  }
})

test('a link in the way of the new file is not followed', {
  skip: process.platform === 'win32' ? 'Windows opens links' : false,
}, async () => {
  const [file, victim] = [join(base, 'linked'), join(base, 'victim')]
  writeFileSync(victim, 'untouched')
  symlinkSync(victim, `${file}.new`)
  assert.throws(() => writeDurablySync(file, 'new'), { code: 'ELOOP' })
  await assert.rejects(writeDurably(file, 'new'), { code: 'ELOOP' })
  assert.equal(readFileSync(victim, 'utf8'), 'untouched')
})
