/** A new emulated part is made once, however many begin at once. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type EmulatedPlace, provideEmulated } from '../src/emulatedChip.ts'

test('of those who make a part at once the first wins, and nobody loses what he has seen', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parts-'))
  try {
    const file = join(folder, 'chip.json')
    const place: EmulatedPlace = { kind: 'emulator', file, framing: 'i2c', times: 'none' }
    const seen = await Promise.all(
      [1, 2, 3].map(async () => {
        await provideEmulated(place, 'set up')
        return await readFile(file, 'utf8')
      }),
    )
    assert.equal(new Set([...seen, await readFile(file, 'utf8')]).size, 1)
    assert.deepEqual((await readdir(folder)).toSorted(), ['chip.json', 'emulator-works.json'])
    if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o777, 0o600)
  } finally {
    await rm(folder, { recursive: true })
  }
})
