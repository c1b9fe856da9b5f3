import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Tail } from '../../src/application/tail.ts'
import type { MessageRow, Store } from '../../src/ports.ts'

class Log implements Pick<Store, 'scan'> {
  readonly rows: MessageRow[] = []
  scans = 0
  held: Promise<void> | undefined

  add(seq: number, body = 'x'): void {
    this.rows.push({ seq, id: String(seq), source: 's', type: 't', time: 0, body })
  }

  scan: Store['scan'] = async (_table, { after = 0, limit }) => {
    this.scans += 1
    const page = this.rows.filter(({ seq }) => seq > Number(after)).slice(0, limit)
    await this.held
    return page as never
  }
}

const seqs = (rows: readonly MessageRow[]): number[] => rows.map(({ seq }) => seq)

describe('the tail of the log', () => {
  it('is read from the store once for all who follow it', async () => {
    const log = new Log()
    const tail = new Tail(log)
    tail.follow(0)
    for (const seq of [1, 2, 5]) log.add(seq)
    assert.deepEqual(seqs(await tail.read(0, 10)), [1, 2, 5])
    for (let n = 0; n < 20; n++) assert.deepEqual(seqs(await tail.read(1, 1)), [2])
    assert.deepEqual(seqs(await tail.read(3, 10)), [5])
    assert.equal(log.scans, 1)
    assert.deepEqual(await tail.read(5, 10), [])
    log.add(6)
    assert.deepEqual(seqs(await tail.read(5, 10)), [6])
  })

  it('sends who is further behind to the store', async () => {
    const log = new Log()
    for (let seq = 1; seq <= 5; seq++) log.add(seq)
    const tail = new Tail(log)
    tail.follow(3)
    assert.deepEqual(seqs(await tail.read(0, 2)), [1, 2])
    assert.deepEqual(seqs(await tail.read(3, 9)), [4, 5])
  })

  it('keeps so many rows and so many characters, and never skips one', async () => {
    const log = new Log()
    const tail = new Tail(log)
    tail.follow(0)
    let position = 0
    for (let seq = 1; seq <= 3_000; seq++) {
      log.add(seq, 'x'.repeat(seq % 7 === 0 ? 65_536 : 10))
      for (const row of await tail.read(position, 64)) {
        assert.equal(row.seq, position + 1)
        position = row.seq
      }
    }
    assert.equal(position, 3_000)
    // One who begins at the beginning sees them all too.
    position = 0
    for (;;) {
      const page = await tail.read(position, 64)
      if (page.length === 0) break
      assert.deepEqual(
        seqs(page),
        page.map((_, n) => position + 1 + n),
      )
      position = page.at(-1)?.seq ?? position
    }
    assert.equal(position, 3_000)
  })

  it('sends to the store who fell behind by what was read for it', async () => {
    const log = new Log()
    const tail = new Tail(log)
    tail.follow(0)
    // Read at once, and more than is kept.
    for (let seq = 1; seq <= 100; seq++) log.add(seq, 'x'.repeat(65_536))
    assert.deepEqual(seqs(await tail.read(0, 3)), [1, 2, 3])
    assert.deepEqual(seqs(await tail.read(99, 3)), [100])
  })

  it('knows what comes after a reader that is far ahead of it', async () => {
    const log = new Log()
    const tail = new Tail(log)
    tail.follow(0)
    for (let seq = 1; seq <= 1_000; seq++) log.add(seq)
    assert.deepEqual(seqs(await tail.read(998, 10)), [999, 1_000])
    assert.deepEqual(await tail.read(1_000, 10), [])
  })

  it('shows a message that was written while another reader was reading', async () => {
    const log = new Log()
    const tail = new Tail(log)
    tail.follow(0)
    const gate = Promise.withResolvers<void>()
    log.held = gate.promise
    const early = tail.read(0, 10)
    log.add(1)
    const late = tail.read(0, 10)
    gate.resolve()
    assert.deepEqual(await early, [])
    assert.deepEqual(seqs(await late), [1])
  })
})
