/** HelloRetryRequest (RFC 8446 §4.1.4): what it may ask, and what the second hello must keep. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { helloBytesMax } from '../../../src/tls/limits.ts'
import type { Step } from '../puppet.ts'
import { extension, type Laid, u16 } from '../puppetBytes.ts'
import { groupIds, puppetAgreements } from '../puppetKeys.ts'
import * as steps from '../puppetSteps.ts'
import {
  assertOpen,
  assertRefused,
  type Refusal,
  type Talk,
  talk,
  type TalkOptions,
} from './conversation.ts'
import { resumed } from './settings.ts'

const illegal = { alert: 'illegal_parameter', code: 'ERR_TLS_ILLEGAL_PARAMETER' }
const malformed = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }
const unexpected = { alert: 'unexpected_message', code: 'ERR_TLS_UNEXPECTED_MESSAGE' }
const unasked = { alert: 'unsupported_extension', code: 'ERR_TLS_UNSUPPORTED_EXTENSION' }
const tooLong = { alert: 'internal_error', code: 'ERR_TLS_LIMIT' }

const { x25519, secp256r1, X25519MLKEM768 } = groupIds
const secondFlight = steps.fullFlight
const biscuit = steps.cookie(Buffer.from('biscuit'))

/** A request with these extensions behind its version. */
const requesting = (...extensions: readonly Laid[]): Step =>
  steps.retry(undefined, (right) => ({ ...right, extensions: [steps.tls13, ...extensions] }))

const groupAsked = (group: number): Laid => extension('key_share', 51, u16(group))

async function refuses(request: Step, refusal: Refusal, what?: string): Promise<void> {
  const refused = await talk({ flights: [[request], secondFlight], group: secp256r1 })
  assert.deepEqual(refused.puppet.received, ['ClientHello'], what)
  assertRefused(refused, refusal, what)
}

suite('a request', () => {
  test('that changes nothing is refused', async () => {
    await refuses(requesting(), illegal)
    await refuses(requesting(groupAsked(x25519)), illegal, 'the share that it has')
    await refuses(requesting(groupAsked(x25519), biscuit), illegal, 'and a cookie')
  })

  test('for a group that was not offered is refused', async () => {
    for (const group of [0, 0x18, 0x19, 0x1e, 0x100, X25519MLKEM768, 0x0a0a]) {
      await refuses(requesting(groupAsked(group)), illegal, group.toString(16))
    }
  })

  test('with a share instead of a group is refused', async () => {
    const { share } = puppetAgreements.get(secp256r1) ?? { share: Buffer.alloc(0) }
    await refuses(requesting(steps.keyShare(secp256r1, share)), malformed)
    await refuses(requesting(extension('key_share', 51, Buffer.of(0))), malformed)
    await refuses(requesting(extension('key_share', 51, Buffer.alloc(0))), malformed)
  })

  test('with a cookie that is empty or malformed is refused', async () => {
    for (const body of [[], [0], [0, 0], [0, 2, 1], [0, 1, 1, 1]]) {
      const cookie = extension('cookie', 44, Buffer.from(body))
      await refuses(requesting(groupAsked(secp256r1), cookie), malformed, body.join())
    }
  })

  test('with a cookie of 64 KiB is refused by its length alone', async () => {
    // The header of a message whose cookie is the longest; nothing of it follows.
    const length = 38 + 32 + 2 + 6 + 6 + 65_535
    const header = Buffer.concat([Buffer.of(2, length >> 16), u16(length & 0xffff)])
    await refuses(steps.contentOf(22, header), tooLong)
    await refuses(requesting(steps.cookie(Buffer.alloc(helloBytesMax))), tooLong)
  })

  test('for a suite that was not offered is refused', async () => {
    await refuses(
      steps.retry(secp256r1, (right) => ({ ...right, suite: 0x1305 })),
      illegal,
    )
  })

  test('with extensions that have no place in it is refused', async () => {
    const ticket = extension('pre_shared_key', 41, u16(0))
    await refuses(requesting(groupAsked(secp256r1), ticket), unasked)
    await refuses(requesting(groupAsked(secp256r1), groupAsked(secp256r1)), illegal)
    const { options } = await resumed()
    const request = requesting(groupAsked(secp256r1), ticket)
    assertRefused(await talk({ flights: [[request]] }, options), illegal)
  })

  test('behind the ServerHello is refused', async () => {
    const flight = [steps.serverHello(), steps.retry(secp256r1)]
    assertRefused(await talk({ flights: [flight] }), unexpected)
  })

  test('that comes twice is refused', async () => {
    for (const again of [
      steps.retry(secp256r1),
      steps.retry(x25519),
      requesting(biscuit),
      requesting(groupAsked(x25519), biscuit),
    ]) {
      const refused = await talk({ flights: [[steps.retry(secp256r1)], [again]] })
      assert.deepEqual(refused.puppet.received, ['ClientHello', 'ClientHello'])
      assertRefused(refused, unexpected)
    }
  })
})

/** A handshake with two hellos, that are held against each other. */
async function twice(first: Step, options?: TalkOptions, group: number = secp256r1): Promise<Talk> {
  const hellos: Talk['puppet']['hello'][] = []
  const note: Step = ({ hello }) => hellos.push(hello)
  const flights = [
    [note, first],
    [note, ...secondFlight],
  ]
  const talked = await talk({ group, flights }, options)
  assertOpen(talked)
  const [before, after] = hellos
  assert.ok(before !== undefined && after !== undefined)
  // RFC 8446 §4.1.2: all but what was asked for stays.
  assert.deepEqual(after.random, before.random)
  assert.deepEqual(after.sessionId, before.sessionId)
  assert.deepEqual(after.suites, before.suites)
  assert.deepEqual(kept(after.extensions), kept(before.extensions))
  return talked
}

/** All but cookie, key_share and pre_shared_key. */
function kept(extensions: ReadonlyMap<number, Buffer>): unknown {
  return [...extensions].filter(([type]) => type !== 44 && type !== 51 && type !== 41)
}

suite('the second ClientHello', () => {
  test('has the share that was asked for and no other', async () => {
    const { puppet } = await twice(steps.retry(secp256r1))
    assert.deepEqual([...(puppet.hello?.shares.keys() ?? [])], [secp256r1])
    assert.equal(puppet.hello?.extensions.has(44), false)
  })

  test('echoes a cookie, also a long one, and keeps its shares', async () => {
    for (const length of [1, 255, 256, 8000]) {
      const { puppet } = await twice(requesting(steps.cookie(Buffer.alloc(length, 7))), {}, x25519)
      assert.deepEqual([...(puppet.hello?.shares.keys() ?? [])], [x25519])
      const echoed = puppet.hello?.extensions.get(44)
      assert.deepEqual(echoed, Buffer.concat([u16(length), Buffer.alloc(length, 7)]))
    }
  })

  test('is preceded by one change_cipher_spec, which is not repeated', async () => {
    const { puppet } = await twice(steps.retry(secp256r1))
    assert.equal(puppet.changeCipherSpecs, 1)
  })

  test('binds its ticket anew, to both hellos', async () => {
    const { puppet, options } = await resumed()
    const talked = await talk(
      { ...puppet, group: secp256r1, flights: [[steps.retry()], steps.resumedFlight] },
      options,
    )
    // The binder was checked by the puppet.
    assertOpen(talked)
    assert.equal(talked.secured[0]?.isResumed, true)
    assert.equal(talked.signed, 0)
  })

  test('leaves out a ticket that the chosen suite cannot use', async () => {
    const { puppet, options } = await resumed()
    const sha384 = { ...puppet, suite: 0x1302, group: secp256r1 }
    const talked = await talk({ ...sha384, flights: [[steps.retry()], secondFlight] }, options)
    assertOpen(talked)
    assert.equal(talked.puppet.hello?.psk, undefined)
    assert.equal(talked.secured[0]?.isResumed, false)

    const selects = steps.serverHello(steps.adding(extension('pre_shared_key', 41, u16(0))))
    const refused = await talk({ ...sha384, flights: [[steps.retry()], [selects]] }, options)
    assertRefused(refused, unasked)
  })
})

/** In the place of the ServerHello behind the second hello. */
async function second(hello: Step, refusal: Refusal): Promise<void> {
  const flights = [[steps.retry()], [hello]]
  assertRefused(await talk({ group: secp256r1, flights }), refusal)
}

suite('the ServerHello behind it', () => {
  test('keeps the suite', async () => {
    for (const id of [0x1302, 0x1303]) {
      await second(
        steps.bareServerHello((right) => ({ ...right, suite: id })),
        illegal,
      )
    }
  })

  test('has a share of the group that was asked for', async () => {
    const { share } = puppetAgreements.get(x25519) ?? { share: Buffer.alloc(0) }
    const extensions = [steps.tls13, steps.keyShare(x25519, share)]
    await second(
      steps.bareServerHello((right) => ({ ...right, extensions })),
      illegal,
    )
  })

  test('does not echo the cookie', async () => {
    const flights = [[requesting(groupAsked(secp256r1), biscuit)]]
    const echo = steps.bareServerHello(steps.adding(biscuit))
    const refused = await talk({ group: secp256r1, flights: [...flights, [echo]] })
    assertRefused(refused, unasked)
  })
})
