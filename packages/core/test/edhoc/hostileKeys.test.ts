/** Keys that are none: no point of the curve, X25519 of low order; and keys for another use. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import type { Certificate, VerifiedPeer } from '@countersign/core/credential'
import {
  Initiator,
  methods,
  offer,
  Responder,
  suitesOf,
  trustedCertificate,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { providers } from '../providers.ts'
import { needsOpenssl } from '../x509/support.ts'
import { ForeignPki, softOwn, type Who } from './foreignPki.ts'
import { type Script, scriptOf } from './parties.ts'
import { accepted, underway } from './stages.ts'

/** RFC 9529 §4.2: beyond the field, and an x without a point; and the x + p of a point. */
const noPoints = [
  'ffffffff00000001000000000000000000000000ffffffffffffffffffffffff',
  'a04e73601df544a70ba7ea1e57030f7d4b4eb7f673924e58d54ca77a5e7d4d4a',
  'ffffffff00000001000000000000000000000001000000000000000000000004',
]

interface Wycheproof {
  readonly testGroups: readonly {
    readonly tests: readonly { readonly public: string; readonly shared: string }[]
  }[]
}

const file = new URL('../../../../vectors/wycheproof/x25519_test.json', import.meta.url)
const { testGroups } = JSON.parse(readFileSync(file, 'utf8')) as Wycheproof
/** Whatever agrees with these agrees on zeros (RFC 7748 §6.1). */
const lowOrder = [
  ...new Set(
    testGroups.flatMap(({ tests }) =>
      tests.flatMap(({ public: share, shared }) => (/^0+$/.test(shared) ? [share] : [])),
    ),
  ),
]

const subjects = [
  ['no point of P-256', 'm3-s2-x5t-c-14', noPoints, 'ERR_EDHOC_POINT'],
  ['an X25519 key of low order', 'm3-s0-x25519', lowOrder, 'ERR_KEY_SHARE'],
] as const

for (const provider of providers)
  for (const [what, id, keys, code] of subjects) {
    const script = scriptOf(id, provider)
    const [message1, message2] = script.messages

    test(`${what} as G_X gets no message_2, ${provider.name}`, async () => {
      // METHOD, SUITES_I and the head of G_X: four bytes.
      for (const key of keys) {
        const changed = fromHex(message1.slice(0, 8) + key + message1.slice(72))
        await assert.rejects(underway(script, changed), { code }, key)
      }
    })

    test(`${what} as G_Y is refused before anything is derived, ${provider.name}`, async () => {
      // The head of a string that is shorter than 256.
      for (const key of keys) {
        const { next } = new Initiator(script.initiator).send()
        const changed = fromHex(message2.slice(0, 4) + key + message2.slice(68))
        await assert.rejects(next.receive(changed), { code }, key)
      }
    })

    test(`${what} as a static key is refused, ${provider.name}`, async () => {
      for (const key of keys) {
        const { wait2, wait3, compose3 } = await untilMessage3(script)
        const { message3 } = await compose3.send()
        const peer = { kind: 'static key', g: fromHex(key) } as const
        const { credential } = script.R.trusted
        const judgeR = await wait2.receive(fromHex(message2))
        await assert.rejects(judgeR.accept({ ...peer, credential }), { code }, key)
        const judgeI = wait3.receive(message3)
        const device = { ...peer, credential: script.I.trusted.credential }
        assert.throws(() => judgeI.accept(device), { code }, key)
      }
    })
  }

/** One initiator waits for message_2, another has gone on. */
async function untilMessage3(script: Script) {
  const { wait2, message2, wait3 } = await underway(script)
  const compose3 = await accepted(wait2, message2, script.R.trusted)
  return { wait2: new Initiator(script.initiator).send().next, wait3, compose3 }
}

test('a certificate whose point is on no curve is not trusted as a static key', () => {
  const script = scriptOf('m3-s2-x5t-c-14')
  const suite = suiteOf(2)
  for (const { crypto, name } of providers) {
    // Of P-256: the head of RFC 5480, then 04, x and y, whose last bit is changed.
    const keyBytes = crypto.generateEphemeral('secp256r1').share.slice()
    keyBytes[64] = (keyBytes[64] ?? 0) ^ 1
    const der = fromHex(`3059301306072a8648ce3d020106082a8648ce3d030107034200${hex(keyBytes)}`)
    const spki = { der, keyBytes, algorithm: { kind: 'ec', curve: 'P-256' } }
    const leaf = { spki, extensions: {}, der: script.I.own.credential } as unknown as Certificate
    const peer = { leaf } as VerifiedPeer
    for (const by of ['static key', 'signature'] as const) {
      const trust = (): unknown => trustedCertificate(crypto, suite, by, peer)
      assert.throws(trust, { code: 'ERR_KEY_INVALID' }, `${name}, ${by}`)
    }
  }
})

const { skip } = needsOpenssl()

describe('a certificate whose key is for the other use', { skip }, () => {
  const pki = skip === false ? new ForeignPki() : undefined
  for (const method of methods.values())
    for (const liar of ['device', 'server'] as const)
      test(`of the ${liar} is refused in method ${method.number}`, async () => {
        assert.ok(pki)
        await refusesWrongUse(pki, method.number, liar)
      })
})

/** The key is of P-256, so it could do either; its certificate says which. */
async function refusesWrongUse(pki: ForeignPki, number: number, liar: Who): Promise<void> {
  const [method, suite] = [methods.get(number) ?? assert.fail(), suiteOf(2)]
  const own = (who: Who) => {
    const by = who === 'device' ? method.initiator : method.responder
    const other = by === 'signature' ? 'static key' : 'signature'
    return softOwn(pki.soft(who, who === liar ? other : by, suite), by, 'x5t', suite)
  }
  const base = { crypto: nodeCrypto, method, offer: offer([suite]), cI: fromHex('0e') }
  const { message1, next: wait2 } = new Initiator({ ...base, own: own('device') }).send()
  const responder = { crypto: nodeCrypto, methods: [method.number], suites: [suite] }
  const answer = { own: own('server'), cR: fromHex('010203') }
  const { message2, next } = await new Responder(responder).receive(message1).send(answer)
  const judgeR = await wait2.receive(message2)
  const server = (): ReturnType<ForeignPki['trusted']> =>
    pki.trusted('server', suite, method.responder, judgeR.reference)
  if (liar === 'server') return assert.throws(server, wrongUse)
  const { message3 } = await (await judgeR.accept(server())).send()
  const judgeI = next.receive(message3)
  const device = (): unknown => pki.trusted('device', suite, method.initiator, judgeI.reference)
  assert.throws(device, wrongUse)
}

/** A server's certificate says it by its purpose too. */
function wrongUse(error: unknown): boolean {
  const codes = ['ERR_CHAIN_KEY_USAGE', 'ERR_CHAIN_PURPOSE']
  return error instanceof PeerError && codes.includes(error.code)
}

function suiteOf(number: number): UsableSuite {
  return suitesOf(nodeCrypto).find((one) => one.number === number) ?? assert.fail()
}
