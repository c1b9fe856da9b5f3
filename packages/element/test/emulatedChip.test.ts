import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { provideEmulated } from '../src/emulatedChip.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-made-'))
after(() => rm(folder, { recursive: true }))

test('what a maker left that died is removed by the next one, and what another makes now is not', async () => {
  const left = ['part.json.0123456789abcdef.making', 'part.json.0123456789abcdef.making.lock']
  const others = ['part.json.fedcba9876543210.making', 'other.json.0123456789abcdef.making']
  for (const name of [...left, ...others]) await writeFile(join(folder, name), 'keys')
  const before = new Date(Date.now() - 3_600_000)
  for (const name of [...left, 'other.json.0123456789abcdef.making']) {
    await utimes(join(folder, name), before, before)
  }
  const file = join(folder, 'part.json')
  const place = { kind: 'emulator', file, framing: 'i2c', times: 'none' } as const
  await provideEmulated(place, 'set up')
  assert.deepEqual(
    (await readdir(folder)).toSorted(),
    [...others, 'emulator-works.json', 'part.json'].toSorted(),
  )
})
