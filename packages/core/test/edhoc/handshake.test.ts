/** Both sides, state by state, give the bytes of RFC 9529 and of the vectors with certificates. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { type CredentialReference, encodeCredentialReference } from '@countersign/core/cose'
import {
  type EadItem,
  encodeEad,
  Initiator,
  oscoreSecrets,
  Responder,
  type Session,
} from '@countersign/core/edhoc'
import { InvariantError, PeerError } from '@countersign/core/errors'
import type { ChannelCrypto } from '@countersign/core/ports'
import { type Provider, providers } from '../providers.ts'
import { type Script, scriptOf, scriptsOn } from './parties.ts'

for (const provider of providers) {
  for (const script of scriptsOn(provider)) prescribes(provider, script)
}

function prescribes({ name, crypto }: Provider, script: Script): void {
  test(`${script.id}, ${name}: both sides write the prescribed messages and get the same keys`, async () => {
    const { message1, next: wait2 } = new Initiator(script.initiator).send()
    const compose2 = new Responder(script.responder).receive(message1)
    const { message2, next: wait3 } = await compose2.send({ own: script.R.own, cR: script.cR })
    const judgeR = await wait2.receive(message2)
    sameReference(judgeR.reference, script.R.own.reference)
    const { message3, next: unconfirmed } = await (await judgeR.accept(script.R.trusted)).send()
    const judgeI = wait3.receive(message3)
    sameReference(judgeI.reference, script.I.own.reference)
    const authenticated = judgeI.accept(script.I.trusted)
    const message4 = authenticated.message4()
    const { session } = unconfirmed.receive(message4)

    assert.deepEqual([message1, message2, message3, message4].map(hex), script.messages)
    for (const side of [session, authenticated.session]) keysAre(crypto, script, side)
    assert.deepEqual(
      [session.peer, authenticated.session.peer],
      [script.R.trusted, script.I.trusted],
    )
  })
}

function sameReference(found: CredentialReference, own: CredentialReference): void {
  assert.equal(hex(encodeCredentialReference(found)), hex(encodeCredentialReference(own)))
}

function keysAre(crypto: ChannelCrypto, script: Script, { suite, prkOut, cI, cR }: Session): void {
  const { masterSecret, masterSalt } = oscoreSecrets(suite, prkOut)
  assert.equal(hex(crypto.exportSecret(masterSecret)), script.masterSecret)
  assert.equal(hex(crypto.exportSecret(masterSalt)), script.masterSalt)
  assert.equal(hex(cI), hex(script.initiator.cI))
  assert.equal(hex(cR), hex(script.cR))
}

test('authorization data travels in each message, and is covered', async () => {
  for (const id of ['m0-s2-x5t-c-14', 'm3-s2-x5t-c-14']) {
    const script = scriptOf(id)
    const eadLabels = new Set([1, 2, 3, 4])
    const initiator = new Initiator({ ...script.initiator, eadLabels })
    const { message1, next: wait2 } = initiator.send(item(1))
    const compose2 = new Responder({ ...script.responder, eadLabels }).receive(message1)
    const answer = { own: script.R.own, cR: script.cR, ead: item(2) }
    const { message2, next: wait3 } = await compose2.send(answer)
    const judgeR = await wait2.receive(message2)
    const { message3, next: unconfirmed } = await (await judgeR.accept(script.R.trusted)).send(
      item(3),
    )
    const judgeI = wait3.receive(message3)
    const { ead } = unconfirmed.receive(judgeI.accept(script.I.trusted).message4(item(4)))
    const seen = [compose2.ead, judgeR.ead, judgeI.ead, ead].map((one) => hex(encodeEad(one)))
    assert.deepEqual(seen, ['01420101', '02420202', '03420303', '04420404'])
  }
})

test('a message_3 that does not open can be told from one that does before it ends anything', async () => {
  const script = scriptOf('m3-s2-x5t-c-14')
  const [, , message3] = script.messages.map(fromHex)
  assert.ok(message3 !== undefined)
  const { message1 } = new Initiator(script.initiator).send()
  const compose2 = new Responder(script.responder).receive(message1)
  const { next: wait3 } = await compose2.send({ own: script.R.own, cR: script.cR })
  for (const at of message3.keys()) {
    const other = message3.slice()
    other[at] = (other[at] ?? 0) ^ 1
    assert.throws(() => wait3.requireOpens(other), PeerError, `byte ${at}`)
    assert.throws(() => wait3.requireOpens(message3.slice(0, at)), PeerError, `${at} bytes`)
  }
  wait3.requireOpens(message3)
  wait3.receive(message3).accept(script.I.trusted)
})

test('each state is used once', async () => {
  const script = scriptOf('m3-s2-x5t-c-14')
  const initiator = new Initiator(script.initiator)
  const { message1, next: wait2 } = initiator.send()
  const responder = new Responder(script.responder)
  const compose2 = responder.receive(message1)
  const answer = { own: script.R.own, cR: script.cR }
  const { message2, next: wait3 } = await compose2.send(answer)
  const judgeR = await wait2.receive(message2)
  const compose3 = await judgeR.accept(script.R.trusted)
  // Two at once: the second one comes too late.
  const [first, second] = await Promise.allSettled([compose3.send(), compose3.send()])
  assert.ok(first.status === 'fulfilled' && second.status === 'rejected' && spent(second.reason))
  const { message3, next: unconfirmed } = first.value
  const judgeI = wait3.receive(message3)
  const authenticated = judgeI.accept(script.I.trusted)
  const message4 = authenticated.message4()
  unconfirmed.receive(message4)

  assert.throws(() => initiator.send(), spent)
  assert.throws(() => responder.receive(message1), spent)
  await assert.rejects(compose2.send(answer), spent)
  await assert.rejects(wait2.receive(message2), spent)
  await assert.rejects(judgeR.accept(script.R.trusted), spent)
  assert.throws(() => wait3.receive(message3), spent)
  assert.throws(() => judgeI.accept(script.I.trusted), spent)
  assert.throws(() => authenticated.message4(), spent)
  assert.throws(() => unconfirmed.receive(message4), spent)
})

function item(label: number): readonly EadItem[] {
  return [{ label, isCritical: false, value: Uint8Array.of(label, label) }]
}

function spent(error: unknown): boolean {
  return error instanceof InvariantError && error.code === 'ERR_EDHOC_SPENT'
}

test('a message may lie in a buffer that its owner uses again', async () => {
  const script = scriptOf('m0-s2-x5t-c-14')
  const [m1, m2] = script.messages.map((text) => Buffer.from(text, 'hex'))
  assert.ok(m1 && m2)
  const compose2 = new Responder(script.responder).receive(m1)
  const { next: wait2 } = new Initiator(script.initiator).send()
  const judgeR = await wait2.receive(m2)
  for (const buffer of [m1, m2]) buffer.fill(0)
  const { message2 } = await compose2.send({ own: script.R.own, cR: script.cR })
  const { message3 } = await (await judgeR.accept(script.R.trusted)).send()
  assert.deepEqual([hex(message2), hex(message3)], script.messages.slice(1, 3))
})
