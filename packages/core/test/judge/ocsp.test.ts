/**
 * Stapled OCSP responses (RFC 6960 §3.2): whom a response is about, what it says, until when it
 * holds, and that a sound one that revokes always refuses.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { der } from '@countersign/core/codec'
import { encodeExtension } from '@countersign/core/credential'
import { certId, good, refusal, revoked, unknown } from '../../../../fuzz/ocspResponses.ts'
import { refused, stale, stapleCase, unusable } from './ocspCases.ts'
import {
  answerOf,
  at,
  authority,
  type House,
  house,
  issue,
  stapleOf,
  statusRefusal,
  statusVerdict,
} from './ocspWorld.ts'
import { day } from './world.ts'

let home: House

before(async () => {
  home = await house()
})

const hour = 3_600_000

test('the leaf may be named by SHA-1, SHA-256 or SHA-384', async () => {
  for (const hash of ['sha1', 'sha256', 'sha384'] as const) await stapleCase(home, { hash }, 'ok')
})

test('a revoked leaf is refused, by the issuer as by a delegate', async () => {
  const status = revoked(at - hour)
  await stapleCase(home, { status }, refused)
  await stapleCase(home, { status, by: home.delegate }, refused)
})

test('the refusal says when and why the leaf was revoked', async () => {
  const staple = await stapleOf(home, { status: revoked(Date.UTC(2026, 0, 2, 3, 4, 5), 1) })
  const { message } = statusRefusal(home, staple) ?? {}
  assert.match(message ?? '', /revoked it at 2026-01-02T03:04:05\.000Z \(keyCompromise\)/)
})

test('each reason revokes, also the one that lists use to release', async () => {
  for (const reason of [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]) {
    await stapleCase(home, { status: revoked(at - hour, reason) }, refused)
  }
})

test('an old response still revokes', async () => {
  const status = revoked(at - 9 * day)
  await stapleCase(home, { status, thisUpdate: at - 9 * day, nextUpdate: at - 8 * day }, refused)
  await stapleCase(home, { status, nextUpdate: 'none' }, refused)
  await stapleCase(home, { status, thisUpdate: at + day, nextUpdate: at + 2 * day }, refused)
})

test('a leaf that the responder does not know is not cleared', () =>
  stapleCase(home, { status: unknown }, unusable))

test('a response past its next update does not clear', () =>
  stapleCase(home, { nextUpdate: at - hour }, stale))

test('a response holds to the end of the second of its next update', async () => {
  const staple = await stapleOf(home, { nextUpdate: at })
  assert.equal(statusVerdict(home, staple, { at: at + 999 }), 'ok')
  assert.equal(statusVerdict(home, staple, { at: at + 1000 }), stale)
})

test('a response of the future does not clear', () =>
  stapleCase(home, { thisUpdate: at + hour, nextUpdate: at + day }, stale))

test('our clock may be five minutes behind the responder', async () => {
  const staple = await stapleOf(home, { thisUpdate: at })
  assert.equal(statusVerdict(home, staple, { at: at - 5 * 60_000 }), 'ok')
  assert.equal(statusVerdict(home, staple, { at: at - 5 * 60_000 - 1 }), stale)
})

test('a response that does not say until when it holds does not clear', () =>
  stapleCase(home, { nextUpdate: 'none' }, unusable, 'OpenSSL takes it for fresh'))

test('the response for another certificate says nothing', async () => {
  const of = await issue(home.ca, { name: 'leaf' })
  await stapleCase(home, { of }, unusable)
  await stapleCase(home, { of, status: revoked(at - hour) }, unusable)
})

test('the same serial number under another issuer is another certificate', async () => {
  const namesake = await authority(home.root, { name: 'Test CA' })
  const { signer } = home.ca
  const renamed = await authority(home.root, { name: 'Other CA', signer })
  const { serial } = home.leaf.certificate
  const ofName = await issue(namesake, { name: 'leaf', serial })
  const ofKey = await issue(renamed, { name: 'leaf', serial })
  const ids = [
    certId(ofName.certificate, namesake.certificate),
    certId(ofKey.certificate, renamed.certificate),
  ]
  for (const one of ids) await stapleCase(home, { certId: one }, unusable)
})

test('of several answers about the leaf each one must clear it', async () => {
  const cleared = answerOf(home, {})
  const bySha256 = answerOf(home, { hash: 'sha256' })
  const differs = 'OpenSSL looks at the first one'
  await stapleCase(home, { answers: [cleared, cleared] }, 'ok')
  await stapleCase(home, { answers: [cleared, bySha256] }, 'ok')
  const old = answerOf(home, { nextUpdate: at - hour })
  const ended = answerOf(home, { status: revoked(at - hour) })
  const endedBySha256 = answerOf(home, { status: revoked(at - hour), hash: 'sha256' })
  for (const answers of [
    [cleared, ended],
    [ended, cleared],
    [cleared, old, ended],
    [old, endedBySha256],
    [cleared, answerOf(home, { status: unknown }), endedBySha256],
  ]) {
    await stapleCase(home, { answers }, refused, answers[0] === cleared ? differs : undefined)
  }
  await stapleCase(home, { answers: [cleared, old] }, stale, differs)
  await stapleCase(
    home,
    { answers: [cleared, answerOf(home, { status: unknown })] },
    unusable,
    differs,
  )
})

test('answers about neighbours say nothing', async () => {
  const of = await issue(home.ca, { name: 'neighbour' })
  const ended = answerOf(home, { of, status: revoked(at - hour) })
  await stapleCase(home, { answers: [ended, answerOf(home, {}), ended] }, 'ok')
  await stapleCase(home, { answers: [ended, answerOf(home, { of, status: good })] }, unusable)
})

test('a critical extension that is not understood makes a response unusable', async () => {
  const critical = [encodeExtension('2.25.4711', true, der.nullValue())]
  const plain = [encodeExtension('2.25.4711', false, der.nullValue())]
  const differs = 'OpenSSL does not look at the extensions'
  await stapleCase(home, { extensions: plain, singleExtensions: plain }, 'ok')
  await stapleCase(home, { extensions: critical }, unusable, differs)
  await stapleCase(home, { singleExtensions: critical }, unusable, differs)
  const status = revoked(at - hour)
  await stapleCase(home, { singleExtensions: critical, status }, unusable)
})

test('a responder that does not answer clears nobody', () => {
  for (const status of [1, 2, 3, 5, 6]) {
    assert.equal(statusVerdict(home, refusal(status)), unusable)
  }
  assert.match(statusRefusal(home, refusal(3))?.message ?? '', /\(tryLater\)/)
})

test('what is no response is refused as such', async () => {
  const staple = await stapleOf(home)
  assert.equal(statusVerdict(home, new Uint8Array()), unusable)
  assert.equal(statusVerdict(home, home.leaf.certificate.der), unusable)
  assert.equal(statusVerdict(home, Buffer.concat([staple, Buffer.of(0)])), unusable)
})
