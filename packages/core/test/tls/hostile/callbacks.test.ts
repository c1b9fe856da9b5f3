/** What an outlet does from within its callbacks: the client is called while it calls. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Outlet, TlsClient } from '@countersign/core/tls'
import * as steps from '../puppetSteps.ts'
import { assertFailed, assertOver, Talk } from './conversation.ts'

/** A conversation whose outlet has the client in its hand. */
function acting(act: (talk: Talk) => Partial<Outlet>): Talk {
  const parts: { also: Partial<Outlet> } = { also: {} }
  const talk = new Talk(
    {},
    {},
    {
      send: (bytes) => parts.also.send?.(bytes),
      secured: (secured) => parts.also.secured?.(secured),
      data: (bytes) => parts.also.data?.(bytes),
      resumable: (session) => parts.also.resumable?.(session),
      ended: () => parts.also.ended?.(),
      failed: (error) => parts.also.failed?.(error),
    },
  )
  parts.also = act(talk)
  return talk
}

const misuse = { name: 'CallerError', code: 'ERR_TLS_STATE' }
const names = (talk: Talk): readonly string[] => talk.puppet.alerts.map(({ name }) => name)

suite('while its last word goes out', () => {
  for (const [what, again] of [
    ['is given up again', (client: TlsClient) => client.abort()],
    ['hears something wrong', (client: TlsClient) => client.receive(Uint8Array.of(22, 3, 3, 0, 0))],
    ['hears the end of the stream', (client: TlsClient) => client.endOfStream()],
    ['is ended', (client: TlsClient) => client.end()],
  ] as const) {
    test(`a client that ${what} fails once`, async () => {
      const talk = await acting(({ client, puppet }) => ({
        send: () => {
          if (puppet.alerts.length > 0) again(client)
        },
      })).start()
      await talk.run(steps.keyUpdate(2))
      assertFailed(talk, { alert: 'illegal_parameter', code: 'ERR_TLS_ILLEGAL_PARAMETER' })
    })
  }
})

test('an end is said once, and nothing is said behind it', async () => {
  const talk = await acting(({ client, puppet }) => ({
    send: () => {
      if (puppet.alerts.length === 0) return
      client.end()
      assert.throws(() => client.write(Uint8Array.of(1)), misuse)
      assert.throws(() => client.updateKeys(), misuse)
    },
  })).start()
  talk.client.end()
  assert.deepEqual(names(talk), ['close_notify'])
  assert.deepEqual(talk.failed, [])
})

test('what is written while a KeyUpdate goes out is under the new key', async () => {
  let writes = 0
  const talk = await acting(({ client, puppet }) => ({
    send: () => {
      if (puppet.received.at(-1) === 'KeyUpdate' && writes++ === 0) client.write(Buffer.from('new'))
    },
  })).start()
  talk.client.updateKeys()
  assert.equal(Buffer.concat(talk.puppet.data).toString(), 'new')
  assert.equal(talk.puppet.unreadable, 0)
})

suite('a callback that throws', () => {
  const broken = new Error('the layer above')
  const thrown = (): never => {
    throw broken
  }

  test('at the first byte is why the client fails', async () => {
    const talk = await acting(() => ({ send: thrown })).start()
    assert.deepEqual(talk.failed, [broken])
    assertOver(talk)
  })

  for (const name of ['secured', 'data', 'resumable', 'ended'] as const) {
    test(`is why the client fails: ${name}`, async () => {
      const talk = await acting(() => ({ [name]: thrown })).start()
      await talk.run(steps.ticket(), steps.data('x'), steps.closeNotify)
      assert.deepEqual(talk.failed, [broken])
      assert.deepEqual(names(talk), ['internal_error'])
      assertOver(talk)
    })
  }
})

suite('a client that is given up', () => {
  for (const name of ['secured', 'data', 'resumable', 'ended'] as const) {
    test(`from within ${name} says nothing more`, async () => {
      const talk = await acting(({ client }) => ({ [name]: () => client.abort() })).start()
      await talk.run(steps.ticket(), steps.data('x'), steps.ticket(), steps.data('y'))
      await talk.run(steps.closeNotify)
      assert.equal(talk.failed.length, 1)
      assert.deepEqual(names(talk), ['close_notify'])
      const heard = [talk.sessions.length, talk.data.length, talk.ended]
      const expected = {
        secured: [0, 0, 0],
        resumable: [1, 0, 0],
        data: [1, 1, 0],
        ended: [2, 2, 1],
      }
      assert.deepEqual(heard, expected[name])
      assertOver(talk)
    })
  }
})
