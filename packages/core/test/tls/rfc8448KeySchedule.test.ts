/**
 * The key schedule gives what RFC 8448 prints: the stages run once over each trace with a provider
 * that keeps account, and each extraction and expansion of the trace is found among its calls.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import type { ChannelCrypto, SecretKey } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import {
  EarlySecrets,
  expandLabel,
  finishedMac,
  MasterSecrets,
  messageHash,
  ticketKey,
} from '../../src/tls/keySchedule.ts'
import { RecordProtection } from '../../src/tls/recordProtection.ts'
import { suites } from '../../src/tls/registry.ts'
import { type Actor, field, fieldOf, type Step, stepsOf, type Trace, traces } from './rfc8448.ts'
import { expansions, sha256, walk } from './rfc8448Recompute.ts'

const suite = suites.TLS_AES_128_GCM_SHA256

interface Call {
  readonly inputs: readonly string[]
  readonly output: string
}

const faceOf = (key: SecretKey): string => hex(nodeCrypto.exportSecret(key))

/** Everything that the schedule asks of its provider, in hex. */
function accounting(): { readonly crypto: ChannelCrypto; readonly calls: readonly Call[] } {
  const calls: Call[] = []
  const crypto: ChannelCrypto = {
    ...nodeCrypto,
    hkdfExtract(hash, salt, input) {
      const output = nodeCrypto.hkdfExtract(hash, salt, input)
      calls.push({ inputs: [faceOf(salt), faceOf(input)], output: faceOf(output) })
      return output
    },
    hkdfExpand(hash, key, info, length) {
      const output = nodeCrypto.hkdfExpand(hash, key, info, length)
      calls.push({ inputs: [faceOf(key), hex(info)], output: faceOf(output) })
      return output
    },
  }
  return { crypto, calls }
}

const secretOf = (bytes: Uint8Array): SecretKey => nodeCrypto.importSecret(bytes)
const is = (secret: SecretKey, printed: Uint8Array, what: string): void =>
  assert.equal(faceOf(secret), hex(printed), what)

const expanded = (one: Trace, label: string): Uint8Array =>
  field(one, 'client', `derive secret "tls13 ${label}"`, 'expanded')
const transcriptHashOf = (one: Trace, label: string): Uint8Array =>
  field(one, 'client', `derive secret "tls13 ${label}"`, 'hash')
const isResumed = (one: Trace): boolean => one.name === 'Resumed 0-RTT Handshake'

/** The PSK that a resumed session begins with; a full handshake has none. */
function pskOf(one: Trace): SecretKey | undefined {
  return isResumed(one)
    ? secretOf(field(one, 'client', 'extract secret "early"', 'IKM'))
    : undefined
}

/** The hash under each Finished of the trace, taken over its messages. */
function finishedHash(one: Trace, actor: Actor): Uint8Array {
  for (const { step, transcript } of walk(one)) {
    if (step.actor !== actor || step.label !== finishedLabel) continue
    return sha256(transcript)
  }
  throw new Error(`${one.name} has no Finished of the ${actor}`)
}

const finishedLabel = 'calculate finished "tls13 finished"'

/** The schedule of a whole connection, held against the secrets that the trace prints. */
function run(one: Trace, crypto: ChannelCrypto): void {
  const early = EarlySecrets.from(crypto, suite, pskOf(one))
  if (isResumed(one)) {
    const binder = early.binder(field(one, 'client', 'calculate PSK binder', 'binder hash'))
    const printed = field(one, 'client', 'calculate PSK binder', 'finished')
    assert.equal(hex(binder), hex(printed), 'binder')
  }
  const shared = secretOf(field(one, 'server', 'extract secret "handshake"', 'IKM'))
  const handshake = early.handshake(shared)
  const traffic = handshake.traffic(transcriptHashOf(one, 'c hs traffic'))
  is(traffic.client, expanded(one, 'c hs traffic'), 'c hs traffic')
  is(traffic.server, expanded(one, 's hs traffic'), 's hs traffic')
  for (const actor of ['client', 'server'] as const) {
    const mac = finishedMac(crypto, suite, traffic[actor], finishedHash(one, actor))
    const message = field(one, actor, 'construct a Finished handshake message', 'Finished')
    assert.equal(hex(mac), hex(message.subarray(4)), `Finished of the ${actor}`)
  }

  const master = handshake.master()
  const application = master.traffic(transcriptHashOf(one, 'c ap traffic'))
  is(application.client, expanded(one, 'c ap traffic'), 'c ap traffic')
  is(application.server, expanded(one, 's ap traffic'), 's ap traffic')
  is(application.exporter, expanded(one, 'exp master'), 'exp master')
  is(master.resumption(transcriptHashOf(one, 'res master')), expanded(one, 'res master'), 'res')
  for (const secret of [...Object.values(traffic), application.client, application.server]) {
    assert.equal(new RecordProtection(crypto, suite, secret).count, 0)
  }
}

/** Inputs as the schedule has them: no salt is a salt of zeros (RFC 5869 §2.2). */
function printedCalls(step: Step): Call[] {
  const names = step.fields.map(({ name }) => name)
  const part = (name: string): string => hex(fieldOf(step, name))
  if (names.includes('IKM')) {
    const salt = part('salt') === '' ? '00'.repeat(suite.hashLength) : part('salt')
    return [{ inputs: [salt, part('IKM')], output: part('secret') }]
  }
  if (!names.includes('PRK')) return []
  return expansions(step).map(({ prefix }) => ({
    inputs: [part('PRK'), part(`${prefix}info`)],
    output: part(`${prefix}expanded`),
  }))
}

/** 0-RTT, which this client never sends, and a ticket, which comes behind the handshake. */
const isElsewhere = /"tls13 (c e traffic|e exp master|resumption)"|keys for early application data/

for (const one of traces) {
  test(`${one.name}: the stages extract and expand each printed value from its printed inputs`, () => {
    const { crypto, calls } = accounting()
    run(one, crypto)
    let seen = 0
    for (const step of one.steps.filter(({ label }) => !isElsewhere.test(label))) {
      for (const printed of printedCalls(step)) {
        const made = calls.find(({ inputs }) => inputs.join() === printed.inputs.join())
        assert.equal(made?.output, printed.output, `{${step.actor}} ${step.label}`)
        seen++
      }
    }
    // 3 extractions, "derived" twice on one side and once on the other, 6 secrets, 2 Finished keys,
    // 4 keys with their IVs; with a PSK also the Finished key of its binder.
    assert.equal(seen, isResumed(one) ? 23 : 22)
  })

  test(`${one.name}: expandLabel gives each printed expansion, those of early data too`, () => {
    let seen = 0
    for (const step of one.steps.filter(({ fields }) =>
      fields.some(({ name }) => name === 'PRK'),
    )) {
      for (const { prefix, label, context } of expansions(step)) {
        const printed = fieldOf(step, `${prefix}expanded`)
        const prk = secretOf(fieldOf(step, 'PRK'))
        // The label's prefix is the function's own (RFC 8446 §7.1).
        const bare = label.replace(/^tls13 /, '')
        const secret = expandLabel(nodeCrypto, 'sha256', prk, bare, context, printed.length)
        is(secret, printed, `{${step.actor}} ${step.label}`)
        seen++
      }
    }
    assert.ok(seen >= 19)
  })
}

test('the ticket of the first connection gives the PSK of the resumed one', () => {
  const [simple, resumed] = traces
  assert.ok(simple && resumed && isResumed(resumed))
  const label = 'generate resumption secret "tls13 resumption"'
  const resumption = secretOf(expanded(simple, 'res master'))
  const psk = ticketKey(nodeCrypto, suite, resumption, field(simple, 'server', label, 'hash'))
  is(psk, field(simple, 'server', label, 'expanded'), 'resumption')
  is(psk, field(resumed, 'client', 'extract secret "early"', 'IKM'), 'PSK')
})

test('the resumption secret can be made of the printed master secret alone', () => {
  for (const one of traces) {
    const secret = secretOf(field(one, 'server', 'extract secret "master"', 'secret'))
    const master = new MasterSecrets(nodeCrypto, suite, secret)
    is(
      master.resumption(transcriptHashOf(one, 'res master')),
      expanded(one, 'res master'),
      one.name,
    )
  }
})

test('after a HelloRetryRequest the hash of the first hello stands in the transcript', () => {
  const one = traces.find(({ name }) => name === 'HelloRetryRequest')
  assert.ok(one)
  const hellos = stepsOf(one, 'client', 'construct a ClientHello handshake message')
  const answers = stepsOf(one, 'server', 'construct a ServerHello handshake message')
  const [first, second] = hellos.map((step) => fieldOf(step, 'ClientHello'))
  const [request, answer] = answers.map((step) => fieldOf(step, 'ServerHello'))
  assert.ok(first && second && request && answer)
  const covered = Buffer.concat([messageHash(sha256(first)), request, second, answer])
  assert.equal(hex(sha256(covered)), hex(transcriptHashOf(one, 'c hs traffic')))
})
