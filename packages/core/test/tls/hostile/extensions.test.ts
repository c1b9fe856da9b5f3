/**
 * Each extension that TLS knows in each message of a server that it does not belong in, by the table
 * of RFC 8446 §4.2 (RFC 8449 for record_size_limit). One that the client asked for and that is in
 * the wrong place is illegal_parameter; one that it did not ask for is unsupported_extension; where
 * a server may tell unasked, what the client does not know is ignored.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { extensionsMax } from '../../../src/tls/limits.ts'
import type { PuppetOptions, Step } from '../puppet.ts'
import { extension, type Laid, u16 } from '../puppetBytes.ts'
import { groupIds } from '../puppetKeys.ts'
import * as steps from '../puppetSteps.ts'
import {
  assertFailed,
  assertOpen,
  assertRefused,
  opened,
  policy,
  type Talk,
  talk,
} from './conversation.ts'
import { freshSession } from './settings.ts'

const illegal = { alert: 'illegal_parameter', code: 'ERR_TLS_ILLEGAL_PARAMETER' }
const unasked = { alert: 'unsupported_extension', code: 'ERR_TLS_UNSUPPORTED_EXTENSION' }
const missing = { alert: 'missing_extension', code: 'ERR_TLS_MISSING_EXTENSION' }
const malformed = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }
const tooMany = { alert: 'internal_error', code: 'ERR_TLS_LIMIT' }

type Where = 'SH' | 'HRR' | 'EE' | 'CR' | 'CT' | 'NST'

/** RFC 8446 §4.2: the messages of a server in which an extension may be. */
const places: readonly (readonly [name: string, type: number, ...Where[]])[] = [
  ['server_name', 0, 'EE'],
  ['max_fragment_length', 1, 'EE'],
  ['status_request', 5, 'CR', 'CT'],
  ['supported_groups', 10, 'EE'],
  ['signature_algorithms', 13, 'CR'],
  ['use_srtp', 14, 'EE'],
  ['heartbeat', 15, 'EE'],
  ['application_layer_protocol_negotiation', 16, 'EE'],
  ['signed_certificate_timestamp', 18, 'CR', 'CT'],
  ['client_certificate_type', 19, 'EE'],
  ['server_certificate_type', 20, 'EE'],
  ['padding', 21],
  ['record_size_limit', 28, 'EE'],
  ['pre_shared_key', 41, 'SH'],
  ['early_data', 42, 'EE', 'NST'],
  ['supported_versions', 43, 'SH', 'HRR'],
  ['cookie', 44, 'HRR'],
  ['psk_key_exchange_modes', 45],
  ['certificate_authorities', 47, 'CR'],
  ['oid_filters', 48, 'CR'],
  ['post_handshake_auth', 49],
  ['signature_algorithms_cert', 50, 'CR'],
  ['key_share', 51, 'SH', 'HRR'],
  ['one of GREASE', 0x0a0a],
  ['one that is private', 0xfe01],
]

/** Which of them this client implements. */
const implemented: ReadonlySet<number> = new Set([0, 5, 10, 13, 16, 28, 41, 42, 43, 44, 45, 47, 51])

const options = { policy: { ...policy, alpn: ['h2'] }, session: await freshSession() }

/** A flight in which the message has these extensions beside its own. */
const flightWith: Readonly<Record<Exclude<Where, 'NST'>, (added: Laid) => readonly Step[]>> = {
  SH: (added) => [steps.serverHello(steps.adding(added))],
  HRR: (added) => [steps.retry(groupIds.secp256r1, steps.adding(added))],
  EE: (added) => [steps.serverHello(), steps.encryptedExtensions(added)],
  CR: (added) => [
    ...steps.fullFlight.slice(0, 3),
    steps.certificateRequest([steps.askedSchemes, added]),
    ...steps.fullFlight.slice(4),
  ],
  CT: (added) => [
    ...steps.fullFlight.slice(0, 4),
    steps.certificate(([leaf, ...above]) => [
      { der: leaf?.der ?? Buffer.alloc(0), extensions: [added] },
      ...above,
    ]),
  ],
}

/** The full handshake of a server that does not take the ticket which it is offered. */
function said(where: Where, added: Laid): Promise<Talk> {
  if (where === 'NST') {
    return opened([steps.ticket(9, (right) => ({ ...right, extensions: [added] }))], {}, options)
  }
  const puppet: Partial<PuppetOptions> = { flights: [flightWith[where](added)] }
  return talk(puppet, options)
}

const unaskedIsIgnored: ReadonlySet<Where> = new Set(['CR', 'NST'])

suite('in the wrong message', () => {
  for (const where of ['SH', 'HRR', 'EE', 'CR', 'CT', 'NST'] as const) {
    for (const [name, type, ...right] of places) {
      if (right.includes(where)) continue
      const ignored = unaskedIsIgnored.has(where) && !implemented.has(type)
      test(`${name} in ${where} is ${ignored ? 'ignored' : 'refused'}`, async () => {
        const talked = await said(where, extension(name, type, Buffer.alloc(0)))
        if (ignored) return assertOpen(talked)
        const asked = talked.puppet.hello?.extensions.has(type) ?? false
        const refusal = asked || unaskedIsIgnored.has(where) ? illegal : unasked
        if (where === 'NST') assertFailed(talked, refusal)
        else assertRefused(talked, refusal)
      })
    }
  }
})

suite('in the right message, but unasked', () => {
  for (const [where, type] of [
    ['EE', 0],
    ['EE', 16],
    ['CT', 5],
    ['SH', 41],
    ['EE', 42],
    ['EE', 1],
    ['CT', 18],
  ] as const) {
    test(`${type} in ${where} is refused`, async () => {
      // An address has no name to send, and a policy may ask for less.
      const bare = { host: '192.0.2.1', policy: { ...policy, staple: false, resumption: false } }
      const flights = [flightWith[where](extension('unasked', type, Buffer.alloc(0)))]
      assertRefused(await talk({ flights }, bare), unasked)
    })
  }
})

suite('twice', () => {
  const twice: readonly (readonly [Where, number])[] = [
    ['SH', 43],
    ['SH', 51],
    ['HRR', 43],
    ['HRR', 51],
    ['CR', 13],
  ]
  for (const [where, type] of twice) {
    test(`${type} in ${where} is refused`, async () => {
      const refused = await said(where, extension('again', type, Buffer.alloc(2)))
      assertRefused(refused, illegal)
    })
  }

  const pairs: readonly (readonly [Exclude<Where, 'NST'>, number, Uint8Array])[] = [
    ['HRR', 44, Buffer.of(0, 1, 7)],
    ['EE', 0, Buffer.alloc(0)],
    ['EE', 16, Buffer.from('0003026832', 'hex')],
    ['EE', 28, u16(1000)],
    ['EE', 10, Buffer.of(0, 2, 0, 29)],
    ['CR', 47, Buffer.from('000400023000', 'hex')],
    ['CR', 0xfafa, Buffer.alloc(0)],
    ['CT', 5, Buffer.of(1, 0, 0, 1, 0x30)],
  ]
  for (const [where, type, body] of pairs) {
    test(`a pair of ${type} in ${where} is refused`, async () => {
      const one = extension('one', type, body)
      const pair = { bytes: Buffer.concat([one.bytes, one.bytes]), fields: [] }
      assertRefused(await said(where, pair), illegal)
    })
  }

  test('a pair in a NewSessionTicket is refused', async () => {
    for (const [type, body] of [
      [42, Buffer.alloc(4)],
      [0xfafa, Buffer.alloc(0)],
    ] as const) {
      const one = extension('one', type, body)
      const pair = { bytes: Buffer.concat([one.bytes, one.bytes]), fields: [] }
      assertFailed(await said('NST', pair), illegal)
    }
  })
})

suite('missing', () => {
  test('without signature_algorithms a CertificateRequest is refused', async () => {
    const flight = steps.fullFlight.toSpliced(3, 1, steps.certificateRequest([]))
    assertRefused(await talk({ flights: [flight] }), missing)
  })

  test('none of EncryptedExtensions is', async () => {
    const talked = await talk({}, options)
    assertOpen(talked)
    assert.equal(talked.secured[0]?.alpn, undefined)
  })
})

suite('of another form', () => {
  const wrong: readonly (readonly [Exclude<Where, 'NST'>, number, string, typeof illegal])[] = [
    ['EE', 0, '00', malformed],
    ['EE', 16, '', malformed],
    ['EE', 16, '0000', malformed],
    ['EE', 16, '000100', malformed],
    ['EE', 16, '0003026831', illegal],
    ['EE', 16, '000302683200', malformed],
    // Two names: h2 and h2.
    ['EE', 16, '0006026832026832', malformed],
    ['EE', 16, '0003026880', illegal],
    ['EE', 28, '40', malformed],
    ['EE', 28, '400100', malformed],
    ['EE', 28, '003f', illegal],
    ['EE', 28, '0000', illegal],
    ['CT', 5, '', malformed],
    ['CT', 5, '01', malformed],
    ['CT', 5, '01000000', malformed],
    ['CT', 5, '0100000130ff', malformed],
    ['CT', 5, '0000000130', illegal],
    ['CT', 5, '0200000130', illegal],
  ]
  for (const [where, type, body, refusal] of wrong) {
    test(`${type} in ${where} as "${body}" is refused`, async () => {
      const added = extension('wrong', type, Buffer.from(body, 'hex'))
      assertRefused(await said(where, added), refusal)
    })
  }

  for (const body of ['', '00', '0000', '000107', '00020807ff', '0003080704']) {
    test(`signature_algorithms as "${body}" is refused`, async () => {
      const algorithms = extension('signature_algorithms', 13, Buffer.from(body, 'hex'))
      const flight = steps.fullFlight.toSpliced(3, 1, steps.certificateRequest([algorithms]))
      assertRefused(await talk({ flights: [flight] }), malformed)
    })
  }

  test('a CertificateRequest with a context is refused', async () => {
    const request = steps.certificateRequest([steps.askedSchemes], Buffer.of(1))
    assertRefused(await talk({ flights: [steps.fullFlight.toSpliced(3, 1, request)] }), illegal)
  })

  test('a Certificate with a context is refused', async () => {
    const certificate = steps.certificate((right) => right, Buffer.of(1))
    assertRefused(await talk({ flights: [steps.fullFlight.toSpliced(4, 1, certificate)] }), illegal)
  })
})

/** Of private use, each another. */
function many(count: number): Laid {
  const list = Array.from({ length: count }, (_, index) => {
    return extension('private', 0xf000 + index, u16(index)).bytes
  })
  return { bytes: Buffer.concat(list), fields: [] }
}

test('more extensions than any message has are refused, as many are not', async () => {
  // signature_algorithms is one of them.
  assertOpen(await said('CR', many(extensionsMax - 1)))
  assertRefused(await said('CR', many(extensionsMax)), tooMany)
  assertOpen(await said('NST', many(extensionsMax)))
  assertFailed(await said('NST', many(extensionsMax + 1)), tooMany)
})
