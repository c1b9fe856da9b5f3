/** What a failure of TLS is to those who asked a question over it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AdapterError, CallerError, InvariantError, PeerError } from '@countersign/core/errors'
import { openConnection } from '../../src/connect.ts'
import { systemWorld } from '../../src/index.ts'
import { opensslTls } from '../../src/opensslTls.ts'
import { isOutside } from '../../src/retry.ts'
import { parseTarget } from '../../src/target.ts'
import type { TlsRequest, TlsWay } from '../../src/tlsWay.ts'

const target = parseTarget('https://localhost:1', '00'.repeat(32))

async function askedOver(tls: TlsWay, credential?: TlsRequest['credential']): Promise<unknown> {
  const connection = openConnection({ world: { ...systemWorld(), tls }, target, credential })
  try {
    await connection.ask({ method: 'GET', path: '/' })
    return undefined
  } catch (error) {
    return error
  } finally {
    connection.close()
  }
}

const failing =
  (error: Error): TlsWay =>
  () =>
    Promise.reject(error)

test('what the other end did to TLS is a broken way, which is tried again', async () => {
  for (const code of ['ERR_TLS_RECORD_MAC', 'ERR_TLS_ALERT', 'ERR_TLS_VERSION', 'ERR_KEY_SHARE']) {
    const error = await askedOver(failing(new PeerError(code, 'bent')))
    assert.ok(error instanceof AdapterError && error.code === 'ERR_SERVER_UNREACHABLE', code)
    assert.equal(error.details['reason'], code)
    assert.ok(isOutside(error))
  }
})

test('a verdict on the server and the word of the element stay what they are', async () => {
  for (const error of [
    new PeerError('ERR_CHAIN_NAME', 'another'),
    new PeerError('ERR_OCSP_STALE', 'old'),
    new AdapterError('ERR_TLS_SIGNER', 'busy'),
  ]) {
    assert.equal(await askedOver(failing(error)), error)
    assert.ok(isOutside(error))
  }
})

test('a mistake of this side stays one, and is not tried again', async () => {
  for (const error of [
    new CallerError('ERR_TLS_CREDENTIAL', 'no scheme for it'),
    new CallerError('ERR_TLS_STATE', 'too late'),
    new InvariantError('ERR_TLS_SPENT', 'twice'),
  ]) {
    assert.equal(await askedOver(failing(error)), error)
    assert.ok(!isOutside(error))
  }
})

test('an element that gives its keys to nobody is named by the second way', async () => {
  const element = {
    info: () => assert.fail('not asked'),
    state: () => assert.fail('not asked'),
    slots: () => assert.fail('not asked'),
    generateKey: () => assert.fail('not asked'),
    publicKey: () => assert.fail('not asked'),
    sign: () => assert.fail('not asked'),
    random: () => assert.fail('not asked'),
    close: async () => undefined,
  }
  const error = await askedOver(opensslTls, { element, slot: 0, certificates: '' })
  assert.ok(error instanceof CallerError && error.code === 'ERR_TLS_ELEMENT', String(error))
})
