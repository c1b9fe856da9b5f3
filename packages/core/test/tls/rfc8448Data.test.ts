/**
 * The traces of RFC 8448 agree with themselves: each value that follows from others is computed
 * again, with node:crypto alone, so that a wrong octet in vectors/tls-rfc8448.json shows.
 */
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import {
  type Actor,
  field,
  fieldOf,
  rsaKey,
  stepsOf,
  type Trace,
  trace,
  traces,
} from './rfc8448.ts'
import {
  expand,
  expansions,
  hkdfLabel,
  hmac,
  nothing,
  parentOf,
  publicKeyOf,
  publicKeyOfCertificate,
  sha256,
  sharedSecret,
  signatureHolds,
  walk,
  Writer,
} from './rfc8448Recompute.ts'

const is = (got: Uint8Array, printed: Uint8Array, what: string): void =>
  assert.equal(Buffer.from(got).toString('hex'), Buffer.from(printed).toString('hex'), what)

test('every value has as many octets as the text says', () => {
  const counts = traces.map((one) => {
    for (const step of one.steps) {
      for (const { name, octets, hex } of step.fields) {
        assert.match(hex, /^[0-9a-f]*$/)
        assert.equal(hex.length / 2, octets, `${one.name}: {${step.actor}} ${step.label}, ${name}`)
      }
    }
    return [one.section, one.name, one.steps.length, one.steps.flatMap((s) => s.fields).length]
  })
  assert.deepEqual(counts, [
    ['3', 'Simple 1-RTT Handshake', 55, 109],
    ['4', 'Resumed 0-RTT Handshake', 60, 125],
    ['5', 'HelloRetryRequest', 54, 106],
    ['6', 'Client Authentication', 52, 101],
    ['7', 'Compatibility Mode', 51, 102],
  ])
})

for (const one of traces) {
  test(`${one.name}: public keys and the shared secret follow from the private keys`, () => {
    const pairs = one.steps.filter((step) => step.label.startsWith('create an ephemeral'))
    for (const step of pairs) is(publicKeyOf(step), fieldOf(step, 'public key'), step.label)
    const client = pairs.findLast((step) => step.actor === 'client')
    const server = pairs.findLast((step) => step.actor === 'server')
    assert.ok(client && server)
    const printed = field(one, 'server', 'extract secret "handshake"', 'IKM')
    is(sharedSecret(client, fieldOf(server, 'public key')), printed, 'client')
    is(sharedSecret(server, fieldOf(client, 'public key')), printed, 'server')
  })

  test(`${one.name}: each secret is extracted from the one before it`, () => {
    const steps = one.steps.filter((step) => step.fields.some(({ name }) => name === 'IKM'))
    assert.equal(steps.length, 3)
    for (const step of steps) {
      const [salt, ikm] = [fieldOf(step, 'salt'), fieldOf(step, 'IKM')]
      is(hmac(salt, ikm), fieldOf(step, 'secret'), step.label)
      const next = /"(handshake|master)"/.exec(step.label)?.[1]
      if (next === undefined) continue
      const derived = field(one, 'server', `derive secret for ${next} "tls13 derived"`, 'expanded')
      is(derived, salt, step.label)
    }
  })

  test(`${one.name}: each expanded value follows from its secret, label and hash`, () => {
    const steps = one.steps.filter((step) => step.fields.some(({ name }) => name === 'PRK'))
    assert.ok(steps.length >= 15)
    for (const step of steps) {
      const prk = fieldOf(step, 'PRK')
      is(parentOf(one, step), prk, `PRK of {${step.actor}} ${step.label}`)
      for (const { prefix, label, context } of expansions(step)) {
        const printed = fieldOf(step, `${prefix}expanded`)
        const info = hkdfLabel(printed.length, label, context)
        is(info, fieldOf(step, `${prefix}info`), `info of ${step.label}`)
        is(expand(prk, info, printed.length), printed, `{${step.actor}} ${step.label}`)
      }
    }
  })

  test(`${one.name}: each hash and Finished is over the messages before it`, () => {
    let seen = 0
    for (const { step, transcript } of walk(one)) {
      const { label } = step
      const printed = step.fields.find(({ name }) => name === 'hash')
      if (label.startsWith('derive secret') && printed !== undefined) {
        const covered = label.includes('"tls13 derived"') ? nothing : transcript
        is(sha256(covered), fieldOf(step, 'hash'), `{${step.actor}} ${label}`)
        seen += 1
      } else if (step.fields.some(({ name }) => name === 'finished')) {
        const verifyData = hmac(fieldOf(step, 'expanded'), sha256(transcript))
        is(verifyData, fieldOf(step, 'finished'), `{${step.actor}} ${label}`)
        seen += 1
      }
    }
    // 3 × derived, 2 × hs traffic, 2 × ap traffic, exp master, res master, 2 × Finished;
    // with early data also a binder, c e traffic and e exp master.
    assert.equal(seen, one.name === 'Resumed 0-RTT Handshake' ? 14 : 11)
  })

  test(`${one.name}: each Finished message carries what was calculated`, () => {
    for (const actor of ['client', 'server'] as const) {
      const message = field(one, actor, 'construct a Finished handshake message', 'Finished')
      const calculated = stepsOf(one, actor, 'calculate finished "tls13 finished"')
        .filter((step) => step.actor === actor)
        .map((step) => fieldOf(step, 'finished'))
      assert.equal(calculated.length, 1)
      is(message, Buffer.concat([Buffer.from('14000020', 'hex'), ...calculated]), actor)
    }
  })

  test(`${one.name}: each record opens to its payload, the messages that were constructed`, () => {
    const writers = { client: new Writer(one, 'client'), server: new Writer(one, 'server') }
    let sealed = 0
    for (const { step, flight } of walk(one)) {
      const writer = writers[step.actor]
      writer.follow(step)
      if (!step.label.startsWith('send ')) continue
      const payload = fieldOf(step, 'payload')
      const opened = writer.open(fieldOf(step, 'complete record'))
      is(opened.content, payload, step.label)
      assert.equal(opened.type, contentTypes[step.label], step.label)
      if (step.label === 'send handshake record') is(payload, flight, step.label)
      if (opened.sealed) sealed += 1
    }
    assert.equal(sealed, sealedRecords[one.name])
  })

  test(`${one.name}: each CertificateVerify is signed by the key of its certificate`, () => {
    const signers: Actor[] = []
    for (const { step, transcript } of walk(one)) {
      if (step.label !== 'construct a CertificateVerify handshake message') continue
      const signed = fieldOf(step, 'CertificateVerify')
      assert.ok(signatureHolds(publicKeyOfCertificate(one, step.actor), signed, step, transcript))
      signers.push(step.actor)
    }
    assert.deepEqual(signers, certificateSigners[one.name])
  })
}

test('the RSA key of section 2 is whole, and the certificate of the server has it', () => {
  const key = rsaKey()
  for (const name of ['Simple 1-RTT Handshake', 'HelloRetryRequest', 'Compatibility Mode'] as const)
    assert.ok(createPublicKey(key).equals(publicKeyOfCertificate(trace(name), 'server')))
  const { n, e, d, p, q, dp, dq, qi } = key.export({ format: 'jwk' })
  const [N, E, D, P, Q, DP, DQ, QI] = [n, e, d, p, q, dp, dq, qi].map(bigint)
  assert.ok(N && E && D && P && Q && DP && DQ && QI)
  assert.equal(P * Q, N)
  assert.deepEqual([(E * D) % (P - 1n), (E * D) % (Q - 1n)], [1n, 1n])
  assert.deepEqual([D % (P - 1n), D % (Q - 1n), (QI * Q) % P], [DP, DQ, 1n])
})

test('the resumed handshake goes on with the ticket and the secret of the simple one', () => {
  const [simple, resumed] = [trace('Simple 1-RTT Handshake'), trace('Resumed 0-RTT Handshake')]
  const secretLabel = 'generate resumption secret "tls13 resumption"'
  const secret = field(simple, 'client', secretLabel, 'expanded')
  is(secret, field(resumed, 'client', 'extract secret "early"', 'IKM'), 'PSK')

  // RFC 8446 §4.6.1: lifetime, age_add, nonce<1>, ticket<2>
  const label = 'construct a NewSessionTicket handshake message'
  const newTicket = field(simple, 'server', label, 'NewSessionTicket')
  const nonceEnd = 13 + (newTicket[12] ?? 0)
  is(newTicket.subarray(13, nonceEnd), field(simple, 'server', secretLabel, 'hash'), 'nonce')
  const ticketLength = Buffer.from(newTicket).readUInt16BE(nonceEnd)
  const ticket = newTicket.subarray(nonceEnd + 2, nonceEnd + 2 + ticketLength)
  const hello = field(resumed, 'client', 'send handshake record', 'payload')
  assert.ok(ticketLength > 0 && Buffer.from(hello).includes(Buffer.from(ticket)))

  const binder = 'calculate PSK binder'
  const prefix = field(resumed, 'client', binder, 'ClientHello prefix')
  const helloLabel = 'construct a ClientHello handshake message'
  is(prefix, field(resumed, 'client', helloLabel, 'ClientHello'), 'prefix')
  is(sha256(prefix), field(resumed, 'client', binder, 'binder hash'), 'binder hash')
})

test('a step that is the same as another has the fields of that one', () => {
  const one = trace('Simple 1-RTT Handshake')
  const keys = 'traffic keys for handshake data'
  is(
    field(one, 'client', `derive read ${keys}`, 'key expanded'),
    field(one, 'server', `derive write ${keys}`, 'key expanded'),
    keys,
  )
  is(
    field(one, 'client', 'extract secret "master"', 'secret'),
    field(one, 'server', 'extract secret "master"', 'secret'),
    'master',
  )
})

test('a step or field that the text does not print is refused by name', () => {
  const one = trace('Compatibility Mode')
  assert.throws(() => field(one, 'client', 'send nothing', 'payload'), /no .*send nothing/)
  assert.throws(() => field(one, 'client', 'send alert record', 'seal'), /no seal of/)
  assert.throws(() => field(one, 'client', 'send alert record', 'payload', 1), /no .*\[1\]/)
})

const contentTypes: Readonly<Record<string, number>> = {
  'send change_cipher_spec record': 20,
  'send alert record': 21,
  'send handshake record': 22,
  'send application_data record': 23,
}

const sealedRecords: Readonly<Record<Trace['name'], number>> = {
  'Simple 1-RTT Handshake': 7,
  'Resumed 0-RTT Handshake': 8,
  HelloRetryRequest: 4,
  'Client Authentication': 4,
  'Compatibility Mode': 4,
}

const certificateSigners: Readonly<Record<Trace['name'], readonly Actor[]>> = {
  'Simple 1-RTT Handshake': ['server'],
  'Resumed 0-RTT Handshake': [],
  HelloRetryRequest: ['server'],
  'Client Authentication': ['server', 'client'],
  'Compatibility Mode': ['server'],
}

const bigint = (base64url: string | undefined): bigint =>
  BigInt(`0x${Buffer.from(base64url ?? '', 'base64url').toString('hex')}`)
