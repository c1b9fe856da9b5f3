import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
const tracked = listed.status === 0 ? listed.stdout.split('\0').filter((path) => path !== '') : []

/** Where Git leaves both sides to a person. */
const marker = /^(?:<{7}|>{7}) /

/** The numbers of the lines that are markers; none in what is no text. */
function markersOf(bytes: Buffer): readonly number[] {
  if (bytes.includes(0)) return []
  const lines = bytes.toString('utf8').split('\n')
  return lines.flatMap((line, index) => (marker.test(line) ? [index + 1] : []))
}

test('no tracked text file has merge markers in it', {
  skip: listed.status === 0 ? false : 'this is no checkout of Git, or Git is not there',
}, () => {
  assert.ok(tracked.includes('README.md'))
  const found = tracked.flatMap((path) => linesIn(path).map((line) => `${path}:${line}`))
  assert.deepEqual(found, [])
})

test('markers are found at the beginning of a line, and in text only', () => {
  const [ours, theirs] = ['<'.repeat(7), '>'.repeat(7)]
  const text = `a\n${ours} HEAD\nb\n=======\nc\n${theirs} other\n ${ours} quoted\n`
  assert.deepEqual(markersOf(Buffer.from(text)), [2, 6])
  assert.deepEqual(markersOf(Buffer.from(`\0${text}`)), [])
})

function linesIn(path: string): readonly number[] {
  try {
    return markersOf(readFileSync(join(root, path)))
  } catch (error) {
    // Deleted and not yet committed, or a link to a folder.
    if (error instanceof Error && 'code' in error) return []
    throw error
  }
}
