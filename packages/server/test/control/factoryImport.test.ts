/** The file of `factory import` is read by the server: what has no end must not hold it. */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { factoryOperations } from '../../src/control/operations/factory.ts'

const operation = factoryOperations['factory.import']

test('a device, a pipe or a folder is no manifest, and is not read', async () => {
  const read: string[] = []
  const house: unknown = { manifests: { add: async (text: string) => void read.push(text) } }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of a house only this is used
  const only = house as Parameters<typeof operation.run>[0]
  // /dev/zero and a pipe would tell it by not coming back.
  for (const file of [tmpdir(), ...(process.platform === 'win32' ? [] : ['/dev/null'])]) {
    await assert.rejects(async () => await operation.run(only, { file }), {
      code: 'ERR_MANIFEST_FILE',
      where: file,
    })
  }
  assert.deepEqual(read, [])
})
