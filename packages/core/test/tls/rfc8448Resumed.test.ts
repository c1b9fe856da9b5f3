/**
 * The resumed connection of RFC 8448 section 4, as far as a client without 0-RTT goes: ticket and
 * binder, keys of a handshake with a PSK, the refusal of early data, and Finished behind the end of it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import type { SecretKey } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { alertFor } from '../../src/tls/alerts.ts'
import type { HelloParts } from '../../src/tls/clientHello.ts'
import { type Negotiated, WaitServerHello } from '../../src/tls/clientStart.ts'
import { WaitFinished } from '../../src/tls/clientStates.ts'
import { EarlySecrets } from '../../src/tls/keySchedule.ts'
import { plaintextBytesMax } from '../../src/tls/limits.ts'
import type { HandshakeMessage } from '../../src/tls/messageReader.ts'
import type { Established, HandshakeOptions, Negotiation } from '../../src/tls/negotiation.ts'
import { RecordProtection } from '../../src/tls/recordProtection.ts'
import { suites } from '../../src/tls/registry.ts'
import { obfuscatedAge, type ResumableSession } from '../../src/tls/resumable.ts'
import { parseNewSessionTicket } from '../../src/tls/serverMessages.ts'
import { resumableFrom } from '../../src/tls/ticket.ts'
import { Transcript } from '../../src/tls/transcript.ts'
import { type Actor, field, trace } from './rfc8448.ts'
import {
  certificateOf,
  fixedPartOf,
  HelloExchange,
  hellosOf,
  optionsOf,
  trustOf,
} from './rfc8448Client.ts'
import { sha256 } from './rfc8448Recompute.ts'

const simple = trace('Simple 1-RTT Handshake')
const resumed = trace('Resumed 0-RTT Handshake')
const suite = suites.TLS_AES_128_GCM_SHA256
const nothing = new Uint8Array()
const [hello = nothing] = hellosOf(resumed)
const server = { chain: [certificateOf(simple, 'server')], staple: undefined, isStapleAsked: true }

const secretOf = (label: string): SecretKey =>
  nodeCrypto.importSecret(field(resumed, 'client', `derive secret "tls13 ${label}"`, 'expanded'))

function constructed(actor: Actor, name: string): HandshakeMessage {
  const article = name.startsWith('E') ? 'an' : 'a'
  const whole = field(resumed, actor, `construct ${article} ${name} handshake message`, name)
  return { type: whole[0] ?? 0, body: whole.subarray(4), whole }
}

/** The session that the ticket of section 3 gives a client that got it at `receivedAt`. */
function sessionOf(receivedAt: number): ResumableSession {
  const label = 'construct a NewSessionTicket handshake message'
  const message = field(simple, 'server', label, 'NewSessionTicket')
  const printed = field(simple, 'client', 'derive secret "tls13 res master"', 'expanded')
  const resumption = nodeCrypto.importSecret(printed)
  const established: Established = {
    suite,
    group: 'x25519',
    alpn: undefined,
    peer: trustOf(simple)(server),
    server,
    isResumed: false,
    isAuthenticated: false,
    exporter: resumption,
    resumption,
  }
  const clock = { now: () => receivedAt }
  const ticket = parseNewSessionTicket(message.subarray(4))
  const session = resumableFrom(ticket, established, {
    crypto: nodeCrypto,
    clock,
    credential: undefined,
    serverName: 'server',
  })
  assert.ok(session)
  return session
}

/** The first identity of pre_shared_key, which ends the hello (RFC 8446 §4.2.11). */
function offeredIdentity(session: ResumableSession): {
  ticket: Buffer
  age: number
  binder: Buffer
} {
  const binderLength = 32
  const end = hello.length - binderLength - 3
  const view = Buffer.from(hello)
  return {
    ticket: view.subarray(end - 4 - session.ticket.length, end - 4),
    age: view.readUInt32BE(end - 4),
    binder: view.subarray(end + 3),
  }
}

test('ticket, age and binder are those of the resumed hello', () => {
  const session = sessionOf(1_000_000)
  const { ticket, age, binder } = offeredIdentity(session)
  assert.equal(hex(session.ticket), hex(ticket))
  // The trace's client used it after six milliseconds.
  assert.equal(obfuscatedAge(session, 1_000_006), age)

  const early = EarlySecrets.from(nodeCrypto, suite, session.psk)
  assert.equal(hex(early.binder(sha256(hello.subarray(0, hello.length - 35)))), hex(binder))
})

function offer(): { readonly options: HandshakeOptions; readonly negotiated: Negotiated } {
  const options = optionsOf(resumed, new HelloExchange(resumed))
  const session = sessionOf(0)
  const early = EarlySecrets.from(nodeCrypto, suite, session.psk)
  const resuming = { session, peer: trustOf(simple)(server), early }
  const { policy, serverName, crypto } = options
  const parts: HelloParts = {
    policy,
    ...fixedPartOf(hello),
    serverName,
    shares: [crypto.generateEphemeral('x25519')],
    cookie: undefined,
    resuming: { session, now: 6 },
  }
  const first = { options, parts, message: hello, resuming, retried: undefined, before: nothing }
  const answer = new WaitServerHello(first).receive(constructed('server', 'ServerHello'))
  assert.ok(answer.kind === 'negotiated')
  return { options, negotiated: answer }
}

function flightOf({ read }: Negotiated): string {
  const record = field(resumed, 'server', 'send handshake record', 'complete record', 1)
  return hex(read.open(record.subarray(0, 5), record.subarray(5), plaintextBytesMax).content)
}

test('with the ticket, ServerHello leads to the keys of the trace', () => {
  const payload = field(resumed, 'server', 'send handshake record', 'payload', 1)
  assert.equal(flightOf(offer().negotiated), hex(payload))
})

test('a server that takes early data from a client that sends none is refused', () => {
  const { negotiated } = offer()
  assert.throws(
    () => negotiated.next.receive(constructed('server', 'EncryptedExtensions')),
    (error) => {
      assert.equal((error as { code?: string }).code, 'ERR_TLS_UNSUPPORTED_EXTENSION')
      return alertFor(error) === 'unsupported_extension'
    },
  )
})

/** Where this client stands after EncryptedExtensions that it would have refused. */
function waitFinished(): { readonly waiting: WaitFinished; readonly transcript: Transcript } {
  const { options } = offer()
  const session = sessionOf(0)
  const transcript = new Transcript(nodeCrypto, suite)
  transcript.add(hello, constructed('server', 'ServerHello').whole)
  const shared = field(resumed, 'server', 'extract secret "handshake"', 'IKM')
  const early = EarlySecrets.from(nodeCrypto, suite, session.psk)
  const secrets = early.handshake(nodeCrypto.importSecret(shared))
  const peer = trustOf(simple)(server)
  const negotiation: Negotiation = {
    options,
    suite,
    group: 'x25519',
    transcript,
    secrets,
    traffic: secrets.traffic(transcript.digest()),
    asked: new Set(),
    resumed: { session, peer, early },
  }
  transcript.add(constructed('server', 'EncryptedExtensions').whole)
  const extensions = { alpn: undefined, contentMax: plaintextBytesMax }
  const known = { negotiation, extensions, request: undefined, server, peer }
  return { waiting: new WaitFinished(known), transcript }
}

test('behind the end of early data, Finished and all that follows are the records of the trace', async () => {
  const { waiting, transcript } = waitFinished()
  const { read, next } = waiting.receive(constructed('server', 'Finished'))
  transcript.add(constructed('client', 'EndOfEarlyData').whole)
  const { messages, write, established } = await next.answer()

  const handshakeKeys = new RecordProtection(nodeCrypto, suite, secretOf('c hs traffic'))
  const finished = hex(handshakeKeys.seal(22, Buffer.concat(messages)))
  assert.equal(
    finished,
    hex(field(resumed, 'client', 'send handshake record', 'complete record', 2)),
  )
  for (const [label, type] of [
    ['send application_data record', 23],
    ['send alert record', 21],
  ] as const) {
    // The first data of the client was early.
    const nth = type === 23 ? 1 : 0
    const [payload, record] = ['payload', 'complete record'].map((name) =>
      field(resumed, 'client', label, name, nth),
    )
    assert.ok(payload && record)
    assert.equal(hex(write.seal(type, payload)), hex(record), label)
    const theirs = field(resumed, 'server', label, 'complete record')
    const opened = read.open(theirs.subarray(0, 5), theirs.subarray(5), plaintextBytesMax)
    assert.equal(hex(opened.content), hex(field(resumed, 'server', label, 'payload')), label)
  }
  assert.ok(established.isResumed && !established.isAuthenticated)
  for (const [label, secret] of [
    ['exp master', established.exporter],
    ['res master', established.resumption],
  ] as const) {
    assert.equal(
      hex(nodeCrypto.exportSecret(secret)),
      hex(nodeCrypto.exportSecret(secretOf(label))),
    )
  }
})

test('without the ticket, the same ServerHello has no place', () => {
  const options = optionsOf(resumed, new HelloExchange(resumed))
  const { policy, serverName, crypto } = options
  const shares = [crypto.generateEphemeral('x25519')]
  const parts = {
    policy,
    ...fixedPartOf(hello),
    serverName,
    shares,
    cookie: undefined,
    resuming: undefined,
  }
  const first = {
    options,
    parts,
    message: hello,
    resuming: undefined,
    retried: undefined,
    before: nothing,
  }
  assert.throws(() => new WaitServerHello(first).receive(constructed('server', 'ServerHello')), {
    code: 'ERR_TLS_UNSUPPORTED_EXTENSION',
  })
})
