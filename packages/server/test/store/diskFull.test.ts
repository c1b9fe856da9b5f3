/** A disk with no room left. Needs a file system of its own, which only root may mount. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { backupFolder } from '../../src/store/backup.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { verifyLog } from '../../src/store/verifyLog.ts'
import { deviceRow, messageDraft, testTime } from './rows.ts'

const clock = { now: () => testTime }

/** Takes every byte that is left. */
function fill(file: string): void {
  const handle = openSync(file, 'a')
  try {
    for (let size = 64 * 1024; size >= 1; ) {
      try {
        writeSync(handle, new Uint8Array(size))
      } catch {
        size = Math.floor(size / 2)
      }
    }
  } finally {
    closeSync(handle)
  }
}

test('on a full disk writing fails with its reason, reading goes on, and with room again writing too', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-full-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', dir])
  if (mounted.status !== 0) {
    await rm(dir, { recursive: true })
    return t.skip(`no small file system can be mounted: ${String(mounted.stderr).trim()}`)
  }
  t.after(async () => {
    spawnSync('umount', ['-l', dir])
    await rm(dir, { recursive: true })
  })
  const file = join(dir, 'store.db')
  const store = await openSqliteStore(file, { clock })
  const write = (n: number): Promise<unknown> =>
    store.apply({
      writes: [{ kind: 'insert', table: 'device', row: deviceRow(n) }],
      events: [{ time: 0, type: 'made', subject: `${n}`, actor: 'test', data: '{}' }],
      messages: [messageDraft(deviceRow(n).id, '1', 'x'.repeat(8_000))],
    })
  for (let n = 0; n < 10; n++) await write(n)
  fill(join(dir, 'ballast'))

  const many = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => write(100 + n)))
  assert.ok(many.some(({ status }) => status === 'rejected'))
  let accepted = 10 + many.filter(({ status }) => status === 'fulfilled').length
  for (let n = 0; n < 50; n++) {
    const [outcome] = await Promise.allSettled([write(200 + n)])
    if (outcome?.status === 'fulfilled') {
      accepted++
      continue
    }
    assert.equal(outcome?.reason.code, 'ERR_STORE_FULL')
    assert.match(outcome?.reason.hint, /Free space/)
  }
  assert.equal((await store.get('device', deviceRow(3).id))?.serial, 'SN-3')
  assert.equal((await verifyLog(store)).entries, accepted)
  const target = join(dir, 'backup.tar')
  await assert.rejects(backupFolder({ path: dir, store, clock }, target), {
    code: 'ERR_STORE_FULL',
  })
  assert.ok(!(await readdir(dir)).some((name) => /part|backup/.test(name)))

  await rm(join(dir, 'ballast'))
  await write(1_000)
  await store.close()
  const again = await openSqliteStore(file, { clock })
  assert.equal((await verifyLog(again)).entries, accepted + 1)
  assert.equal((await again.scan('device', { limit: 500 })).length, accepted + 1)
  await again.close()
})
