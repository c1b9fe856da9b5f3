/**
 * A stream that ends, or stops for a while, behind each of its bytes. Without a farewell before it
 * an end is a fault, told once; a pause is none.
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { suite, test } from 'node:test'
import * as steps from '../puppetSteps.ts'
import { assertFailed, assertOpen, assertRefused, Talk } from './conversation.ts'
import type { Setting } from './families.ts'
import { full, resumed, retried } from './settings.ts'

const truncated = { alert: undefined, code: 'ERR_TLS_TRUNCATED' }

/** Of everything that the puppet says, this many bytes arrive. */
async function cut(setting: Setting, length: number): Promise<Talk> {
  let left = length
  const onRecord = (record: Buffer): readonly Uint8Array[] => {
    const part = record.subarray(0, left)
    left -= part.length
    return part.length === 0 ? [] : [part]
  }
  const talked = new Talk({ ...setting.puppet, onRecord }, setting.options)
  return talked.start()
}

async function totalOf(setting: Setting): Promise<number> {
  let total = 0
  const onRecord = (record: Buffer): readonly Uint8Array[] => {
    total += record.length
    return [record]
  }
  assertOpen(await new Talk({ ...setting.puppet, onRecord }, setting.options).start())
  return total
}

const settings: readonly (readonly [string, Setting])[] = [
  ['a full flight', full],
  ['a flight that resumes', await resumed()],
  ['the flights of a server that asks again', retried],
]

for (const [what, setting] of settings) {
  suite(what, () => {
    test('is missed from whatever byte on the stream ends', async () => {
      const total = await totalOf(setting)
      assert.ok(total > 200)
      for (let length = 0; length < total; length++) {
        const talked = await cut(setting, length)
        assert.deepEqual(talked.failed, [], `${length} bytes: it waits`)
        talked.client.endOfStream()
        assertRefused(talked, truncated, `${length} bytes`)
      }
      assertOpen(await cut(setting, total))
    })

    test('may pause behind any byte', async () => {
      const total = await totalOf(setting)
      // Each 5th: a pause is the same wherever it is within a field.
      for (let length = 1; length < total; length += 5) {
        assertOpen(await paused(setting, length), `${length} bytes`)
      }
    })
  })
}

/** This many bytes, a pause, the rest. */
async function paused(setting: Setting, length: number): Promise<Talk> {
  let left = length
  const talked = new Talk(setting.puppet, setting.options)
  talked.client.start()
  await setImmediate()
  for (;;) {
    const pieces = talked.puppet.take()
    if (pieces.length === 0) return talked
    const bytes = new Uint8Array(Buffer.concat(pieces))
    const at = Math.min(left, bytes.length)
    left -= at
    talked.client.receive(bytes.subarray(0, at))
    await setImmediate()
    assert.deepEqual(talked.failed, [])
    talked.client.receive(bytes.subarray(at))
    await setImmediate()
  }
}

test('a flight may come byte by byte', async () => {
  const talked = new Talk()
  talked.client.start()
  await setImmediate()
  for (const byte of Buffer.concat(talked.puppet.take())) {
    assert.deepEqual(talked.secured, [])
    talked.client.receive(Uint8Array.of(byte))
    // Not after each of them: what waits together is read together.
    if (byte % 2 === 0) await setImmediate()
  }
  await talked.settle()
  assertOpen(talked)
})

const lastWords = [
  steps.ticket(),
  steps.keyUpdate(),
  steps.data('da'),
  steps.data('ta'),
  steps.closeNotify,
]

test('an open connection that ends without a farewell was cut, behind whatever byte', async () => {
  const sample = await new Talk().start()
  sample.puppet.run(lastWords)
  const { length: total } = Buffer.concat(sample.puppet.take())
  for (let length = 0; length <= total; length++) {
    const talked = await new Talk().start()
    talked.puppet.run(lastWords)
    talked.client.receive(new Uint8Array(Buffer.concat(talked.puppet.take()).subarray(0, length)))
    talked.client.endOfStream()
    // Whole records, and no part of one.
    assert.ok(['', 'da', 'data'].includes(talked.text))
    assert.equal(talked.ended, length === total ? 1 : 0)
    if (length < total) assertFailed(talked, truncated, `${length} bytes`)
    else assertOpen(talked)
  }
})

test('a connection that failed has no keying material any more (RFC 8446 §6)', async () => {
  const talked = await new Talk().start()
  const material = (): Uint8Array => talked.client.exporter('EXPORTER-test', new Uint8Array(), 32)
  assert.equal(material().length, 32)
  talked.client.endOfStream()
  assertFailed(talked, truncated)
  assert.throws(material, { name: 'CallerError', code: 'ERR_TLS_STATE' })
})
