import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeFolder, openFolder, ownerOf, readMark } from '../../src/store/folder.ts'
import { testTime } from './rows.ts'

const clock = { now: () => testTime }
const ownerScript = fileURLToPath(new URL('./folderOwner.ts', import.meta.url))

describe('the data folder', () => {
  let root: string
  let dir: string
  const children: ChildProcess[] = []
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'countersign-folder-'))
    dir = join(root, 'data')
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await rm(root, { recursive: true })
  })

  /** A process of its own that owns the folder until it is killed. */
  const owner = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, [ownerScript, dir], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    children.push(child)
    await once(child.stdout, 'data')
    return child
  }

  test('is private, marked, and not made twice', async () => {
    await mkdir(dir, { mode: 0o755 })
    const folder = await makeFolder(dir, { clock })
    assert.equal((await stat(dir)).mode & 0o777, 0o700)
    assert.equal((await stat(join(dir, 'countersign.json'))).mode & 0o777, 0o600)
    assert.deepEqual(readMark(dir), { layout: 1, demo: false, madeAt: testTime })
    folder.release()
    await assert.rejects(makeFolder(dir, { clock }), { code: 'ERR_FOLDER_EXISTS' })
    const again = await openFolder(dir, { clock })
    assert.deepEqual([again.demo, again.madeAt], [false, testTime])
    again.release()
  })

  test('keeps that the demo made it', async () => {
    const folder = await makeFolder(dir, { clock, demo: true })
    folder.release()
    const again = await openFolder(dir, { clock })
    assert.equal(again.demo, true)
    again.release()
  })

  test('a folder that holds something else is not touched', async () => {
    await mkdir(dir)
    await writeFile(join(dir, 'letter'), 'mine')
    await chmod(dir, 0o755)
    await assert.rejects(makeFolder(dir, { clock }), { code: 'ERR_FOLDER_EXISTS' })
    await assert.rejects(openFolder(dir, { clock }), { code: 'ERR_FOLDER_MISSING' })
    assert.equal((await stat(dir)).mode & 0o777, 0o755)
  })

  test('has one owner: a second is refused and told who it is', async () => {
    const folder = await makeFolder(dir, { clock })
    await assert.rejects(openFolder(dir, { clock }), {
      code: 'ERR_FOLDER_LOCKED',
      message: `process ${process.pid} has this data folder open`,
    })
    folder.release()
    const child = await owner()
    await assert.rejects(openFolder(dir, { clock }), {
      code: 'ERR_FOLDER_LOCKED',
      message: `process ${child.pid} has this data folder open`,
    })
    assert.deepEqual(ownerOf(dir)?.facts, { control: '/run/socket' })
  })

  test('an owner that was killed leaves no lock behind', async () => {
    ;(await makeFolder(dir, { clock })).release()
    const child = await owner()
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(ownerOf(dir), undefined)
    // Its last words are still there, also with the number of a process that lives: they decide
    // nothing.
    const words = JSON.parse(await readFile(join(dir, 'owner.json'), 'utf8'))
    await writeFile(join(dir, 'owner.json'), JSON.stringify({ ...words, pid: process.pid }))
    const folder = await openFolder(dir, { clock })
    assert.equal(ownerOf(dir)?.pid, process.pid)
    folder.release()
    assert.equal(ownerOf(dir), undefined)
  })

  test('an owner whose words were cut off is an owner all the same', async () => {
    const folder = await makeFolder(dir, { clock })
    await writeFile(join(dir, 'owner.json'), '{"pi')
    await assert.rejects(openFolder(dir, { clock }), {
      code: 'ERR_FOLDER_LOCKED',
      message: 'another process has this data folder open',
    })
    folder.release()
  })

  test('releasing twice gives nothing of the next owner away', async () => {
    const first = await makeFolder(dir, { clock })
    first.release()
    const second = await openFolder(dir, { clock })
    first.release()
    assert.equal(ownerOf(dir)?.pid, process.pid)
    await assert.rejects(openFolder(dir, { clock }), { code: 'ERR_FOLDER_LOCKED' })
    second.release()
  })

  test('a layout of a newer version is refused', async () => {
    ;(await makeFolder(dir, { clock })).release()
    await writeFile(join(dir, 'countersign.json'), '{"layout":2,"demo":false,"madeAt":0}')
    await assert.rejects(openFolder(dir, { clock }), { code: 'ERR_FOLDER_NEWER' })
    await writeFile(join(dir, 'countersign.json'), 'what?')
    await assert.rejects(openFolder(dir, { clock }), { code: 'ERR_FOLDER_FOREIGN' })
  })
})
