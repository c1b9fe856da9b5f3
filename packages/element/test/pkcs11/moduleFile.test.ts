/** A library is loaded only from where nobody else can have put it. */
import assert from 'node:assert/strict'
import { chmod, chown, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { moduleOf } from '../../src/drivers/pkcs11/module.ts'
import { trustedModule } from '../../src/drivers/pkcs11/moduleFile.ts'

const isWindows = process.platform === 'win32'
const isRoot = process.geteuid?.() === 0
const nobody = 65_534

suite('a module', { skip: isWindows && 'files have no owner and mode here' }, () => {
  let folder = ''
  let file = ''
  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'module-')))
    file = join(folder, 'lib.so')
    await writeFile(file, 'no library', { mode: 0o644 })
  })
  afterEach(() => rm(folder, { recursive: true }))

  test('of this user is taken, by a link too, and then it is the file that counts', async () => {
    const link = join(folder, 'link.so')
    await symlink(file, link)
    assert.equal(await trustedModule(link), file)
  })

  test('that others may write is not loaded', async () => {
    for (const mode of [0o664, 0o646]) {
      await chmod(file, mode)
      await assert.rejects(moduleOf(file), {
        code: 'ERR_ELEMENT_MODULE',
        message: /others may change it/,
        where: file,
      })
    }
  })

  test('that others may replace is not loaded, unless the folder is sticky', async () => {
    await chmod(folder, 0o777)
    const link = join(await mkdtemp(join(folder, 'link-')), 'link.so')
    await symlink(file, link)
    for (const path of [file, link]) {
      await assert.rejects(moduleOf(path), { code: 'ERR_ELEMENT_MODULE', where: folder })
    }
    await chmod(folder, 0o1777)
    assert.equal(await trustedModule(file), file)
  })

  test('of another user is not loaded, nor one in his folder', {
    skip: !isRoot && 'needs root',
  }, async () => {
    const his = join(folder, 'his')
    await mkdir(his)
    const inside = join(his, 'lib.so')
    await writeFile(inside, 'no library', { mode: 0o644 })
    await chown(his, nobody, nobody)
    await chown(file, nobody, nobody)
    for (const [path, where] of [
      [inside, his],
      [file, file],
    ] as const) {
      await assert.rejects(moduleOf(path), {
        code: 'ERR_ELEMENT_MODULE',
        message: /belongs to another user/,
        where,
      })
    }
  })

  test('that is not there is said to be not there', async () => {
    const path = join(folder, 'nothing.so')
    assert.equal(await trustedModule(path), path)
    await assert.rejects(moduleOf(path), { code: 'ERR_ELEMENT_MODULE', where: path })
  })
})
