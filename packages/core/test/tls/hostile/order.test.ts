/**
 * The messages of a server repeated, exchanged, left out; in records that are very small, or shared,
 * or shared across a change of keys (RFC 8446 §4, §5.1).
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { PuppetOptions, Step } from '../puppet.ts'
import * as steps from '../puppetSteps.ts'
import {
  assertFailed,
  assertOpen,
  assertRefused,
  opened,
  type Talk,
  talk,
  type TalkOptions,
} from './conversation.ts'
import { resumed, retried } from './settings.ts'

const unexpected = { alert: 'unexpected_message', code: 'ERR_TLS_UNEXPECTED_MESSAGE' }

type Named = readonly [name: string, step: Step]

interface Flight {
  readonly what: string
  readonly messages: readonly Named[]
  readonly puppet?: Partial<PuppetOptions>
  readonly options?: TalkOptions
}

const helloMessage: Named = ['ServerHello', steps.serverHello()]
const extensionsMessage: Named = ['EncryptedExtensions', steps.encryptedExtensions()]
const requestMessage: Named = ['CertificateRequest', steps.certificateRequest()]
const certificateMessage: Named = ['Certificate', steps.certificate()]
const verifyMessage: Named = ['CertificateVerify', steps.certificateVerify()]
const finishedMessage: Named = ['Finished', steps.finished()]

const flights: readonly Flight[] = [
  {
    what: 'a full flight',
    messages: [
      helloMessage,
      extensionsMessage,
      requestMessage,
      certificateMessage,
      verifyMessage,
      finishedMessage,
    ],
  },
  {
    what: 'a flight that resumes',
    messages: [helloMessage, extensionsMessage, finishedMessage],
    ...(await resumed()),
  },
]

for (const { what, messages, puppet, options } of flights) {
  /** What comes of these messages in the place of the right ones. */
  const said = (changed: readonly Named[]): Promise<Talk> =>
    talk({ ...puppet, flights: [changed.map(([, step]) => step)] }, options)

  suite(what, () => {
    for (const [index, [name, step]] of messages.entries()) {
      if (name === 'Finished') continue
      test(`${name} is refused when it comes twice`, async () => {
        const twice = messages.toSpliced(index + 1, 0, [
          name,
          name === 'ServerHello' ? steps.bareServerHello() : step,
        ])
        assertRefused(await said(twice), unexpected)
      })

      const next = messages[index + 1]
      if (next === undefined) continue
      test(`${name} is refused when it comes behind ${next[0]}`, async () => {
        const exchanged = messages.toSpliced(index, 2, next, [name, step])
        assertRefused(await said(exchanged), unexpected)
      })

      if (name === 'CertificateRequest') continue
      test(`${name} is missed`, async () => {
        assertRefused(await said(messages.toSpliced(index, 1)), unexpected)
      })
    }

    test('Finished is waited for', async () => {
      const waits = await said(messages.slice(0, -1))
      assert.equal(waits.failed.length, 0)
      waits.client.endOfStream()
      assertRefused(waits, { alert: undefined, code: 'ERR_TLS_TRUNCATED' })
    })

    test('data in the place of the Finished is refused', async () => {
      const early: Named = ['data', steps.data('too early')]
      assertRefused(await said([...messages.slice(0, -1), early]), unexpected)
    })

    test('it may come in records of one byte', async () => {
      const small = await talk(
        { ...puppet, flights: [messages.map(([, one]) => one)], contentMax: 1 },
        options,
      )
      assertOpen(small)
      assert.equal(
        (await small.run(steps.ticket(2), steps.keyUpdate(1), steps.data('byte by byte'))).text,
        'byte by byte',
      )
      assert.equal(small.sessions.length, 1)
    })

    test('it may come in one record for each key', async () => {
      const large = await talk(
        { ...puppet, flights: [messages.map(([, one]) => one)], coalesces: true },
        options,
      )
      assertOpen(large)
      await large.run(steps.ticket(3), steps.ticket(4), steps.keyUpdate(), steps.data('after'))
      assert.deepEqual([large.sessions.length, large.text], [2, 'after'])
      assertOpen(large)
    })
  })
}

test('a ServerHello that is repeated without protection is refused', async () => {
  const refused = await talk({
    onRecord: (record, index) => [record, ...(index === 0 ? [record] : [])],
  })
  assertRefused(refused, unexpected)
})

test('a Finished that comes twice is refused, by a client that is open', async () => {
  let finished: Uint8Array = Buffer.alloc(0)
  const talked = await talk({
    onMessage(name, { bytes }) {
      if (name === 'Finished') finished = bytes
      return [bytes]
    },
    afterwards: [(puppet) => puppet.write(22, finished)],
  })
  assert.equal(talked.secured.length, 1)
  assertFailed(talked, unexpected)
})

test('without a CertificateRequest the client shows nothing of itself', async () => {
  const flight = steps.fullFlight.toSpliced(3, 1)
  const talked = await talk({ flights: [flight] })
  assertOpen(talked)
  assert.equal(talked.secured[0]?.isAuthenticated, false)
  assert.equal(talked.signed, 0)
  assert.deepEqual(talked.puppet.received, ['ClientHello', 'Finished'])
})

test('a server that leaves out both Certificate and CertificateVerify is refused', async () => {
  const flight = steps.fullFlight.toSpliced(4, 2)
  assertRefused(await talk({ flights: [flight] }), unexpected)
})

test('a server that resumes and shows a certificate is refused', async () => {
  const { puppet, options } = await resumed()
  for (const first of [steps.certificateRequest(), steps.certificate()]) {
    const flight = [steps.serverHello(), steps.encryptedExtensions(), first, steps.finished()]
    assertRefused(await talk({ ...puppet, flights: [flight] }, options), unexpected)
  }
})

test('a server that asks again may do so in records of one byte', async () => {
  assertOpen(await talk({ ...retried.puppet, contentMax: 1 }))
})

/** These bytes in the record of that message, behind it. */
function follows(name: string, behind: Uint8Array): NonNullable<PuppetOptions['onMessage']> {
  return (said, { bytes }) => [said === name ? Buffer.concat([bytes, behind]) : bytes]
}

suite('across a change of keys', () => {
  for (const [what, behind] of [
    ['a byte of the next message', Buffer.of(8)],
    ['the next message', Buffer.of(8, 0, 0, 2, 0, 0)],
  ] as const) {
    test(`${what} in the record of the ServerHello is refused`, async () => {
      const refused = await talk({ onMessage: follows('ServerHello', behind) })
      assertRefused(refused, unexpected)
    })
  }

  for (const [what, behind] of [
    ['a byte of the next message', Buffer.of(4)],
    ['a KeyUpdate', Buffer.of(24, 0, 0, 1, 0)],
  ] as const) {
    test(`${what} in the record of the Finished is refused before the client answers`, async () => {
      const refused = await talk({ onMessage: follows('Finished', behind) })
      assertRefused(refused, unexpected)
      assert.ok(refused.puppet.alerts[0]?.isProtected)
    })

    test(`${what} in the record of a KeyUpdate is refused`, async () => {
      const talked = await talk({
        onMessage: follows('KeyUpdate', behind),
        afterwards: [steps.keyUpdate(), steps.data('never heard')],
      })
      assert.equal(talked.text, '')
      assertFailed(talked, unexpected)
    })
  }

  test('a record under the old key behind a KeyUpdate is refused', async () => {
    const talked = await opened([
      (puppet) => {
        const old = puppet.out
        steps.keyUpdate()(puppet)
        puppet.out = old
      },
      steps.data('of yesterday'),
    ])
    assert.equal(talked.text, '')
    assertFailed(talked, { alert: 'bad_record_mac', code: 'ERR_TLS_RECORD_MAC' })
  })
})
