/** What our first ClientHello says, read by a parser of the RFC's text. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PolicyOptions, TlsClient } from '@countersign/core/tls'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { askedExtensions, type HelloParts } from '../../src/tls/clientHello.ts'
import { Start } from '../../src/tls/clientStart.ts'
import {
  cookieOf,
  groupsOf,
  namesOf,
  type ParsedHello,
  parseHello,
  protocolsOf,
  pskModesOf,
  psksOf,
  recordSizeLimitOf,
  schemesOf,
  sharesOf,
  statusRequestOf,
  typesOf,
  versionsOf,
} from './helloParser.ts'
import type { ClientCredential } from '@countersign/core/tls'
import { firstHello, knownSession, offering } from './offering.ts'
import { traces } from './rfc8448.ts'
import { hellosOf } from './rfc8448Client.ts'

/** RFC 8446 §4.2, RFC 8449 §4. */
const type = {
  serverName: 0,
  statusRequest: 5,
  supportedGroups: 10,
  signatureAlgorithms: 13,
  alpn: 16,
  recordSizeLimit: 28,
  preSharedKey: 41,
  supportedVersions: 43,
  pskKeyExchangeModes: 45,
  keyShare: 51,
}
const group = { secp256r1: 0x0017, x25519: 0x001d, X25519MLKEM768: 0x11ec }

test('the parser reads the hellos of RFC 8448', () => {
  const names = traces.flatMap((one) =>
    hellosOf(one).map((hello) => {
      const parsed = parseHello(hello)
      assert.deepEqual(versionsOf(parsed), [0x0304])
      return [one.section, namesOf(parsed)?.[0]?.name, sharesOf(parsed)?.[0]?.group]
    }),
  )
  assert.deepEqual(names, [
    ['3', 'server', group.x25519],
    ['4', 'server', group.x25519],
    ['5', 'server', group.x25519],
    ['5', 'server', group.secp256r1],
    ['6', 'server', group.x25519],
    ['7', 'server', group.x25519],
  ])
})

test('a client with all that it can offer has these extensions in this order', () => {
  const serverName = 'gate.example'
  const { session } = knownSession(undefined, { serverName })
  const hello = firstHello({ alpn: ['mqtt'] }, { serverName, session })
  assert.deepEqual(typesOf(hello), [
    type.supportedVersions,
    type.supportedGroups,
    type.signatureAlgorithms,
    type.keyShare,
    type.recordSizeLimit,
    type.serverName,
    type.alpn,
    type.statusRequest,
    type.pskKeyExchangeModes,
    // RFC 8446 §4.2.11: the last one.
    type.preSharedKey,
  ])
})

test('a client with as little as possible has the five that it needs', () => {
  const hello = firstHello({ staple: false, resumption: false })
  assert.deepEqual(typesOf(hello), [
    type.supportedVersions,
    type.supportedGroups,
    type.signatureAlgorithms,
    type.keyShare,
    type.recordSizeLimit,
  ])
})

const sorted = (numbers: Iterable<number>): number[] => [...numbers].toSorted((a, b) => a - b)

test('what may be answered is what was asked, whatever the policy', () => {
  const { session } = knownSession()
  let seen = 0
  for (let choice = 0; choice < 32; choice++) {
    const [alpn, staple, resumption, name, ticket] = [1, 2, 4, 8, 16].map((bit) => choice & bit)
    const policy: PolicyOptions = {
      alpn: alpn ? ['a'] : [],
      staple: Boolean(staple),
      resumption: Boolean(resumption),
    }
    const serverName = name ? 'gate.example' : undefined
    const ours = { ...session, serverName }
    const { options } = offering(policy, { serverName, session: ticket ? ours : undefined })
    const hello = parseHello(new Start(options).offer().message)
    const parts: HelloParts = {
      policy: options.policy,
      random: hello.random,
      sessionId: hello.sessionId,
      serverName,
      shares: [],
      cookie: undefined,
      resuming: psksOf(hello) && { session: ours, now: 0 },
    }
    assert.deepEqual(sorted(askedExtensions(parts)), sorted(typesOf(hello)), `choice ${choice}`)
    seen++
  }
  assert.equal(seen, 32)
})

test('the fields of older versions have their fixed values, the random is drawn', () => {
  const [first, second] = [firstHello(), firstHello()]
  for (const { legacyVersion, compression, sessionId } of [first, second]) {
    assert.equal(legacyVersion, 0x0303)
    assert.deepEqual(compression, [0])
    assert.equal(sessionId.length, 32)
  }
  assert.notDeepEqual(first.random, second.random)
  assert.notDeepEqual(first.sessionId, second.sessionId)
  assert.notDeepEqual(first.random, first.sessionId)
  assert.equal(firstHello({ compatibility: false }).sessionId.length, 0)
})

test('only TLS 1.3, and the suites of the policy in its order', () => {
  const usual = firstHello()
  assert.deepEqual(versionsOf(usual), [0x0304])
  assert.deepEqual(usual.suites, [0x1301, 0x1302, 0x1303])
  const chosen = firstHello({
    suites: ['TLS_AES_128_CCM_8_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'],
  })
  assert.deepEqual(chosen.suites, [0x1305, 0x1303])
})

test('signatures of chains and handshakes, each scheme by its number', () => {
  // RFC 8446 §4.2.3: ECDSA with its curve's hash, Ed25519, RSA-PSS with rsaEncryption, PKCS#1.
  assert.deepEqual(
    schemesOf(firstHello()),
    [0x0403, 0x0807, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601],
  )
})

test('the first two groups have their shares, in the order of the groups', () => {
  const { options, made } = offering({ groups: ['secp256r1', 'x25519'] })
  const hello = parseHello(new Start(options).offer().message)
  assert.deepEqual(groupsOf(hello), [group.secp256r1, group.x25519])
  const shares = sharesOf(hello)
  assert.deepEqual(
    shares?.map(({ share, group: number }) => [number, share.length]),
    [
      [group.secp256r1, 65],
      [group.x25519, 32],
    ],
  )
  // RFC 8446 §4.2.8.2: the uncompressed form.
  assert.equal(shares?.[0]?.share[0], 4)
  assert.deepEqual(
    shares.map(({ share }) => share.toString('hex')),
    made.map(({ share }) => Buffer.from(share).toString('hex')),
  )
})

test('the hybrid comes first where the provider has it', (context) => {
  if (!nodeCrypto.groups.includes('X25519MLKEM768')) return context.skip('no ML-KEM in this Node')
  const hello = firstHello()
  assert.deepEqual(groupsOf(hello), [group.X25519MLKEM768, group.x25519, group.secp256r1])
  assert.deepEqual(
    sharesOf(hello)?.map(({ share, group: number }) => [number, share.length]),
    [
      [group.X25519MLKEM768, 1184 + 32],
      [group.x25519, 32],
    ],
  )
})

test('a policy may send fewer shares, none at all too', () => {
  const groups = ['x25519', 'secp256r1'] as const
  const one = firstHello({ groups, shares: ['secp256r1'] })
  assert.deepEqual(groupsOf(one), [group.x25519, group.secp256r1])
  assert.deepEqual(
    sharesOf(one)?.map(({ group: number }) => number),
    [group.secp256r1],
  )
  assert.deepEqual(sharesOf(firstHello({ groups, shares: [] })), [])
})

test('the limit of records counts the type behind the content', () => {
  assert.equal(recordSizeLimitOf(firstHello()), 2 ** 14 + 1)
  assert.equal(recordSizeLimitOf(firstHello({ recordContentMax: 64 })), 65)
  assert.equal(recordSizeLimitOf(firstHello({ recordContentMax: 1023 })), 1024)
})

test('protocols, a staple and tickets are asked for in the form of their RFCs', () => {
  const hello = firstHello({ alpn: ['mqtt', 'http/1.1', 'x'.repeat(255)] })
  assert.deepEqual(protocolsOf(hello), ['mqtt', 'http/1.1', 'x'.repeat(255)])
  const empty = Buffer.alloc(0)
  assert.deepEqual(statusRequestOf(hello), { kind: 1, responders: empty, extensions: empty })
  // psk_dhe_ke alone: no session without its own key agreement.
  assert.deepEqual(pskModesOf(hello), [1])
  assert.equal(cookieOf(hello), undefined)
})

/** What a client says to the host that its user names. */
function helloTo(host: string | undefined): ParsedHello {
  const sent: Uint8Array[] = []
  const { options } = offering()
  const client = new TlsClient(
    { crypto: nodeCrypto, random: randomBytes, clock: options.clock, trust: options.trust, host },
    {
      send: (bytes) => sent.push(bytes),
      secured: () => assert.fail('nobody answered'),
      data: () => assert.fail('nobody answered'),
      resumable: () => assert.fail('nobody answered'),
      ended: () => assert.fail('nobody answered'),
      failed: (error) => assert.fail(String(error)),
    },
  )
  client.start()
  const [record, ...others] = sent
  assert.ok(record && others.length === 0)
  const body = Buffer.from(record)
  assert.deepEqual([...body.subarray(0, 3)], [22, 3, 1])
  assert.equal(body.readUInt16BE(3), body.length - 5)
  return parseHello(body.subarray(5))
}

test('a host name is asked for as it is, without the dot of the root', () => {
  assert.deepEqual(namesOf(helloTo('gate.example')), [{ kind: 0, name: 'gate.example' }])
  assert.deepEqual(namesOf(helloTo('gate.example.')), [{ kind: 0, name: 'gate.example' }])
  assert.deepEqual(namesOf(helloTo('localhost')), [{ kind: 0, name: 'localhost' }])
})

test('an address, or no host, is not asked for', () => {
  for (const host of ['192.0.2.7', '2001:db8::1', '::1', undefined]) {
    const hello = helloTo(host)
    assert.equal(namesOf(hello), undefined, host)
    assert.ok(!typesOf(hello).includes(type.serverName))
  }
})

test('a host that is no name and no address is refused before anything is sent', () => {
  for (const host of [
    '',
    '.',
    'a b',
    'gate..example',
    'gate/example',
    'ü.example',
    '192.0.2.7:443',
  ]) {
    assert.throws(() => helloTo(host), { code: 'ERR_TLS_POLICY' }, host)
  }
})

test('a ticket is offered only as the client, and for the name, of its own handshake', () => {
  const [one, other] = [Buffer.from('a leaf'), Buffer.from('another')]
  const signer = { scheme: { kind: 'ed25519' }, spki: one, sign: async () => one } as const
  const as = (leaf: Uint8Array | undefined): ClientCredential | undefined =>
    leaf && { chain: [leaf], signer }
  const names = [undefined, 'gate.example', 'other.example']
  const leaves = [undefined, one, other]
  for (const serverName of names) {
    for (const client of leaves) {
      const { session } = knownSession(undefined, { serverName, client })
      const offered = names.flatMap((name) =>
        leaves.filter((leaf) =>
          psksOf(firstHello({}, { serverName: name, credential: as(leaf), session })),
        ),
      )
      assert.deepEqual(offered, [client])
    }
  }
})
