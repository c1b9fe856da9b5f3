/**
 * An element that does not sign, signs late, or answers nonsense; and a server that does things
 * while the element works.
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { suite, test } from 'node:test'
import { AdapterError, CallerError } from '@countersign/core/errors'
import type { Signer } from '@countersign/core/ports'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { waitingBytesMax, waitingBytesWanted } from '../../../src/tls/limits.ts'
import type { Step } from '../puppet.ts'
import { extension, sized, u16 } from '../puppetBytes.ts'
import * as steps from '../puppetSteps.ts'
import { clientCa, clientEntity, clientKey } from '../puppetWorld.ts'
import {
  assertFailed,
  assertOpen,
  assertOver,
  assertRefused,
  opened,
  Talk,
  talk,
  type TalkOptions,
} from './conversation.ts'

const real = softwareSigner(clientKey)
const chain = [clientEntity.certificate.der, clientCa.certificate.der]

/** The client's credential, whose element does this. */
function signing(sign: Signer['sign']): TalkOptions {
  return { credential: { chain, signer: { scheme: real.scheme, spki: real.spki, sign } } }
}

interface SlowElement {
  readonly options: TalkOptions
  /** Now it has signed. */
  answer(): Promise<void>
  refuse(): void
}

/** An element that answers when the test says so. */
function slowElement(): SlowElement {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  let message: Uint8Array | undefined
  return {
    options: signing((asked) => {
      message = asked
      return promise
    }),
    async answer() {
      assert.ok(message !== undefined, 'it was asked')
      resolve(await real.sign(message))
      await setImmediate()
    },
    refuse: () => reject(new Error('too late')),
  }
}

const elementFailed = { alert: 'internal_error', code: 'ERR_TLS_SIGNER', by: AdapterError }

/** The server proved itself, and learnt nothing but that there was a fault. */
function assertUnsigned(talked: Talk): void {
  assert.equal(talked.signed, 1)
  assert.deepEqual(talked.secured, [])
  assert.deepEqual(talked.data, [])
  assert.deepEqual(talked.puppet.received, ['ClientHello'])
  assertFailed(talked, elementFailed)
}

suite('an element', () => {
  test('that refuses ends the handshake, and its reason is kept', async () => {
    const reason = new Error('the slot is locked')
    const talked = await talk(
      {},
      signing(() => Promise.reject(reason)),
    )
    assertUnsigned(talked)
    const [error] = talked.failed
    assert.ok(error instanceof AdapterError && error.cause === reason && error.hint !== undefined)
    assert.match(error.message, /the slot is locked/)
  })

  test('that throws at once ends the handshake just so', async () => {
    assertUnsigned(
      await talk(
        {},
        signing(() => {
          throw new Error('no bus')
        }),
      ),
    )
  })

  test('that answers an empty or an endless signature is refused here', async () => {
    for (const length of [0, 1025, 65_536]) {
      assertUnsigned(
        await talk(
          {},
          signing(async () => new Uint8Array(length)),
        ),
      )
    }
  })

  test('that answers something else than its scheme makes, or no bytes at all, is refused here', async () => {
    const nothing = undefined as unknown as Uint8Array
    for (const answer of [new Uint8Array(63), new Uint8Array(65), nothing]) {
      assertUnsigned(
        await talk(
          {},
          signing(async () => answer),
        ),
      )
    }
  })
})

suite('an element that never answers', () => {
  const canceled = { code: 'ERR_TLS_CANCELED' }

  test('keeps the handshake waiting until the application has enough', async () => {
    const slow = slowElement()
    const talked = await talk({}, slow.options)
    assert.deepEqual([talked.signed, talked.failed.length, talked.secured.length], [1, 0, 0])
    talked.client.abort()
    assertCanceled(talked)
    // Whatever it says now is too late.
    await slow.answer()
    assertCanceled(talked)
    assert.deepEqual(talked.puppet.received, ['ClientHello'])
  })

  test('may also fail when nobody waits any more', async () => {
    const slow = slowElement()
    const talked = await talk({}, slow.options)
    talked.client.abort()
    slow.refuse()
    await setImmediate()
    assertCanceled(talked)
  })

  test('is given up for the reason of the application', async () => {
    for (const [reason, alerts] of [
      [new CallerError('ERR_MINE', 'changed my mind'), ['user_canceled', 'close_notify']],
      [new AdapterError('ERR_TIME', 'it takes too long'), ['internal_error']],
    ] as const) {
      const slow = slowElement()
      const talked = await talk({}, slow.options)
      talked.client.abort(reason)
      assert.deepEqual(talked.failed, [reason])
      assert.deepEqual(
        talked.puppet.alerts.map(({ name }) => name),
        alerts,
      )
      await slow.answer()
      assertOver(talked)
    }
  })

  test('is of no use when the stream has ended', async () => {
    const slow = slowElement()
    const talked = await talk({}, slow.options)
    talked.client.endOfStream()
    assertFailed(talked, { alert: undefined, code: 'ERR_TLS_TRUNCATED' })
    await slow.answer()
    assert.deepEqual(talked.puppet.received, ['ClientHello'])
    assertOver(talked)
  })

  function assertCanceled(talked: Talk): void {
    assert.equal(talked.failed.length, 1)
    const [error] = talked.failed
    assert.ok(error instanceof AdapterError && error.code === canceled.code)
    assert.deepEqual(talked.puppet.alerts, [
      { name: 'user_canceled', level: 1, isProtected: true },
      { name: 'close_notify', level: 1, isProtected: true },
    ])
    assertOver(talked)
  }
})

/** The server has said all this when the element has not signed yet. */
async function early(...said: readonly Step[]): Promise<{ talked: Talk; slow: SlowElement }> {
  const slow = slowElement()
  const talked = await talk({ flights: [[...steps.fullFlight, ...said]] }, slow.options)
  assert.equal(talked.signed, 1)
  assert.deepEqual([talked.failed, talked.secured, talked.data, talked.ended], [[], [], [], 0])
  return { talked, slow }
}

suite('while the element works', () => {
  test('data of the server waits, and comes behind `secured`', async () => {
    const { talked, slow } = await early(steps.data('early '), steps.data(''), steps.data('bird'))
    await slow.answer()
    assert.equal(talked.text, 'early bird')
    assertOpen(talked)
  })

  test('a farewell of the server waits too', async () => {
    const { talked, slow } = await early(steps.data('bye'), steps.closeNotify)
    await slow.answer()
    assert.deepEqual([talked.text, talked.ended], ['bye', 1])
    assertOpen(talked)
  })

  test('an alert of the server is heard when it has signed', async () => {
    const { talked, slow } = await early(steps.alert(80))
    await slow.answer()
    assert.equal(talked.secured.length, 1)
    assertFailed(talked, { alert: undefined, code: 'ERR_TLS_ALERT' })
  })

  test('what the server may not say is refused when it has signed', async () => {
    for (const said of [
      steps.changeCipherSpec,
      steps.contentOf(22, Buffer.of(13, 0, 0, 0)),
      steps.contentOf(99, Buffer.of(1)),
    ]) {
      const { talked, slow } = await early(said)
      await slow.answer()
      const refusal = { alert: 'unexpected_message', code: 'ERR_TLS_UNEXPECTED_MESSAGE' }
      assertFailed(talked, refusal)
    }
  })

  test('as many bytes wait as the limit says, and no more', async () => {
    const { talked, slow } = await early()
    assert.ok(talked.client.isHungry)
    talked.client.receive(new Uint8Array(waitingBytesWanted))
    assert.ok(!talked.client.isHungry)
    talked.client.receive(new Uint8Array(waitingBytesMax - waitingBytesWanted))
    assert.deepEqual(talked.failed, [])
    talked.client.receive(new Uint8Array(1))
    assertFailed(talked, { alert: 'internal_error', code: 'ERR_TLS_LIMIT' })
    await slow.answer()
    assert.deepEqual(talked.secured, [])
    assert.deepEqual(talked.puppet.received, ['ClientHello'])
    assertOver(talked)
  })

  test('data up to the limit comes through when it has signed', async () => {
    const records = Math.floor(waitingBytesMax / (16_384 + 22))
    const content = Buffer.alloc(16_384, 'x')
    const { talked, slow } = await early(
      ...Array.from({ length: records }, () => steps.data(content)),
    )
    assert.ok(!talked.client.isHungry)
    await slow.answer()
    assert.equal(talked.text.length, records * content.length)
    assert.ok(talked.client.isHungry)
    assertOpen(talked)
  })
})

/** The flight of a server that verifies these schemes. */
function asking(...schemes: readonly number[]): readonly Step[] {
  const list = sized('schemes', 2, Buffer.concat(schemes.map(u16)))
  const request = steps.certificateRequest([extension('signature_algorithms', 13, list)])
  return steps.fullFlight.toSpliced(3, 1, request)
}

suite('a server that asks who the client is', () => {
  test('and verifies nothing that the element makes is told so, before the element works', async () => {
    const refusal = { alert: 'handshake_failure', code: 'ERR_TLS_NO_SCHEME' }
    assertRefused(await talk({ flights: [asking(0x0804)] }), refusal)
    // P-256, Ed448, GREASE.
    assertRefused(await talk({ flights: [asking(0x0403, 0x0808, 0x0a0a)] }), refusal)
    assertOpen(await talk({ flights: [asking(0x0804, 0x0807)] }))
  })

  test('gets an empty list from a client without a credential', async () => {
    const talked = await talk({}, { credential: undefined })
    assertOpen(talked)
    assert.deepEqual(talked.puppet.received, ['ClientHello', 'Certificate', 'Finished'])
    assert.deepEqual(talked.puppet.clientChain, [])
    assert.equal(talked.secured[0]?.isAuthenticated, false)
  })

  test('and will not do with nobody ends the open connection', async () => {
    const talked = await opened([steps.alert(116)], {}, { credential: undefined })
    assertFailed(talked, { alert: undefined, code: 'ERR_TLS_ALERT' })
  })

  test('asks the element once', async () => {
    const talked = await opened([steps.ticket(), steps.keyUpdate(1), steps.data('x')])
    assert.equal(talked.signed, 1)
    assert.equal(talked.secured[0]?.isAuthenticated, true)
  })
})

suite('a client that gives up', () => {
  test('before it began says nothing to the server', async () => {
    const talked = new Talk()
    talked.client.abort()
    assert.deepEqual([talked.failed.length, talked.sentBytes], [1, 0])
    assertOver(talked)
  })

  test('before the server has answered cancels without protection', async () => {
    const talked = await talk({ flights: [] })
    talked.client.abort()
    assert.deepEqual(talked.puppet.alerts, [
      { name: 'user_canceled', level: 1, isProtected: false },
      { name: 'close_notify', level: 1, isProtected: false },
    ])
    assertOver(talked)
  })

  test('when it is open says farewell alone', async () => {
    const talked = await opened()
    talked.client.abort()
    assert.deepEqual(talked.puppet.alerts, [{ name: 'close_notify', level: 1, isProtected: true }])
    assert.equal(talked.failed.length, 1)
    assertOver(talked)
  })
})

test('a client that is given up in the turn in which the server is done asks nothing of it', async () => {
  const talked = new Talk()
  talked.client.start()
  await setImmediate()
  const pieces = talked.puppet.take()
  talked.client.receive(new Uint8Array(Buffer.concat(pieces.slice(0, -1))))
  await setImmediate()
  const finished = pieces.at(-1)
  assert.ok(finished !== undefined)
  talked.client.receive(new Uint8Array(finished))
  talked.client.abort()
  await setImmediate()
  assert.equal(talked.signed, 0)
  assert.equal(talked.failed.length, 1)
  assertOver(talked)
})
