/**
 * Handshakes with lakers: method 3, suite 2, claims sets (CCS) by kid. Each scene runs with keys
 * that are drawn, against lakers itself, or with fixed ones against what was recorded of it.
 */
import assert from 'node:assert/strict'
import { fromHex, hex, utf8 } from '@countersign/core/codec'
import { encodeCredentialReference } from '@countersign/core/cose'
import {
  type EadItem,
  encodeEad,
  Initiator,
  type InitiatorOptions,
  type JudgeResponder,
  methods,
  offer,
  oscoreSecrets,
  Responder,
  type ResponderOptions,
  type Session,
  suitesOf,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import type { SecretKey } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { node } from '../../providers.ts'
import { ephemeralKey, type Side } from '../parties.ts'
import { claims, type Keys } from './claims.ts'
import { ForeignRefusal, type ForeignSide, type Item } from './foreignSide.ts'

export interface Scene {
  readonly name: string
  readonly run: (lakers: ForeignSide, keys: Keys) => Promise<void>
}

const method = methods.get(3) ?? assert.fail()
const suite = suiteOf(2)
const names = new Set([11, 12, 13, 14])

export const scenes: readonly Scene[] = [
  ...['17', '18', '010203'].flatMap((cid): readonly Scene[] => [
    {
      name: `lakers initiates, both with connection identifiers like ${cid}`,
      run: (lakers, keys) => lakersInitiates(lakers, keys, { cI: cid, cR: otherThan(cid) }),
    },
    {
      name: `lakers responds, both with connection identifiers like ${cid}`,
      run: (lakers, keys) => lakersResponds(lakers, keys, { cI: cid, cR: otherThan(cid) }),
    },
  ]),
  { name: 'lakers says no to suite 3, and yes to suite 2 after it', run: suiteThreeFirst },
  { name: 'lakers has another key than its credential: refused here', run: lakersLies },
  { name: 'we have another key than our credential: refused there', run: weLie },
  { name: 'lakers sends its credential by value: refused here', run: byValue },
  { name: 'critical authorization data that is not known is refused', run: critical },
]

function otherThan(cid: string): string {
  return `2${cid.slice(1)}`
}

interface Identifiers {
  readonly cI: string
  readonly cR: string
}

async function lakersInitiates(
  lakers: ForeignSide,
  keys: Keys,
  { cI, cR }: Identifiers,
): Promise<void> {
  const { ours, theirs } = await begun(lakers, 'initiator', keys)
  const message1 = await lakers.write(1, { cid: cI, ead: item(11) })
  const compose2 = new Responder(responder(keys)).receive(message1)
  assert.deepEqual([hex(compose2.cI), told(compose2.ead)], [cI, told(item(11))])

  const answer = { own: ours.own, cR: fromHex(cR), ead: item(12) }
  const { message2, next: wait3 } = await compose2.send(answer)
  const seen2 = await lakers.read(2, message2)
  assert.deepEqual(seen2, { cid: cR, reference: 'a10442aabb', ead: asItems(item(12)) })
  await lakers.trust(2, { cred: hex(ours.own.credential) })

  const judgeI = wait3.receive(await lakers.write(3, { ead: item(13) }))
  assert.deepEqual([named(judgeI), told(judgeI.ead)], ['a104412b', told(item(13))])
  const authenticated = judgeI.accept(theirs.trusted)
  const seen4 = await lakers.read(4, authenticated.message4(item(14)))
  assert.deepEqual(seen4.ead, asItems(item(14)))
  await sameKeys(lakers, authenticated.session)
}

async function lakersResponds(
  lakers: ForeignSide,
  keys: Keys,
  { cI, cR }: Identifiers,
): Promise<void> {
  const { ours, theirs } = await begun(lakers, 'responder', keys)
  const { message1, next: wait2 } = new Initiator(initiator(ours, keys, cI)).send(item(11))
  const seen1 = await lakers.read(1, message1)
  assert.deepEqual([seen1.cid, seen1.ead], [cI, asItems(item(11))])

  const judgeR = await wait2.receive(await lakers.write(2, { cid: cR, ead: item(12) }))
  assert.deepEqual([named(judgeR), told(judgeR.ead)], ['a104412b', told(item(12))])
  const { message3, next } = await (await judgeR.accept(theirs.trusted)).send(item(13))
  const seen3 = await lakers.read(3, message3)
  assert.deepEqual([seen3.reference, seen3.ead], ['a10442aabb', asItems(item(13))])
  await lakers.trust(3, { cred: hex(ours.own.credential) })

  const { session, ead } = next.receive(await lakers.write(4, { ead: item(14) }))
  assert.equal(told(ead), told(item(14)))
  assert.equal(hex(session.cR), cR)
  await sameKeys(lakers, session)
}

/** OSCORE's secret and salt, another export, and the same after a key update. */
async function sameKeys(lakers: ForeignSide, session: Session): Promise<void> {
  const { masterSecret, masterSalt } = oscoreSecrets(suite, session.prkOut)
  assert.equal(await lakers.export(0, '', 16), seen(masterSecret))
  assert.equal(await lakers.export(1, '', 8), seen(masterSalt))
  assert.equal(await lakers.export(9, 'c0ffee', 40), seen(exported(session)))
  await lakers.update('a1b2c3')
  const updated = { ...session, prkOut: session.prkOut.update(fromHex('a1b2c3')) }
  assert.equal(await lakers.export(9, 'c0ffee', 40), seen(exported(updated)))
}

function seen(key: SecretKey): string {
  return hex(nodeCrypto.exportSecret(key))
}

function exported({ prkOut }: Session): SecretKey {
  return prkOut.export(9, fromHex('c0ffee'), 40)
}

async function suiteThreeFirst(lakers: ForeignSide, keys: Keys): Promise<void> {
  const { ours } = await begun(lakers, 'responder', keys)
  const options = initiator(ours, keys, '05')
  const supported = [suiteOf(3), suite]
  const first = new Initiator({ ...options, offer: offer(supported) }).send()
  await assert.rejects(lakers.read(1, first.message1), /UnsupportedCipherSuite/)
  // lakers leaves it to its application to send SUITES_R, which is [2].
  await begun(lakers, 'responder', keys)
  const again = new Initiator({ ...options, offer: offer(supported, [2]) }).send()
  assert.equal(hex(again.message1.subarray(0, 4)), '03820302')
  assert.equal((await lakers.read(1, again.message1)).cid, '05')
}

async function lakersLies(lakers: ForeignSide, keys: Keys): Promise<void> {
  const { ours, theirs } = await begun(lakers, 'responder', keys, { key: keys('stranger') })
  const { message1, next } = new Initiator(initiator(ours, keys, '05')).send()
  await lakers.read(1, message1)
  const judgeR = await next.receive(await lakers.write(2, { cid: '06' }))
  await assert.rejects(judgeR.accept(theirs.trusted), hasCode('ERR_EDHOC_PROOF'))
}

async function weLie(lakers: ForeignSide, keys: Keys): Promise<void> {
  const { ours } = await begun(lakers, 'initiator', keys)
  const compose2 = new Responder(responder(keys)).receive(await lakers.write(1, { cid: '05' }))
  const { own } = claims('aabb', keys('stranger'))
  const liar = { ...own, credential: ours.own.credential }
  const { message2 } = await compose2.send({ own: liar, cR: fromHex('06') })
  await lakers.read(2, message2)
  await assert.rejects(lakers.trust(2, { cred: hex(ours.own.credential) }), ForeignRefusal)
}

/** RFC 9528 §3.5.3.1 lets a claims set travel as header 14; here certificates and kid do. */
async function byValue(lakers: ForeignSide, keys: Keys): Promise<void> {
  const { ours } = await begun(lakers, 'responder', keys)
  const { message1, next } = new Initiator(initiator(ours, keys, '05')).send()
  await lakers.read(1, message1)
  const message2 = await lakers.write(2, { cid: '06', byValue: true })
  await assert.rejects(next.receive(message2), hasCode('ERR_COSE_CREDENTIAL'))
}

async function critical(lakers: ForeignSide, keys: Keys): Promise<void> {
  const unknown: readonly EadItem[] = [{ label: 99, isCritical: true, value: undefined }]
  const padding: readonly EadItem[] = [{ label: 0, isCritical: false, value: new Uint8Array(5) }]
  await begun(lakers, 'initiator', keys)
  const message1 = await lakers.write(1, { cid: '05', ead: unknown })
  const receive = (): unknown => new Responder(responder(keys)).receive(message1)
  assert.throws(receive, hasCode('ERR_EDHOC_EAD'))

  const { ours, theirs } = await begun(lakers, 'responder', keys)
  const sent = new Initiator(initiator(ours, keys, '05')).send(padding)
  assert.deepEqual((await lakers.read(1, sent.message1)).ead, asItems(padding))
  const judgeR = await sent.next.receive(await lakers.write(2, { cid: '06', ead: padding }))
  assert.deepEqual(judgeR.ead, [])
  const { message3 } = await (await judgeR.accept(theirs.trusted)).send(unknown)
  assert.deepEqual((await lakers.read(3, message3)).ead, asItems(unknown))
}

/** Lakers has a new handshake before it, with its own keys; and what both sides know. */
async function begun(
  lakers: ForeignSide,
  role: 'initiator' | 'responder',
  keys: Keys,
  { key = keys('theirs') } = {},
): Promise<{ readonly ours: Side; readonly theirs: Side }> {
  const known = both(keys)
  await lakers.begin(role, { key, cred: hex(known.theirs.own.credential) })
  return known
}

const known = new WeakMap<Keys, { readonly ours: Side; readonly theirs: Side }>()

function both(keys: Keys): { readonly ours: Side; readonly theirs: Side } {
  const before = known.get(keys)
  if (before !== undefined) return before
  const made = { ours: claims('aabb', keys('ours')), theirs: claims('2b', keys('theirs')) }
  known.set(keys, made)
  return made
}

function initiator({ own }: Side, keys: Keys, cI: string): InitiatorOptions {
  const ephemeral: InitiatorOptions['ephemeral'] = (of, agreements) =>
    ephemeralKey(node, of, keys('ephemeral'), agreements)
  const base = { crypto: nodeCrypto, method, eadLabels: names, ephemeral }
  return { ...base, offer: offer([suite]), cI: fromHex(cI), own }
}

function responder(keys: Keys): ResponderOptions {
  return {
    crypto: nodeCrypto,
    methods: [3],
    suites: [suite],
    eadLabels: names,
    ephemeral: (of, agreements) => ephemeralKey(node, of, keys('ephemeral'), agreements),
  }
}

function suiteOf(number: number): UsableSuite {
  return suitesOf(nodeCrypto).find((one) => one.number === number) ?? assert.fail()
}

function item(label: number): readonly EadItem[] {
  return [{ label, isCritical: label === 13, value: label === 14 ? undefined : utf8('value') }]
}

/** ID_CRED_x, the map. */
function named({ reference }: Pick<JudgeResponder, 'reference'>): string {
  return hex(encodeCredentialReference(reference))
}

function told(items: readonly EadItem[]): string {
  return hex(encodeEad(items))
}

function asItems(items: readonly EadItem[]): readonly Item[] {
  return items.map(({ label, isCritical, value }) => ({
    label,
    critical: isCritical,
    value: value === undefined ? null : hex(value),
  }))
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof PeerError && error.code === code
}
