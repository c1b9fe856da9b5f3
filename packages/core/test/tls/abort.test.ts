/** A connection that this side gives up: the server hears that somebody wanted it, not an error. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { AdapterError } from '@countersign/core/errors'
import { TlsClient } from '@countersign/core/tls'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { meet } from './nodeServer.ts'

const unused = (): never => assert.fail('nobody answered')

function startedClient(random = randomBytes): {
  readonly client: TlsClient
  /** Behind the hello, in hex. */
  readonly sent: () => readonly string[]
  readonly hello: () => string | undefined
  readonly failures: readonly unknown[]
} {
  const sent: string[] = []
  const failures: unknown[] = []
  const client = new TlsClient(
    { crypto: nodeCrypto, random, clock: { now: () => 0 }, trust: unused },
    {
      send: (bytes) => sent.push(Buffer.from(bytes).toString('hex')),
      secured: unused,
      data: unused,
      resumable: unused,
      ended: unused,
      failed: (error) => failures.push(error),
    },
  )
  client.start()
  return { client, sent: () => sent.slice(1), hello: () => sent[0], failures }
}

test('a handshake that is given up says user_canceled, then the farewell', () => {
  const { client, sent, failures } = startedClient()
  client.abort()
  // RFC 8446 §6.1, §6.2: warnings 90 and 0.
  assert.deepEqual(sent(), ['1503030002015a', '15030300020100'])
  assert.equal(failures.length, 1)
  assert.equal((failures[0] as { code?: string }).code, 'ERR_TLS_CANCELED')
  client.abort()
  assert.equal(failures.length, 1)
})

test('a handshake that something here broke says internal_error', () => {
  const { client, sent, failures } = startedClient()
  const reason = new AdapterError('ERR_TLS_SIGNER', 'the element is gone')
  client.abort(reason)
  assert.deepEqual(sent(), ['15030300020250'])
  assert.deepEqual(failures, [reason])
})

test('a handshake that fails before its hello tells the server nothing', async () => {
  const broken = new Error('no entropy')
  const { client, hello, failures } = startedClient({
    bytes: () => {
      throw broken
    },
  })
  await setImmediate()
  assert.deepEqual(failures, [broken])
  assert.equal(hello(), undefined)
  client.abort()
  assert.equal(failures.length, 1)
})

test('an open connection that is given up ends for a foreign server without an error', async () => {
  const { client, server, failure } = await meet()
  server.on('error', (error) => assert.fail(String(error)))
  client.abort()
  server.resume()
  await once(server, 'end')
  assert.equal((failure() as { code?: string }).code, 'ERR_TLS_CANCELED')
})
