/** What a server may send without end, and where this client's patience ends (limits.ts). */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { postHandshakeMessagesMax, uselessRecordsMax } from '../../../src/tls/limits.ts'
import type { Step } from '../puppet.ts'
import * as steps from '../puppetSteps.ts'
import { assertFailed, assertOpen, assertRefused, opened, type Talk, talk } from './conversation.ts'

const flood = { alert: 'unexpected_message', code: 'ERR_TLS_FLOOD' }

function times(count: number, step: Step): readonly Step[] {
  return Array.from({ length: count }, () => step)
}

function keyUpdatesOf({ puppet }: Talk): number {
  return puppet.received.filter((name) => name === 'KeyUpdate').length
}

const emptyRecord = steps.data('')
const warning = steps.alert(90)

suite('behind the handshake', () => {
  for (const [what, step, most] of [
    ['tickets', steps.ticket(), postHandshakeMessagesMax],
    ['KeyUpdates', steps.keyUpdate(0), postHandshakeMessagesMax],
    ['KeyUpdates that ask for ours', steps.keyUpdate(1), postHandshakeMessagesMax],
    ['empty records', emptyRecord, uselessRecordsMax],
    ['warnings', warning, uselessRecordsMax],
  ] as const) {
    test(`${what} are taken up to the limit and no further`, async () => {
      const patient = await opened(times(most, step))
      assertOpen(patient)
      await patient.run(steps.data('data brings it on'), ...times(most, step), steps.data('!'))
      assert.equal(patient.text, 'data brings it on!')
      assertOpen(patient)
      assertFailed(await opened(times(most + 1, step)), flood)
    })
  }

  test('KeyUpdates that ask for ours are answered by one, before the next data', async () => {
    const talked = await opened()
    const before = talked.sentBytes
    // A server that asks and never reads makes nothing pile up.
    await talked.run(...times(100, steps.keyUpdate(1)).flatMap((ask) => [ask, steps.data('x')]))
    assert.equal(talked.text, 'x'.repeat(100))
    assert.equal(talked.sentBytes, before)
    for (const text of ['under new keys', 'under the same']) {
      talked.client.write(Buffer.from(text))
      assert.equal(talked.puppet.data.at(-1)?.toString(), text)
    }
    assert.equal(keyUpdatesOf(talked), 1)
    assertOpen(talked)
  })

  test('a KeyUpdate of our own is the answer too, one that asks for theirs is not', async () => {
    for (const [both, count] of [
      [false, 1],
      [true, 2],
    ] as const) {
      const talked = await opened([steps.keyUpdate(1)])
      talked.client.updateKeys(both)
      talked.client.write(Buffer.from('data'))
      assert.equal(talked.puppet.data.at(-1)?.toString(), 'data')
      assert.equal(keyUpdatesOf(talked), count)
      assertOpen(talked)
    }
  })

  test('tickets and KeyUpdates are counted together', async () => {
    const pairs = times(postHandshakeMessagesMax / 2, steps.ticket()).flatMap((ticket) => [
      ticket,
      steps.keyUpdate(),
    ])
    assertOpen(await opened(pairs))
    assertFailed(await opened([...pairs, steps.keyUpdate()]), flood)
  })

  test('empty records and warnings are counted together', async () => {
    const half = uselessRecordsMax / 2
    const mixed = [...times(half, emptyRecord), ...times(half, warning)]
    assertOpen(await opened(mixed))
    assertFailed(await opened([...mixed, emptyRecord]), flood)
  })

  test('empty records between tickets come to an end too', async () => {
    const round = [...times(uselessRecordsMax, emptyRecord), steps.ticket()]
    const rounds = times(postHandshakeMessagesMax, steps.ticket()).flatMap(() => round)
    assertOpen(await opened(rounds))
    assertFailed(await opened([...rounds, ...round]), flood)
  })
})

const flight = steps.fullFlight.filter((step) => step !== steps.changeCipherSpec)

suite('within the handshake', () => {
  for (const [what, step] of [
    ['change_cipher_spec', steps.changeCipherSpec],
    ['warnings', warning],
  ] as const) {
    test(`${what} are taken up to the limit and no further`, async () => {
      // Before the ServerHello, and behind it.
      for (const at of [0, 1]) {
        const flightsWith = (count: number): readonly (readonly Step[])[] => [
          flight.toSpliced(at, 0, ...times(count, step)),
        ]
        assertOpen(await talk({ flights: flightsWith(uselessRecordsMax) }))
        assertRefused(await talk({ flights: flightsWith(uselessRecordsMax + 1) }), flood)
      }
    })
  }
})
