/** ServerHello (RFC 8446 §4.1.3) as no server of TLS 1.3 may say it to this client. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { extension, type Laid, u16 } from '../puppetBytes.ts'
import { groupIds, puppetAgreements, x25519Agreement } from '../puppetKeys.ts'
import * as steps from '../puppetSteps.ts'
import {
  assertOpen,
  assertRefused,
  policy,
  type Refusal,
  type Talk,
  talk,
  type TalkOptions,
} from './conversation.ts'
import { resumed } from './settings.ts'

const illegal = { alert: 'illegal_parameter', code: 'ERR_TLS_ILLEGAL_PARAMETER' }
const malformed = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }
const oldVersion = { alert: 'protocol_version', code: 'ERR_TLS_VERSION' }
const downgraded = { alert: 'illegal_parameter', code: 'ERR_TLS_DOWNGRADE' }
const unasked = { alert: 'unsupported_extension', code: 'ERR_TLS_UNSUPPORTED_EXTENSION' }
const missing = { alert: 'missing_extension', code: 'ERR_TLS_MISSING_EXTENSION' }
const badShare = { alert: 'illegal_parameter', code: 'ERR_KEY_SHARE' }

/** A hello with these parts in the place of the right ones, and silence behind it. */
function saying(parts: Partial<steps.HelloParts>, options?: TalkOptions): Promise<Talk> {
  const hello = steps.bareServerHello((right) => ({ ...right, ...parts }))
  return talk({ flights: [[hello]] }, options)
}

async function refuses(
  parts: Partial<steps.HelloParts>,
  refusal: Refusal,
  what?: string,
): Promise<void> {
  assertRefused(await saying(parts), refusal, what)
}

const share = steps.keyShare(groupIds.x25519, x25519Agreement(1).share)
const serverNameTaken = extension('server_name', 0, Buffer.alloc(0))
const renegotiation = extension('renegotiation_info', 0xff01, Buffer.alloc(1))

/** RFC 8446 §4.1.3: the last eight bytes of the random. */
const marked = (last: number): Buffer =>
  Buffer.concat([steps.serverRandom.subarray(0, 24), Buffer.from('DOWNGRD'), Buffer.of(last)])

/** As a server of TLS 1.2 has them, up to none at all. */
const olderExtensions: readonly (readonly Laid[] | undefined)[] = [
  undefined,
  [],
  [share],
  [renegotiation, serverNameTaken],
]

suite('of an older version', () => {
  test('it is told as what it is, whatever its extensions', async () => {
    for (const extensions of olderExtensions) {
      await refuses({ extensions, suite: 0xc02b }, oldVersion)
      await refuses({ extensions, version: 0x0302 }, oldVersion)
    }
  })

  test('with the mark of a server that could do better, somebody stands between', async () => {
    for (const extensions of olderExtensions) {
      // TLS 1.2; TLS 1.1 and below.
      await refuses({ extensions, random: marked(1) }, downgraded)
      await refuses({ extensions, random: marked(0) }, downgraded)
      await refuses({ extensions, random: marked(0), version: 0x0302 }, downgraded)
      await refuses({ extensions, random: marked(2) }, oldVersion)
    }
  })

  test('the mark means nothing in TLS 1.3', async () => {
    const hello = steps.serverHello((right) => ({ ...right, random: marked(1) }))
    assertOpen(await talk({ flights: [[hello, ...steps.fullFlight.slice(1)]] }))
  })

  test('legacy_version is always that of TLS 1.2', async () => {
    for (const version of [0, 0x0300, 0x0301, 0x0302, 0x0304, 0x7f1c, 0xfefd, 0xffff]) {
      await refuses({ version }, oldVersion, version.toString(16))
    }
  })

  test('supported_versions has TLS 1.3 and no other', async () => {
    for (const version of [0, 0x0300, 0x0302, 0x0303, 0x0305, 0x7f1c, 0x7f17, 0xfefc, 0x0a0a]) {
      const extensions = [extension('supported_versions', 43, u16(version)), share]
      await refuses({ extensions }, illegal, version.toString(16))
    }
    for (const body of [[], [3], [3, 4, 0], [2, 3, 4]]) {
      const extensions = [extension('supported_versions', 43, Buffer.from(body)), share]
      await refuses({ extensions }, malformed, body.join())
    }
  })
})

suite('choices', () => {
  test('a cipher suite that was not offered is refused', async () => {
    for (const id of [0, 0x1300, 0x1304, 0x1305, 0xc02b, 0xc02f, 0x00ff, 0x5600, 0xffff]) {
      await refuses({ suite: id }, illegal, id.toString(16))
    }
  })

  test('a compression is refused', async () => {
    for (const compression of [1, 64, 255]) await refuses({ compression }, illegal)
  })

  test('another session id than was sent is refused', async () => {
    const sent = Buffer.alloc(32, 0x5a)
    for (const sessionId of [
      Buffer.alloc(0),
      sent.subarray(1),
      Buffer.concat([sent, Buffer.of(0x5a)]),
      Buffer.alloc(32),
    ]) {
      await refuses({ sessionId }, illegal)
    }
    const options = { policy: { ...policy, compatibility: false } }
    assertRefused(await saying({ sessionId: sent }, options), illegal)
    assertOpen(await talk({}, options))
  })

  test('a group that was not offered, or offered without a share, is refused', async () => {
    const point = puppetAgreements.get(groupIds.secp256r1)?.share ?? Buffer.alloc(0)
    for (const [group, bytes] of [
      [groupIds.secp256r1, point],
      [0x18, Buffer.alloc(97, 4)],
      [groupIds.X25519MLKEM768, Buffer.alloc(1120, 9)],
      [0x0a0a, Buffer.of(1)],
      [0, Buffer.alloc(32, 9)],
    ] as const) {
      await refuses({ extensions: [steps.tls13, steps.keyShare(group, bytes)] }, illegal)
    }
  })

  test('key_share is one share, whole', async () => {
    const right = x25519Agreement(1).share
    for (const body of [
      Buffer.alloc(0),
      u16(groupIds.x25519),
      Buffer.concat([u16(groupIds.x25519), u16(0)]),
      Buffer.concat([u16(groupIds.x25519), u16(33), right]),
      Buffer.concat([u16(groupIds.x25519), u16(31), right]),
      // As a client would say it: a list.
      Buffer.concat([u16(36), u16(groupIds.x25519), u16(32), right]),
    ]) {
      await refuses({ extensions: [steps.tls13, extension('key_share', 51, body)] }, malformed)
    }
  })
})

/** The real provider, and one group of it. */
function sharing(group: 'x25519' | 'secp256r1' | 'X25519MLKEM768'): TalkOptions {
  return { crypto: nodeCrypto, policy: { groups: [group] } }
}

const shareCases = {
  x25519: {
    // Points of small order (RFC 7748 §6.1): each makes a secret of zeros.
    'of small order': [
      Buffer.alloc(32),
      Buffer.concat([Buffer.of(1), Buffer.alloc(31)]),
      Buffer.from('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', 'hex'),
      Buffer.from('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157', 'hex'),
      Buffer.from('ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'hex'),
      Buffer.from('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'hex'),
      Buffer.from('eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'hex'),
    ],
    'of another length': [1, 31, 33, 64, 65].map((length) => Buffer.alloc(length, 9)),
  },
  secp256r1: {
    'that is no point in its uncompressed form': [0, 2, 3, 4, 5, 6, 7, 255].flatMap((form) => {
      const { share: right } = puppetAgreements.get(groupIds.secp256r1) ?? {
        share: Buffer.alloc(65),
      }
      const point = Buffer.concat([Buffer.of(form), right.subarray(1)])
      return form === 4 ? [] : [point, point.subarray(0, 33)]
    }),
    'off its curve': [
      Buffer.concat([Buffer.of(4), Buffer.alloc(64)]),
      Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]),
      Buffer.concat([Buffer.of(4), Buffer.alloc(64, 255)]),
    ],
    'of another length': [1, 33, 64, 66, 130].map((length) => Buffer.alloc(length, 4)),
  },
  X25519MLKEM768: {
    'of another length': [32, 1088, 1119, 1121, 1184, 1216].map((length) =>
      Buffer.alloc(length, 9),
    ),
    'with an x25519 of small order': [Buffer.alloc(1120)],
  },
} as const

for (const group of ['x25519', 'secp256r1', 'X25519MLKEM768'] as const) {
  const lacking = nodeCrypto.groups.includes(group) ? false : `this Node has no ${group}`
  suite(`a share of ${group}`, { skip: lacking }, () => {
    for (const [what, shares] of Object.entries(shareCases[group])) {
      test(`${what} is refused`, async () => {
        assert.ok(shares.length > 0)
        for (const bytes of shares) {
          const extensions = [steps.tls13, steps.keyShare(groupIds[group], bytes)]
          const refused = await saying({ extensions }, sharing(group))
          assertRefused(refused, badShare, Buffer.from(bytes).toString('hex'))
        }
      })
    }
  })
}

const hybrid = nodeCrypto.groups.includes('X25519MLKEM768') ? false : 'this Node has no ML-KEM'

test('an ML-KEM ciphertext that is none makes a secret that opens nothing', {
  skip: hybrid,
}, async () => {
  // FIPS 203 §6.3: it is rejected implicitly.
  const bytes = Buffer.concat([Buffer.alloc(1088, 7), x25519Agreement(1).share])
  const hello = steps.serverHello((right) => ({
    ...right,
    extensions: [steps.tls13, steps.keyShare(groupIds.X25519MLKEM768, bytes)],
  }))
  const flights = [[hello, steps.encryptedExtensions()]]
  const refused = await talk({ flights }, sharing('X25519MLKEM768'))
  assert.equal(refused.puppet.unreadable, 1)
  assertRefused(refused, { alert: undefined, code: 'ERR_TLS_RECORD_MAC' })
})

const selected = (index: number): Laid => extension('pre_shared_key', 41, u16(index))

suite('a ticket', () => {
  test('that was never offered cannot be accepted', async () => {
    await refuses({ extensions: [steps.tls13, share, selected(0)] }, unasked)
  })

  test('is the only one: another index is refused', async () => {
    const { options } = await resumed()
    for (const index of [1, 2, 256, 65_535]) {
      const extensions = [steps.tls13, share, selected(index)]
      assertRefused(await saying({ extensions }, options), illegal, `index ${index}`)
    }
    const extensions = [steps.tls13, share, extension('pre_shared_key', 41, Buffer.of(0))]
    assertRefused(await saying({ extensions }, options), malformed)
  })

  test('is not accepted without a key agreement', async () => {
    const { options } = await resumed()
    assertRefused(await saying({ extensions: [steps.tls13, selected(0)] }, options), illegal)
  })

  test('is not accepted with a suite of another hash', async () => {
    const { options } = await resumed()
    const extensions = [steps.tls13, share, selected(0)]
    assertRefused(await saying({ extensions, suite: 0x1302 }, options), illegal)
  })

  test('is accepted with another suite of its hash', async () => {
    const { puppet, options } = await resumed()
    const talked = await talk({ ...puppet, suite: 0x1303 }, options)
    assertOpen(talked)
    const [secured] = talked.secured
    assert.deepEqual([secured?.suite, secured?.isResumed], ['TLS_CHACHA20_POLY1305_SHA256', true])
    assert.equal(talked.signed, 0)
  })

  test('of a server that has not its secret opens nothing', async () => {
    const { puppet, options } = await resumed()
    // The puppet takes the ticket and goes on without its secret.
    const pretends = steps.serverHello((right, says) => {
      says.psk = undefined
      return right
    })
    const flight = [pretends, ...steps.resumedFlight.slice(1)]
    const refused = await talk({ ...puppet, flights: [flight] }, options)
    assert.equal(refused.puppet.unreadable, 1)
    assertRefused(refused, { alert: undefined, code: 'ERR_TLS_RECORD_MAC' })
  })
})

suite('extensions', () => {
  test('that were not asked for are refused', async () => {
    for (const type of [1, 44, 42, 48, 0x0a0a, 0xff01]) {
      const extensions = [steps.tls13, share, extension('unasked', type, Buffer.alloc(0))]
      await refuses({ extensions }, unasked, `extension ${type}`)
    }
  })

  test('that stand twice are refused', async () => {
    await refuses({ extensions: [steps.tls13, share, share] }, illegal)
    await refuses({ extensions: [steps.tls13, steps.tls13, share] }, illegal)
  })

  test('that are missing are missed', async () => {
    await refuses({ extensions: [steps.tls13] }, missing)
  })
})
