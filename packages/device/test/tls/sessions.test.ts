/** Which ticket is taken by whom (RFC 8446 §4.6.1, §C.4). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResumableSession } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import type { SecureElement } from '@countersign/element/ports'
import { systemWorld } from '../../src/index.ts'
import { Sessions } from '../../src/sessions.ts'
import { parseTarget } from '../../src/target.ts'
import type { TlsRequest } from '../../src/tlsWay.ts'

const never = (): never => assert.fail('an element is not asked')
const element: SecureElement = {
  info: never,
  state: never,
  slots: never,
  generateKey: never,
  publicKey: never,
  sign: never,
  random: never,
  close: never,
}
const anchor = 'ab'.repeat(32)
const url = 'https://gate.example:8444'

const request: TlsRequest = {
  world: systemWorld(),
  target: parseTarget(url, anchor),
  credential: { element, slot: 0, certificates: 'one' },
  protocol: 'http/1.1',
  closing: new AbortController().signal,
}

function ticket(number: number): ResumableSession {
  return {
    ticket: Uint8Array.of(number),
    psk: nodeCrypto.importSecret(new Uint8Array(32)),
    suite: 'TLS_AES_128_GCM_SHA256',
    ageAdd: 0,
    receivedAt: 0,
    lifetimeMs: 1,
    server: { chain: [], staple: undefined, isStapleAsked: true },
    isAuthenticated: true,
    client: undefined,
    serverName: undefined,
  }
}

test('a ticket is taken once, the newest first, and of many the oldest are gone', () => {
  const sessions = new Sessions()
  for (let number = 0; number < 6; number++) sessions.of(request).add(ticket(number))
  const taken = Array.from({ length: 6 }, () => sessions.of(request).take()?.ticket[0])
  assert.deepEqual(taken, [5, 4, 3, 2, undefined, undefined])
})

test('a ticket is for the credential, the server, its anchor and the protocol it came from', () => {
  const credential = { element, slot: 0, certificates: 'one' }
  const others: readonly Partial<TlsRequest>[] = [
    { credential: undefined },
    { credential: { ...credential, slot: 1 } },
    { credential: { ...credential, certificates: 'two' } },
    { target: parseTarget('https://gate.example:8445', anchor) },
    { target: parseTarget('https://other.example:8444', anchor) },
    { target: parseTarget('mqtts://gate.example:8444', anchor, 'mqtts') },
    { target: parseTarget(url, 'cd'.repeat(32)) },
    { protocol: 'mqtt' },
  ]
  const sessions = new Sessions()
  sessions.of(request).add(ticket(1))
  for (const other of others) {
    const partner = sessions.of({ ...request, ...other })
    assert.equal(partner.take(), undefined, JSON.stringify(other))
    partner.add(ticket(2))
  }
  assert.equal(sessions.of({ ...request, credential }).take()?.ticket[0], 1)
  assert.equal(sessions.of(request).take(), undefined)
})

const numbered = (slot: number): TlsRequest => ({
  ...request,
  credential: { element, slot, certificates: 'one' },
})

test('of too many partners the one that was not met for the longest time is forgotten', () => {
  const sessions = new Sessions()
  for (let slot = 0; slot < 64; slot++) sessions.of(numbered(slot)).add(ticket(slot))
  sessions.of(numbered(0))
  sessions.of(numbered(64))
  assert.equal(sessions.of(numbered(0)).take()?.ticket[0], 0)
  assert.equal(sessions.of(numbered(2)).take()?.ticket[0], 2)
  assert.equal(sessions.of(numbered(1)).take(), undefined)
})
