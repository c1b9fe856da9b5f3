import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { storeCompliance } from './compliance.ts'
import { testTime } from './rows.ts'

const clock = { now: () => testTime }

storeCompliance('sqlite', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-store-'))
  const file = join(dir, 'store.db')
  let store = await openSqliteStore(file, { clock })
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await openSqliteStore(file, { clock })
      return store
    },
    dispose: async () => {
      await store.close()
      await rm(dir, { recursive: true })
    },
  }
})
