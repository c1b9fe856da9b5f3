/**
 * The states of the client, driven one by one with what the servers of RFC 8448 sent. They begin at
 * WaitServerHello, with the trace's ClientHello as the one that was offered.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import type { SecretKey } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import type { HelloParts } from '../../src/tls/clientHello.ts'
import {
  type Negotiated,
  SecondOffer,
  WaitSecondServerHello,
  WaitServerHello,
} from '../../src/tls/clientStart.ts'
import type { AnswerServer, WaitCertificateOrRequest } from '../../src/tls/clientStates.ts'
import { plaintextBytesMax } from '../../src/tls/limits.ts'
import type { HandshakeMessage } from '../../src/tls/messageReader.ts'
import type { HandshakeOptions } from '../../src/tls/negotiation.ts'
import type { RecordProtection } from '../../src/tls/recordProtection.ts'
import { suites } from '../../src/tls/registry.ts'
import { field, fieldOf, stepsOf, type Trace, type TraceName, trace } from './rfc8448.ts'
import { certificateOf, fixedPartOf, HelloExchange, hellosOf, optionsOf } from './rfc8448Client.ts'
import { sha256 } from './rfc8448Recompute.ts'

const full = [
  'Simple 1-RTT Handshake',
  'HelloRetryRequest',
  'Client Authentication',
  'Compatibility Mode',
] as const satisfies readonly TraceName[]

const nothing = new Uint8Array()

/** A message of the server as the trace prints it, with its header. */
function constructed(one: Trace, name: string, nth: number = 0): HandshakeMessage {
  const article = name === 'EncryptedExtensions' ? 'an' : 'a'
  const label = `construct ${article} ${name} handshake message`
  const whole = field(one, 'server', label, name, nth)
  return { type: whole[0] ?? 0, body: whole.subarray(4), whole }
}

function offered(one: Trace): { readonly options: HandshakeOptions; readonly parts: HelloParts } {
  const [hello = nothing] = hellosOf(one)
  const options = optionsOf(one, new HelloExchange(one))
  const { random, sessionId } = fixedPartOf(hello)
  const shares = [options.crypto.generateEphemeral('x25519')]
  const { policy, serverName } = options
  const parts = { policy, random, sessionId, serverName, shares }
  return { options, parts: { ...parts, cookie: undefined, resuming: undefined } }
}

function negotiate(one: Trace): Negotiated {
  const [message = nothing] = hellosOf(one)
  const offer = { ...offered(one), message, resuming: undefined }
  const first = new WaitServerHello({ ...offer, retried: undefined, before: nothing })
  const answer = first.receive(constructed(one, 'ServerHello'))
  return answer.kind === 'negotiated' ? answer : negotiateAgain(one, offer.options, offer.parts)
}

/** With the second hello of the trace, which says what the request asked for. */
function negotiateAgain(one: Trace, options: HandshakeOptions, parts: HelloParts): Negotiated {
  const [first = nothing, message = nothing] = hellosOf(one)
  const request = constructed(one, 'ServerHello').whole
  // RFC 8446 §4.4.1: message_hash in the place of the first hello.
  const before = Buffer.concat([Buffer.from('fe000020', 'hex'), sha256(first), request])
  const shares = [options.crypto.generateEphemeral('secp256r1')]
  const retried = suites.TLS_AES_128_GCM_SHA256
  const again = { options, parts: { ...parts, shares }, message, resuming: undefined }
  return new WaitSecondServerHello({ ...again, retried, before }).receive(
    constructed(one, 'ServerHello', 1),
  )
}

/** The server's flight opens under its handshake key to the messages that it constructed. */
function openFlight(one: Trace, read: RecordProtection): void {
  const records = stepsOf(one, 'server', 'send handshake record')
  const flight = records[one.name === 'HelloRetryRequest' ? 2 : 1]
  assert.ok(flight)
  const record = fieldOf(flight, 'complete record')
  const opened = read.open(record.subarray(0, 5), record.subarray(5), plaintextBytesMax)
  assert.equal(hex(opened.content), hex(fieldOf(flight, 'payload')))
}

/** Certificate and its proof; a request before them in one of the traces. */
function authenticate(one: Trace, waiting: WaitCertificateOrRequest): AnswerServerStep {
  const isRequest = one.name === 'Client Authentication'
  const first = waiting.receive(constructed(one, isRequest ? 'CertificateRequest' : 'Certificate'))
  assert.equal(first.kind, isRequest ? 'certificate' : 'judge')
  const judging = first.kind === 'judge' ? first : first.receive(constructed(one, 'Certificate'))
  const finished = judging.judge().receive(constructed(one, 'CertificateVerify'))
  return finished.receive(constructed(one, 'Finished'))
}

interface AnswerServerStep {
  readonly read: RecordProtection
  readonly next: AnswerServer
}

/** Sealed in their order, these are the records of the trace. */
function requireSealed(
  one: Trace,
  write: RecordProtection,
  label: string,
  type: number,
  payload: Uint8Array,
): void {
  const sent = stepsOf(one, 'client', label).at(-1)
  assert.ok(sent, label)
  assert.equal(hex(payload), hex(fieldOf(sent, 'payload')), label)
  assert.equal(hex(write.seal(type, payload)), hex(fieldOf(sent, 'complete record')), label)
}

const is = (secret: SecretKey, one: Trace, name: string): void => {
  const printed = field(one, 'client', `derive secret "tls13 ${name}"`, 'expanded')
  assert.equal(hex(nodeCrypto.exportSecret(secret)), hex(printed), name)
}

for (const name of full) {
  const one = trace(name)

  test(`${name}: from ServerHello on, the client sends what the trace's client sent`, async () => {
    const { read, write, next } = negotiate(one)
    openFlight(one, read)
    const learnt = next.receive(constructed(one, 'EncryptedExtensions'))
    // A limit of 0x4001 with the type (RFC 8449 §4).
    assert.equal(learnt.contentMax, plaintextBytesMax)
    assert.ok(learnt.next.kind === 'certificate or request')
    const { read: readData, next: answering } = authenticate(one, learnt.next)
    const answer = await answering.answer()

    assert.equal(answer.messages.length, name === 'Client Authentication' ? 3 : 1)
    requireSealed(one, write, 'send handshake record', 22, Buffer.concat(answer.messages))
    if (name === 'Simple 1-RTT Handshake') {
      const label = 'send application_data record'
      requireSealed(one, answer.write, label, 23, field(one, 'client', label, 'payload'))
    }
    requireSealed(one, answer.write, 'send alert record', 21, Uint8Array.of(1, 0))
    openApplicationRecords(one, readData)
  })

  test(`${name}: what the handshake came to is what the trace says`, async () => {
    const { next } = negotiate(one)
    const learnt = next.receive(constructed(one, 'EncryptedExtensions'))
    assert.ok(learnt.next.kind === 'certificate or request')
    const { established } = await authenticate(one, learnt.next).next.answer()
    is(established.exporter, one, 'exp master')
    is(established.resumption, one, 'res master')
    assert.equal(established.suite.name, 'TLS_AES_128_GCM_SHA256')
    assert.equal(established.group, name === 'HelloRetryRequest' ? 'secp256r1' : 'x25519')
    assert.equal(established.isAuthenticated, name === 'Client Authentication')
    assert.equal(established.isResumed, false)
    assert.equal(established.alpn, undefined)
    assert.deepEqual(established.server.chain.map(hex), [hex(certificateOf(one, 'server'))])
    assert.equal(hex(established.peer.leaf.der), hex(certificateOf(one, 'server')))
  })
}

/** Tickets, data and the farewell of the server, in the order in which it sent them. */
function openApplicationRecords(one: Trace, read: RecordProtection): void {
  const after = one.steps.findLastIndex(({ label }) => label.startsWith('derive read traffic keys'))
  const sent = one.steps
    .slice(after)
    .filter(({ actor, label }) => actor === 'server' && label.endsWith(' record'))
  assert.equal(sent.length, one.name === 'Simple 1-RTT Handshake' ? 3 : 1)
  for (const step of sent) {
    const record = fieldOf(step, 'complete record')
    const { content } = read.open(record.subarray(0, 5), record.subarray(5), plaintextBytesMax)
    assert.equal(hex(content), hex(fieldOf(step, 'payload')), step.label)
  }
}

test('HelloRetryRequest: our second hello has the share and the cookie that were asked for', () => {
  const one = trace('HelloRetryRequest')
  const [message = nothing, second = nothing] = hellosOf(one)
  const offer = { ...offered(one), message, resuming: undefined }
  const first = new WaitServerHello({ ...offer, retried: undefined, before: nothing })
  const retry = first.receive(constructed(one, 'ServerHello'))
  assert.ok(retry instanceof SecondOffer)
  const ours = retry.offer().message
  // RFC 8446 §4.1.2: the same random and session id.
  assert.deepEqual(fixedPartOf(ours), fixedPartOf(second))
  for (const extension of ['0033 0047 0045 0017 0041', '002c 0074 0072']) {
    const start = hex(second).indexOf(extension.replaceAll(' ', ''))
    const length = Number.parseInt(extension.slice(5, 9), 16)
    const whole = hex(second).slice(start, start + 2 * (4 + length))
    assert.ok(start > 0 && hex(ours).includes(whole), extension)
  }
})

test('where another hello was sent than the server saw, nothing opens and no signature holds', () => {
  const one = trace('Simple 1-RTT Handshake')
  const [hello = nothing] = hellosOf(one)
  const message = hello.slice()
  message[20] = (message[20] ?? 0) ^ 1
  const offer = { ...offered(one), message, resuming: undefined }
  const first = new WaitServerHello({ ...offer, retried: undefined, before: nothing })
  const answer = first.receive(constructed(one, 'ServerHello'))
  assert.ok(answer.kind === 'negotiated')
  assert.throws(() => openFlight(one, answer.read), { code: 'ERR_TLS_RECORD_MAC' })
  const learnt = answer.next.receive(constructed(one, 'EncryptedExtensions'))
  assert.ok(learnt.next.kind === 'certificate or request')
  assert.throws(() => authenticate(one, learnt.next as WaitCertificateOrRequest), {
    code: 'ERR_TLS_SIGNATURE',
  })
})
