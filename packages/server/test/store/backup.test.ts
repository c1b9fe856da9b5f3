import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { isCountersignError } from '@countersign/core/errors'
import type { Store } from '../../src/ports.ts'
import { backupFolder } from '../../src/store/backup.ts'
import { type DataFolder, makeFolder, openFolder } from '../../src/store/folder.ts'
import { restoreFolder } from '../../src/store/restore.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { verifyLog } from '../../src/store/verifyLog.ts'
import { coapContextRow } from '../support/contextRows.ts'
import { deviceRow, testTime } from './rows.ts'

const clock = { now: () => testTime }

describe('backup and restore', () => {
  let root: string
  let folder: DataFolder
  let store: Store
  let house: { path: string; store: Store; clock: typeof clock }
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'countersign-backup-'))
    folder = await makeFolder(join(root, 'data'), { clock })
    store = await openSqliteStore(folder.file('store.db'), { clock })
    house = { path: folder.path, store, clock }
    await mkdir(folder.file('keys'), { mode: 0o700 })
    await writeFile(folder.file('keys/owner.key'), Buffer.alloc(1_537, 7), { mode: 0o600 })
    await writeFile(folder.file('config.json'), '{}')
    for (let n = 0; n < 50; n++) await add(n)
  })
  afterEach(async () => {
    await store.close()
    folder.release()
    await rm(root, { recursive: true })
  })
  const add = (n: number): Promise<unknown> =>
    store.apply({
      writes: [{ kind: 'insert', table: 'device', row: deviceRow(n) }],
      events: [{ time: testTime, type: 'made', subject: `${n}`, actor: 'test', data: '{}' }],
    })
  const at = (name: string): string => join(root, name)

  test('a backup taken while writes go on is a prefix of the history, and restores elsewhere', async () => {
    const stop = new AbortController()
    let n = 50
    const writer = (async () => {
      while (!stop.signal.aborted) await add(n++)
    })()
    const made = backupFolder(house, at('b.tar')).finally(() => stop.abort())
    const [{ members, bytes }] = await Promise.all([made, writer])
    assert.deepEqual(members, ['store.db', 'config.json', 'countersign.json', 'keys/owner.key'])
    assert.equal((await stat(at('b.tar'))).size, bytes)
    assert.equal((await stat(at('b.tar'))).mode & 0o777, 0o600)
    const { path, madeAt } = await restoreFolder(at('b.tar'), at('elsewhere'))
    assert.equal(madeAt, testTime)
    assert.equal((await stat(path)).mode & 0o777, 0o700)
    assert.deepEqual(await readFile(join(path, 'keys/owner.key')), Buffer.alloc(1_537, 7))
    const again = await openFolder(path, { clock })
    const copy = await openSqliteStore(again.file('store.db'), { clock })
    const { entries } = await verifyLog(copy)
    assert.ok(entries >= 50 && entries <= n)
    const devices = await copy.scan('device', { limit: 1_000_000 })
    assert.deepEqual(
      devices.map(({ serial }) => serial),
      Array.from({ length: entries }, (_, k) => `SN-${k}`),
    )
    await copy.close()
    again.release()
  })

  test('security contexts are not in it, not even as bytes of freed pages', async () => {
    const mark = Buffer.from('the secrets of a context that lives on')
    const insert = (n: number): Promise<unknown> => {
      const row = coapContextRow(n.toString(16), { context: Buffer.concat([mark, mark]) })
      return store.apply({ writes: [{ kind: 'insert', table: 'coapContext', row }] })
    }
    for (let n = 0; n < 200; n++) await insert(n)
    await backupFolder(house, at('b.tar'))
    assert.ok(!(await readFile(at('b.tar'))).includes(mark))
    assert.equal((await store.scan('coapContext', { limit: 999 })).length, 200)
    const { path } = await restoreFolder(at('b.tar'), at('elsewhere'))
    const copy = await openSqliteStore(join(path, 'store.db'), { clock })
    assert.deepEqual(await copy.scan('coapContext', { limit: 9 }), [])
    assert.equal((await copy.scan('device', { limit: 99 })).length, 50)
    await copy.close()
  })

  test('tar lists and extracts it', async (t) => {
    if (spawnSync('tar', ['--version']).status !== 0) {
      assert.notEqual(process.env['PEERS'], 'required', 'tar is required and missing')
      return t.skip('there is no tar on this machine')
    }
    await backupFolder(house, at('b.tar'))
    await mkdir(at('by-tar'))
    const { status, stderr } = spawnSync('tar', ['xf', at('b.tar'), '-C', at('by-tar')])
    assert.equal(status, 0, String(stderr))
    assert.deepEqual(await readFile(join(at('by-tar'), 'keys/owner.key')), Buffer.alloc(1_537, 7))
    assert.ok(existsSync(join(at('by-tar'), 'MANIFEST.json')))
  })

  test('locks, sockets and side files of the database are not in it', async (t) => {
    const socket = createServer().listen(folder.file('control.sock'))
    t.after(() => socket.close())
    await writeFile(folder.file('store.db.v1'), 'old')
    const { members } = await backupFolder(house, at('b.tar'))
    assert.deepEqual(members, ['store.db', 'config.json', 'countersign.json', 'keys/owner.key'])
    assert.ok(!(await readdir(folder.path)).includes('store.db.backup'))
  })

  test('neither a backup nor a restore writes over anything', async () => {
    await writeFile(at('b.tar'), 'mine')
    await assert.rejects(backupFolder(house, at('b.tar')), { code: 'ERR_BACKUP_EXISTS' })
    assert.equal(await readFile(at('b.tar'), 'utf8'), 'mine')
    await backupFolder(house, at('c.tar'))
    await assert.rejects(restoreFolder(at('c.tar'), folder.path), { code: 'ERR_FOLDER_EXISTS' })
    await mkdir(at('empty'))
    await restoreFolder(at('c.tar'), at('empty'))
    await assert.rejects(restoreFolder(at('none.tar'), at('x')), { code: 'ERR_BACKUP_MISSING' })
    assert.deepEqual((await readdir(root)).toSorted(), ['b.tar', 'c.tar', 'data', 'empty'])
  })

  test('a backup with a byte changed, cut off, or with another member is refused and leaves nothing', async () => {
    await backupFolder(house, at('b.tar'))
    const whole = await readFile(at('b.tar'))
    const bad: [string, Buffer][] = []
    for (let cut = 0; cut < whole.length - 2048; cut += 15_013)
      bad.push([`cut ${cut}`, whole.subarray(0, cut)])
    for (let flip = 0; flip < whole.length - 2048; flip += 9_973) {
      const bytes = Buffer.from(whole)
      bytes[flip] = (bytes[flip] ?? 0) ^ 0x10
      bad.push([`flip ${flip}`, bytes])
    }
    // Padding is not content: a flip there changes no file, and may pass.
    let refused = 0
    for (const [what, bytes] of bad) {
      await writeFile(at('bad.tar'), bytes)
      const outcome = await restoreFolder(at('bad.tar'), at('x')).then(
        () => 'restored',
        (error: unknown) => (isCountersignError(error) ? error.code : 'no error of ours'),
      )
      if (outcome === 'restored') {
        assert.match(what, /^flip/)
        await rm(at('x'), { recursive: true })
      } else {
        assert.equal(outcome, 'ERR_BACKUP_DAMAGED', what)
        refused++
      }
      assert.ok(!existsSync(at('x')), what)
    }
    assert.ok(refused > bad.length * 0.8, `${refused} of ${bad.length}`)
  })

  test('names that lead out of the folder, links and doubles are refused', async (t) => {
    if (spawnSync('tar', ['--version']).status !== 0) {
      assert.notEqual(process.env['PEERS'], 'required', 'tar is required and missing')
      return t.skip('there is no tar on this machine')
    }
    await mkdir(at('evil'))
    await writeFile(at('evil/file'), 'x')
    const cases: [string, string[]][] = [
      ['out', ['--transform=s,^file$,../../out,', '-P']],
      ['absolute', ['--transform=s,^file$,/tmp/out,', '-P']],
      ['dots', ['--transform=s,^file$,a/../b,', '-P']],
      ['hidden', ['--transform=s,^file$,.profile,']],
      ['backslash', ['--transform=s,^file$,a\\\\b,']],
    ]
    for (const [name, options] of cases) {
      const file = at(`${name}.tar`)
      const made = spawnSync('tar', [
        'cf',
        file,
        '--format=ustar',
        '-C',
        at('evil'),
        ...options,
        'file',
      ])
      assert.equal(made.status, 0, String(made.stderr))
      await assert.rejects(restoreFolder(file, at('x')), { code: 'ERR_BACKUP_DAMAGED' }, name)
    }
    assert.equal(spawnSync('ln', ['-s', '/etc/passwd', at('evil/link')]).status, 0)
    spawnSync('tar', ['cf', at('link.tar'), '--format=ustar', '-C', at('evil'), 'link'])
    await assert.rejects(restoreFolder(at('link.tar'), at('x')), { code: 'ERR_BACKUP_DAMAGED' })
    spawnSync('tar', ['cf', at('twice.tar'), '--format=ustar', '-C', at('evil'), 'file', 'file'])
    await assert.rejects(restoreFolder(at('twice.tar'), at('x')), { code: 'ERR_BACKUP_DAMAGED' })
    assert.ok(!existsSync(at('x')) && !existsSync(at('out')))
  })

  test('backups that are taken at the same time do not spoil each other', async () => {
    const names = ['one.tar', 'two.tar', 'three.tar', 'four.tar']
    await Promise.all(names.map((name) => backupFolder(house, at(name))))
    for (const name of names) {
      const { path } = await restoreFolder(at(name), at(`${name}.folder`))
      const copy = await openSqliteStore(join(path, 'store.db'), { clock })
      assert.equal((await verifyLog(copy)).entries, 50, name)
      await copy.close()
    }
    assert.deepEqual(
      (await readdir(folder.path)).filter((name) => name.includes('backup')),
      [],
    )
  })

  test('a folder that cannot be written leaves no half backup', async () => {
    // Modes do not stop root; the kernel's own file system stops everybody.
    const shut = process.getuid?.() === 0 ? '/proc' : at('shut')
    if (shut !== '/proc') await mkdir(shut, { mode: 0o500 })
    await assert.rejects(backupFolder(house, join(shut, 'b.tar')))
    for (const place of [shut, folder.path]) {
      const left = (await readdir(place)).filter((name) => /b\.tar|backup/.test(name))
      assert.deepEqual(left, [])
    }
  })
})
