import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findPlaces } from '../src/places.ts'
import { parseElementUrl } from '../src/url.ts'

const root = await mkdtemp(join(tmpdir(), 'countersign-places-'))
after(() => rm(root, { recursive: true }))

test('buses, lines and modules are found by their names, one module once', async () => {
  await mkdir(join(root, 'dev'))
  for (const name of ['i2c-1', 'i2c-10', 'ttyUSB0', 'tty1', 'i2c', 'null']) {
    await writeFile(join(root, 'dev', name), '')
  }
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu')
  await mkdir(join(libraries, 'softhsm'), { recursive: true })
  await mkdir(join(root, 'usr/lib/softhsm'))
  await writeFile(join(root, 'usr/lib/softhsm/libsofthsm2.so'), '')
  await symlink(
    join(root, 'usr/lib/softhsm/libsofthsm2.so'),
    join(libraries, 'softhsm/libsofthsm2.so'),
  )
  await writeFile(join(libraries, 'opensc-pkcs11.so'), '')
  const places = await findPlaces(root)
  assert.deepEqual(
    places.map(({ url }) => url),
    [
      'atecc608:/dev/i2c-1?address=0x60',
      'atecc608:/dev/i2c-10?address=0x60',
      'atecc608:swi:/dev/ttyUSB0',
      'pkcs11:token=NAME;object=KEY?module-path=/usr/lib/softhsm/libsofthsm2.so',
      'pkcs11:token=NAME;object=KEY?module-path=/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so',
    ],
  )
  for (const { url } of places) parseElementUrl(url)
})

test('a machine that has none of it has no places', async () => {
  assert.deepEqual(await findPlaces(join(root, 'nothing')), [])
})
