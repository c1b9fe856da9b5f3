/**
 * Writes to a store as a busy house does and says on stdout what has been acknowledged, until it is
 * killed. Change n: a device, a certificate, an event, a message and a counter, all of them or
 * none.
 */
import { writeSync } from 'node:fs'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { certificateRow, deviceRow, messageDraft, testTime } from './rows.ts'

const [file = '', inFlight = '1', startAt = '0'] = process.argv.slice(2)
const store = await openSqliteStore(file, { clock: { now: () => testTime } })
if (startAt === '0')
  await store.apply({
    writes: [{ kind: 'insert', table: 'setting', row: { name: 'count', value: '0' } }],
  })

let next = Number(startAt)
const lane = async (): Promise<never> => {
  for (;;) {
    const n = next++
    const { id } = deviceRow(n)
    await store.apply({
      conditions: [{ kind: 'equals', table: 'setting', key: 'count', where: { value: String(n) } }],
      writes: [
        { kind: 'insert', table: 'device', row: deviceRow(n, { state: 'enrolled' }) },
        {
          kind: 'insert',
          table: 'certificate',
          row: certificateRow(n, { der: new Uint8Array(450) }),
        },
        { kind: 'update', table: 'device', key: id, set: { state: 'active' } },
        { kind: 'update', table: 'setting', key: 'count', set: { value: String(n + 1) } },
      ],
      events: [{ time: testTime, type: 'made', subject: id, actor: 'writer', data: `{"n":${n}}` }],
      messages: [messageDraft(id, 'hello')],
    })
    // Written at once, not buffered: what the parent reads was acknowledged before the kill.
    writeSync(1, `${n}\n`)
  }
}
await Promise.all(Array.from({ length: Number(inFlight) }, lane))
