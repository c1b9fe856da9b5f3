/** Alerts of the server (RFC 8446 §6), each number at each time, and alerts that are none. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { PeerError } from '@countersign/core/errors'
import type { Step } from '../puppet.ts'
import { waitingBytesMax } from '../../../src/tls/limits.ts'
import * as steps from '../puppetSteps.ts'
import {
  assertFailed,
  assertOpen,
  assertOver,
  assertRefused,
  opened,
  type Talk,
  talk,
} from './conversation.ts'

/** The client answers an alert with silence. */
const heard = { alert: undefined, code: 'ERR_TLS_ALERT' }
const malformed = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }

const closeNotify = 0
const userCanceled = 90
const errors = Array.from({ length: 256 }, (_, number) => number).filter(
  (number) => number !== closeNotify && number !== userCanceled,
)

/** RFC 8446 §6 and the registry of IANA: what an operator reads. */
const names: ReadonlyMap<number, string> = new Map([
  [40, 'handshake_failure'],
  [42, 'bad_certificate'],
  [44, 'certificate_revoked'],
  [48, 'unknown_ca'],
  [49, 'access_denied'],
  [70, 'protocol_version'],
  [116, 'certificate_required'],
  [120, 'no_application_protocol'],
  [200, 'alert 200'],
])

function assertNames({ failed: [error] }: Talk, number: number): void {
  assert.ok(error instanceof PeerError)
  assert.equal(error.details['number'], number)
  const name = names.get(number)
  if (name !== undefined) assert.equal(error.details['alert'], name)
}

suite('an error', () => {
  test('in the place of the ServerHello ends the handshake, whatever its number', async () => {
    for (const number of errors) {
      const refused = await talk({ flights: [[steps.alert(number)]] })
      assertRefused(refused, heard, `alert ${number}`)
      assertNames(refused, number)
    }
  })

  test('within the handshake ends it, whatever its number', async () => {
    for (const number of errors) {
      const flight = [steps.serverHello(), steps.encryptedExtensions(), steps.alert(number)]
      const refused = await talk({ flights: [flight] })
      assertRefused(refused, heard, `alert ${number}`)
      assertNames(refused, number)
    }
  })

  test('behind the handshake ends the connection, whatever its number', async () => {
    for (const number of errors) {
      const talked = await opened([steps.alert(number), steps.data('never heard')])
      assert.deepEqual([talked.text, talked.ended], ['', 0])
      assertFailed(talked, heard, `alert ${number}`)
      assertNames(talked, number)
    }
  })

  test('is one whatever its level says', async () => {
    for (const level of [0, 1, 3, 255]) {
      assertFailed(await opened([steps.alert(40, level)]), heard, `level ${level}`)
    }
  })
})

suite('a farewell', () => {
  test('within the handshake ends it', async () => {
    assertRefused(await talk({ flights: [[steps.closeNotify]] }), heard)
    const flight = [steps.serverHello(), steps.closeNotify]
    assertRefused(await talk({ flights: [flight] }), heard)
  })

  test('ends the data; what comes behind it is ignored, and the client may go on', async () => {
    for (const behind of [
      steps.data('too late'),
      steps.alert(40),
      steps.ticket(),
      steps.closeNotify,
      steps.contentOf(99, Buffer.of(1)),
      steps.raw(Buffer.from('no TLS at all')),
      steps.raw(Buffer.alloc(waitingBytesMax + 1)),
    ] satisfies readonly Step[]) {
      const talked = await opened([steps.data('in time'), steps.closeNotify, behind])
      assert.deepEqual([talked.text, talked.ended, talked.sessions.length], ['in time', 1, 0])
      talked.client.endOfStream()
      talked.client.write(Buffer.from('still here'))
      assert.equal(talked.puppet.data.at(-1)?.toString(), 'still here')
      assertOpen(talked)
      talked.client.end()
      assert.deepEqual(talked.puppet.alerts, [
        { name: 'close_notify', level: 1, isProtected: true },
      ])
      assert.deepEqual(talked.failed, [])
      assertOver(talked)
    }
  })

  test('may be followed by any number of bytes', async () => {
    const much = steps.raw(Buffer.alloc(2 * waitingBytesMax))
    const talked = await opened([steps.closeNotify, much])
    assert.equal(talked.ended, 1)
    assertOpen(talked)
    talked.client.write(Buffer.from('still here'))
    assert.equal(talked.puppet.data.at(-1)?.toString(), 'still here')
  })

  test('is one whatever its level says', async () => {
    const talked = await opened([steps.alert(closeNotify, 2)])
    assert.equal(talked.ended, 1)
    assertOpen(talked)
  })
})

suite('user_canceled', () => {
  test('says nothing by itself; the farewell behind it does', async () => {
    const canceled = steps.alert(userCanceled)
    assertOpen(await talk({ flights: [[canceled, ...steps.fullFlight]] }))
    const flight = [steps.serverHello(), canceled, steps.closeNotify]
    assertRefused(await talk({ flights: [flight] }), heard)
    const talked = await opened([canceled, steps.data('x'), steps.closeNotify])
    assert.deepEqual([talked.text, talked.ended], ['x', 1])
    assertOpen(talked)
  })
})

suite('an alert of another length', () => {
  for (const content of [[2], [1, 0, 0], [2, 40, 2, 40], [1, 0, 1, 0]]) {
    test(`(${content.join()}) is refused`, async () => {
      const alert = steps.contentOf(21, Buffer.from(content))
      assertRefused(await talk({ flights: [[alert]] }), malformed)
      assertRefused(await talk({ flights: [[steps.serverHello(), alert]] }), malformed)
      assertFailed(await opened([alert]), malformed)
    })
  }
})
