/** What a device writes down, and what it reads back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cbor, concat } from '@countersign/core/codec'
import { AdapterError } from '@countersign/core/errors'
import { encodeContext } from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import {
  decodeRecord,
  emptyRecord,
  encodeRecord,
  type NarrowRecord,
} from '../../src/portable/narrow/record.ts'
import { recordBytesMax } from '../../src/portable/narrow/limits.ts'
import { makeScene, MemoryStorage, reading } from './scene.ts'

const damaged = { code: 'ERR_NARROW_RECORD' }

async function written(): Promise<Uint8Array> {
  const { time, device } = makeScene()
  const { session, storage } = await device()
  await time.until(session.request(reading(1)))
  return storage.bytes ?? assert.fail('nothing was written')
}

test('an empty record is six fields', () => {
  const bytes = encodeRecord(nodeCrypto, emptyRecord)
  assert.equal(Buffer.from(bytes).toString('hex'), '8602008400000000f680f6')
  assert.deepEqual(decodeRecord(nodeCrypto, bytes), emptyRecord)
})

test('every part of a record comes back', () => {
  const record: NarrowRecord = {
    time: 1_767_225_600_000,
    day: { began: 1_767_225_600_000, handshakes: 47, last: 1_767_225_700_000, failures: 3 },
    issuer: Uint8Array.of(0x30, 0),
    servers: [
      { kind: 'signature', kid: undefined, leaf: Uint8Array.of(1) },
      { kind: 'static key', kid: Uint8Array.of(5), leaf: Uint8Array.of(2) },
    ],
    current: undefined,
  }
  assert.deepEqual(decodeRecord(nodeCrypto, encodeRecord(nodeCrypto, record)), record)
})

test('what was read stays when the bytes are wiped, a Buffer of Node too', async () => {
  const bytes = Buffer.from(await written())
  const read = decodeRecord(nodeCrypto, bytes)
  const before = encodeRecord(nodeCrypto, read)
  bytes.fill(0)
  assert.deepEqual(encodeRecord(nodeCrypto, read), before)
})

test('a record cannot be cut, and nothing can follow it', async () => {
  const bytes = await written()
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeRecord(nodeCrypto, bytes.subarray(0, length)), damaged)
  }
  assert.throws(() => decodeRecord(nodeCrypto, concat(bytes, Uint8Array.of(0))), damaged)
  assert.throws(() => decodeRecord(nodeCrypto, new Uint8Array(recordBytesMax + 1)), damaged)
})

test('a bit that is turned over is found, or changes a certificate or a count and no key', async () => {
  const bytes = await written()
  const { current } = decodeRecord(nodeCrypto, bytes)
  assert.ok(current)
  const keys = Buffer.from(nodeCrypto.exportSecret(current.context.masterSecret)).toString('hex')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const turned = bytes.slice()
    turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    try {
      const read = decodeRecord(nodeCrypto, turned)
      if (read.current === undefined) continue
      const { context } = read.current
      assert.deepEqual(context.state, current.context.state)
      const secret = nodeCrypto.exportSecret(context.masterSecret)
      assert.equal(Buffer.from(secret).toString('hex'), keys)
    } catch (error) {
      if (!(error instanceof AdapterError)) throw error
      assert.equal(error.code, damaged.code)
    }
  }
})

const strange: readonly (readonly [string, Uint8Array])[] = [
  ['a version of later', Uint8Array.of(0x86, 3, 0, 0x84, 0, 0, 0, 0, 0xf6, 0x80, 0xf6)],
  ['five fields', Uint8Array.of(0x85, 2, 0, 0x84, 0, 0, 0, 0, 0xf6, 0x80)],
  ['a negative time', Uint8Array.of(0x86, 2, 0x20, 0x84, 0, 0, 0, 0, 0xf6, 0x80, 0xf6)],
  ['a certificate of no bytes', Uint8Array.of(0x86, 2, 0, 0x84, 0, 0, 0, 0, 0x40, 0x80, 0xf6)],
  ['true for nothing', Uint8Array.of(0x86, 2, 0, 0x84, 0, 0, 0, 0, 0xf5, 0x80, 0xf6)],
  [
    'nine servers',
    cbor.array(
      cbor.int(2),
      cbor.int(0),
      cbor.array(...[0, 0, 0, 0].map(cbor.int)),
      cbor.nullValue,
      cbor.array(
        ...Array.from({ length: 9 }, () =>
          cbor.array(cbor.boolean(true), cbor.nullValue, cbor.byteString(Uint8Array.of(1))),
        ),
      ),
      cbor.nullValue,
    ),
  ],
]

for (const [what, bytes] of strange) {
  test(`${what} is no record`, () => {
    assert.throws(() => decodeRecord(nodeCrypto, bytes), damaged)
  })
}

/** As it was written before a context said when it ends: without `until` and `isUnwanted`. */
function ofVersion1(bytes: Uint8Array): Uint8Array {
  const { issuer, servers, current } = decodeRecord(nodeCrypto, bytes)
  assert.ok(issuer !== undefined && current !== undefined)
  const [server] = servers
  assert.ok(server !== undefined)
  return cbor.array(
    cbor.int(1),
    cbor.int(0),
    cbor.array(...[0, 0, 0, 0].map(cbor.int)),
    cbor.byteString(issuer),
    cbor.array(cbor.array(cbor.boolean(true), cbor.nullValue, cbor.byteString(server.leaf))),
    cbor.array(
      cbor.byteString(current.deviceX5t),
      cbor.int(current.since),
      cbor.byteString(encodeContext(nodeCrypto, current.context)),
    ),
  )
}

test('a record of version 1 is read without its context: new keys, and the server is known', async () => {
  const { time, server, witness, device } = makeScene()
  const before = await device()
  await time.until(before.session.request(reading(1)))
  before.cut()
  const storage = new MemoryStorage()
  storage.bytes = ofVersion1(before.storage.bytes ?? new Uint8Array())
  const { session } = await device({}, storage)
  await time.until(session.request(reading(2)))
  assert.equal(server.counts.message3, 2)
  // By name.
  assert.equal(server.asked.at(-1), undefined)
  assert.equal(storage.bytes[1], 2)
  assert.deepEqual(witness.reused, [])
})

test('a record of version 1 cannot be cut either', async () => {
  const bytes = ofVersion1(await written())
  assert.equal(decodeRecord(nodeCrypto, bytes).current, undefined)
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeRecord(nodeCrypto, bytes.subarray(0, length)), damaged)
  }
})

test('a session does not begin with a record that is none, and says what to do', async () => {
  const { device } = makeScene()
  const storage = new MemoryStorage()
  storage.bytes = Uint8Array.of(1, 2, 3)
  await assert.rejects(device({}, storage), { ...damaged, hint: /Remove the record/ })
})
