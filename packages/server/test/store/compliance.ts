/**
 * What every store must do, written against the port. An adapter's test file hands in how to open
 * it: each call of `fresh` is an empty store, and `reopen` closes it and opens the same data again.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, describe, test } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import type { Change, EventDraft, Store } from '../../src/ports.ts'
import { verifyLog } from '../../src/store/verifyLog.ts'
import { certificateRow, deviceRow, messageDraft, testTime, tokenRow } from './rows.ts'

export interface OpenStore {
  readonly store: Store
  readonly reopen: () => Promise<Store>
  readonly dispose: () => Promise<void>
}

const event = (type: string, subject = 'x'): EventDraft => ({
  time: testTime,
  type,
  subject,
  actor: 'operator',
  data: '{"é":"\\u2028"}',
})

export function storeCompliance(name: string, fresh: () => Promise<OpenStore>): void {
  const opened: OpenStore[] = []
  const open = async (): Promise<OpenStore> => {
    const made = await fresh()
    opened.push(made)
    return made
  }
  afterEach(async () => {
    for (const made of opened.splice(0)) await made.dispose()
  })

  describe(`store: ${name}`, () => {
    rows(open)
    lookUps(open)
    conflicts(open)
    groups(open)
    messages(open)
    events(open)
    lifetimes(open)
  })
}

type Open = () => Promise<OpenStore>
const insertDevice = (n: number, over = {}): Change => ({
  writes: [{ kind: 'insert', table: 'device', row: deviceRow(n, over) }],
})
const conflict = (details: object) => (error: unknown) => {
  assert.ok(error instanceof CallerError, String(error))
  assert.equal(error.code, 'ERR_CONFLICT')
  assert.partialDeepStrictEqual(error.details, details)
  return true
}

function rows(open: Open): void {
  test('what is written is read back, null and bytes included, also after reopening', async () => {
    const { store, reopen } = await open()
    const certificate = certificateRow(1, { der: Uint8Array.from({ length: 300 }, (_, n) => n) })
    const device = deviceRow(1, {
      serial: "O'Neil; DROP TABLE device --\u0001ü",
      lastSeen: 253402300799000,
    })
    await store.apply({
      writes: [
        { kind: 'insert', table: 'device', row: device },
        { kind: 'insert', table: 'certificate', row: certificate },
      ],
    })
    assert.deepEqual(await store.get('device', device.id), device)
    const again = await reopen()
    assert.deepEqual(await again.get('device', device.id), device)
    assert.deepEqual(await again.get('certificate', certificate.serial), certificate)
    assert.equal(await again.get('device', 'urn:dev:mac:none'), undefined)
  })

  test('an update changes the named columns only; a delete removes the row', async () => {
    const { store } = await open()
    await store.apply(insertDevice(1))
    const { id } = deviceRow(1)
    await store.apply({
      writes: [
        { kind: 'update', table: 'device', key: id, set: { state: 'active', road: 'https' } },
      ],
    })
    assert.deepEqual(
      await store.get('device', id),
      deviceRow(1, { state: 'active', road: 'https' }),
    )
    await store.apply({ writes: [{ kind: 'delete', table: 'device', key: id }] })
    assert.equal(await store.get('device', id), undefined)
  })

  test('a value of the wrong type is refused and harms no other Change', async () => {
    const { store } = await open()
    const bad = deviceRow(1)
    Object.assign(bad, { version: 'one' })
    const [first, second] = await Promise.allSettled([
      store.apply({ writes: [{ kind: 'insert', table: 'device', row: bad }] }),
      store.apply(insertDevice(2)),
    ])
    assert.equal(first.status, 'rejected')
    assert.equal(second.status, 'fulfilled')
  })
}

function lookUps(open: Open): void {
  test('find gives rows in key order, after a key, bounded, and newest first', async () => {
    const { store } = await open()
    await store.apply({
      writes: [3, 1, 2, 4].map((n) => ({
        kind: 'insert' as const,
        table: 'device' as const,
        row: deviceRow(n, { state: n === 4 ? 'revoked' : 'active' }),
      })),
    })
    const ids = async (options?: object): Promise<string[]> =>
      (await store.find('device', 'state', 'active', options)).map(({ serial }) => serial)
    assert.deepEqual(await ids(), ['SN-1', 'SN-2', 'SN-3'])
    assert.deepEqual(await ids({ limit: 2 }), ['SN-1', 'SN-2'])
    assert.deepEqual(await ids({ after: deviceRow(1).id }), ['SN-2', 'SN-3'])
    assert.deepEqual(await ids({ newestFirst: true, after: deviceRow(3).id }), ['SN-2', 'SN-1'])
    const page = await store.scan('device', { after: deviceRow(2).id, limit: 5 })
    assert.deepEqual(
      page.map(({ serial }) => serial),
      ['SN-3', 'SN-4'],
    )
  })

  test('rows of a value are counted, up to a bound', async () => {
    const { store } = await open()
    await store.apply({
      writes: [1, 2, 3, 4, 5].map((n) => ({
        kind: 'insert' as const,
        table: 'device' as const,
        row: deviceRow(n, { state: n === 4 ? 'revoked' : 'active' }),
      })),
    })
    const count = (state: string, atMost: number) => store.count('device', 'state', state, atMost)
    assert.equal(await count('active', 100), 4)
    assert.equal(await count('active', 3), 3)
    assert.equal(await count('revoked', 100), 1)
    assert.equal(await count('retired', 100), 0)
  })

  test('a certificate is found by fingerprint, x5t, device and status', async () => {
    const { store } = await open()
    const one = certificateRow(0xabc, { status: 'revoked', revokedAt: testTime })
    const two = certificateRow(2, { status: 'confirmed' })
    const three = certificateRow(3, { status: 'reserved', fingerprint: null, x5t: null, der: null })
    await store.apply({
      writes: [one, two, three].map((row) => ({ kind: 'insert', table: 'certificate', row })),
    })
    assert.deepEqual(await store.find('certificate', 'fingerprint', one.fingerprint ?? ''), [one])
    assert.deepEqual(await store.find('certificate', 'x5t', one.x5t ?? ''), [two, one])
    assert.deepEqual(await store.find('certificate', 'device', one.device ?? ''), [one])
    for (const row of [one, two, three])
      assert.deepEqual(await store.find('certificate', 'status', row.status), [row])
    assert.deepEqual(await store.find('certificate', 'x5t', ''), [])
  })

  test('blobs that may be null are left out for whoever has no use for them', async () => {
    const { store } = await open()
    const row = certificateRow(1)
    await store.apply({ writes: [{ kind: 'insert', table: 'certificate', row }] })
    const slim = { ...row, der: null }
    const found = async (column: 'fingerprint' | 'device', value: string): Promise<unknown> =>
      await store.find('certificate', column, value, { withoutBlobs: true })
    assert.deepEqual(await found('fingerprint', row.fingerprint ?? ''), [slim])
    assert.deepEqual(await found('device', row.device ?? ''), [slim])
    assert.deepEqual(await found('fingerprint', 'f'.repeat(64)), [])
  })
}

function conflicts(open: Open): void {
  test('a condition that does not hold leaves nothing of the Change', async () => {
    const { store } = await open()
    await store.apply(insertDevice(1))
    const { id } = deviceRow(1)
    const attempt = store.apply({
      conditions: [
        { kind: 'equals', table: 'device', key: id, where: { version: 1, road: 'https' } },
      ],
      writes: [{ kind: 'insert', table: 'device', row: deviceRow(2) }],
      events: [event('never')],
      messages: [messageDraft('s', '1')],
    })
    await assert.rejects(attempt, conflict({ table: 'device', column: 'road' }))
    assert.equal(await store.get('device', deviceRow(2).id), undefined)
    assert.equal((await store.eventHead()).seq, 0)
    assert.deepEqual(await store.scan('message', { limit: 9 }), [])
  })

  test('conditions compare null, and a missing row matches none', async () => {
    const { store } = await open()
    await store.apply(insertDevice(1))
    const { id } = deviceRow(1)
    await store.apply({
      conditions: [
        { kind: 'equals', table: 'device', key: id, where: { road: null, version: 1 } },
        { kind: 'absent', table: 'device', key: deviceRow(2).id },
      ],
    })
    const missing = store.apply({
      conditions: [{ kind: 'equals', table: 'device', key: 'nobody', where: {} }],
    })
    await assert.rejects(missing, conflict({ table: 'device' }))
    const present = store.apply({ conditions: [{ kind: 'absent', table: 'device', key: id }] })
    await assert.rejects(present, conflict({ table: 'device', column: 'id' }))
  })

  test('unique values are unique: device id, serial in its product, key, element, fingerprint', async () => {
    const { store } = await open()
    await store.apply(insertDevice(1))
    await store.apply({
      writes: [
        { kind: 'insert', table: 'certificate', row: certificateRow(1) },
        {
          kind: 'insert',
          table: 'element',
          row: { claim: 'e1', kind: 'atecc608', device: 'd', createdAt: 0, voucher: null },
        },
      ],
    })
    await assert.rejects(
      store.apply(insertDevice(1, { serial: 'other' })),
      conflict({ table: 'device', column: 'id' }),
    )
    await assert.rejects(
      store.apply(insertDevice(2, { serial: 'SN-1' })),
      conflict({ table: 'device', column: 'serial' }),
    )
    await store.apply(insertDevice(3, { serial: 'SN-1', product: 'other' }))
    const { fingerprint } = certificateRow(1)
    await assert.rejects(
      store.apply({
        writes: [{ kind: 'insert', table: 'certificate', row: certificateRow(2, { fingerprint }) }],
      }),
      conflict({ table: 'certificate', column: 'fingerprint' }),
    )
    await assert.rejects(
      store.apply({
        writes: [
          {
            kind: 'insert',
            table: 'element',
            row: { claim: 'e1', kind: 'tpm', device: 'other', createdAt: 0, voucher: null },
          },
        ],
      }),
      conflict({ table: 'element', column: 'claim' }),
    )
  })

  test('an update, addition or deletion of a missing row is a conflict', async () => {
    const { store } = await open()
    for (const write of [
      { kind: 'update', table: 'device', key: 'no', set: { state: 'active' } },
      { kind: 'delete', table: 'device', key: 'no' },
      { kind: 'add', table: 'token', key: 'no', column: 'used', by: 1 },
    ] as const)
      await assert.rejects(store.apply({ writes: [write] }), conflict({ table: write.table }))
  })

  test('a bounded counter gives exactly as many as it has, to fifty at once', async () => {
    const { store } = await open()
    const token = tokenRow({ count: 20 })
    await store.apply({ writes: [{ kind: 'insert', table: 'token', row: token }] })
    const take = (n: number): Promise<unknown> =>
      store.apply({
        writes: [
          { kind: 'add', table: 'token', key: token.id, column: 'used', by: 1, atMost: 'count' },
          { kind: 'insert', table: 'device', row: deviceRow(n) },
        ],
      })
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, n) => take(n)))
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 20)
    assert.equal((await store.get('token', token.id))?.used, 20)
    assert.equal((await store.scan('device', { limit: 100 })).length, 20)
  })
}

function groups(open: Open): void {
  test('of many Changes at once each stands alone: a conflict does not touch its neighbours', async () => {
    const { store, reopen } = await open()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1_500 }, (_, n) =>
        store.apply({
          ...insertDevice(n - (n % 3 === 2 ? 1 : 0)),
          events: [event('made', `${n}`)],
        }),
      ),
    )
    for (const [n, { status }] of outcomes.entries())
      assert.equal(status, n % 3 === 2 ? 'rejected' : 'fulfilled')
    const again = await reopen()
    assert.equal((await again.eventHead()).seq, 1_000)
    assert.equal((await verifyLog(again)).entries, 1_000)
  })

  test('Changes take effect in the order in which they were handed in', async () => {
    const { store } = await open()
    const { id } = deviceRow(1)
    const steps = Array.from({ length: 30 }, (_, n) =>
      store.apply({
        conditions: [{ kind: 'equals', table: 'device', key: id, where: { version: n + 1 } }],
        writes: [{ kind: 'update', table: 'device', key: id, set: { version: n + 2 } }],
      }),
    )
    await assert.rejects(Promise.all(steps))
    await store.apply(insertDevice(1))
    await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        store.apply({
          conditions: [{ kind: 'equals', table: 'device', key: id, where: { version: n + 1 } }],
          writes: [{ kind: 'update', table: 'device', key: id, set: { version: n + 2 } }],
        }),
      ),
    )
    assert.equal((await store.get('device', id))?.version, 31)
  })
}

function messages(open: Open): void {
  test('a message is numbered once; the same id of the same source is counted as a duplicate', async () => {
    const { store } = await open()
    const first = await store.apply({ messages: [messageDraft('a', '1'), messageDraft('b', '1')] })
    assert.equal(first.messageSeqs.length, 2)
    const second = await store.apply({ messages: [messageDraft('a', '1'), messageDraft('a', '2')] })
    assert.deepEqual([second.duplicates, second.messageSeqs.length], [1, 1])
    const kept = await store.scan('message', { limit: 10 })
    assert.deepEqual(
      kept.map(({ source, id }) => source + id),
      ['a1', 'b1', 'a2'],
    )
    assert.ok(kept.every(({ seq }, n) => n === 0 || seq > (kept[n - 1]?.seq ?? 0)))
    assert.deepEqual(
      (await store.find('message', 'source', 'a')).map(({ id }) => id),
      ['1', '2'],
    )
  })

  test('a trimmed message is gone, its id still stops a duplicate and its number is never used again', async () => {
    const { store, reopen } = await open()
    const { messageSeqs } = await store.apply({
      messages: ['1', '2', '3'].map((id) => messageDraft('a', id)),
    })
    const [one = 0, two = 0, three = 0] = messageSeqs
    await store.trimMessages(two)
    assert.equal(await store.get('message', one), undefined)
    assert.deepEqual(
      (await store.scan('message', { after: 0, limit: 1 })).map(({ seq }) => seq),
      [three],
    )
    assert.deepEqual(
      (await store.find('message', 'source', 'a', { limit: 1 })).map(({ seq }) => seq),
      [three],
    )
    await store.trimMessages(Number.MAX_SAFE_INTEGER)
    const again = await reopen()
    assert.deepEqual(await again.scan('message', { limit: 9 }), [])
    const applied = await again.apply({
      messages: [messageDraft('a', '3'), messageDraft('a', '4')],
    })
    assert.equal(applied.duplicates, 1)
    assert.ok((applied.messageSeqs[0] ?? 0) > three)
  })
}

function events(open: Open): void {
  test('each event carries the hash of the one before, as the log documents it', async () => {
    const { store } = await open()
    await store.apply({ events: [event('one'), event('two')] })
    await store.apply({ events: [event('three', 'y')] })
    const log = await store.scan('event', { limit: 10 })
    let previous = '0'.repeat(64)
    for (const [at, row] of log.entries()) {
      // Written out by hand: members sorted by name, UTF-8, no white space (RFC 8785).
      const entry =
        `{"actor":"operator","data":"{\\"é\\":\\"\\\\u2028\\"}","seq":${at + 1},` +
        `"subject":"${row.subject}","time":${testTime},"type":"${row.type}"}`
      const hash = createHash('sha256')
        .update(Buffer.from(previous, 'hex'))
        .update(entry)
        .digest('hex')
      assert.equal(row.hash, hash)
      assert.equal(row.previous, previous)
      previous = hash
    }
    assert.deepEqual(await store.eventHead(), { seq: 3, hash: previous })
    assert.deepEqual(
      (await store.find('event', 'subject', 'y')).map(({ type }) => type),
      ['three'],
    )
  })

  test('an event of a Change that failed is no gap in the chain', async () => {
    const { store } = await open()
    await store.apply(insertDevice(1))
    const outcomes = await Promise.allSettled([
      store.apply({ events: [event('a')] }),
      store.apply({ ...insertDevice(1), events: [event('never')] }),
      store.apply({ events: [event('b')] }),
    ])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual(
      (await store.scan('event', { limit: 9 })).map(({ type }) => type),
      ['a', 'b'],
    )
    assert.equal((await verifyLog(store)).entries, 2)
  })
}

function lifetimes(open: Open): void {
  test('close waits for what was handed in; afterwards every call says that it is closed', async () => {
    const { store, reopen } = await open()
    const pending = store.apply(insertDevice(1))
    await store.close()
    await pending
    await store.close()
    await assert.rejects(store.apply(insertDevice(2)), { code: 'ERR_STORE_CLOSED' })
    await assert.rejects(store.get('device', 'x'), { code: 'ERR_STORE_CLOSED' })
    await assert.rejects(store.scan('device', { limit: 1 }), { code: 'ERR_STORE_CLOSED' })
    assert.notEqual(await (await reopen()).get('device', deviceRow(1).id), undefined)
  })
}
