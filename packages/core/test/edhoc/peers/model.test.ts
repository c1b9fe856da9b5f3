/**
 * Handshakes with model.py, a second EDHOC that was written from the RFC alone: every method, name
 * and suite, in both roles, with certificates of OpenSSL. First it is held against vectors itself.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cbor, fromHex, hex } from '@countersign/core/codec'
import { encodeCredentialReference } from '@countersign/core/cose'
import {
  type EadItem,
  Initiator,
  type Method,
  methods,
  offer,
  oscoreSecrets,
  Responder,
  type Session,
  suitesOf,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import type { SecretKey } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { missingPythonPeers, peersPython } from '../../peers/python.ts'
import { needsOpenssl } from '../../x509/support.ts'
import {
  ForeignPki,
  type Naming,
  namings,
  referenceTo,
  type SoftHolder,
  softOwn,
} from '../foreignPki.ts'
import { ForeignRefusal, ForeignSide, started } from './foreignSide.ts'

const skip = missingPythonPeers() || needsOpenssl().skip

interface Setting {
  readonly pki: ForeignPki
  readonly model: ForeignSide
  readonly method: Method
  readonly suite: UsableSuite
  readonly naming: Naming
  readonly ead: readonly EadItem[]
}

const usual: readonly EadItem[] = [{ label: 7, isCritical: true, value: fromHex('0102') }]
const eadLabels = new Set([7])

test('the model gives every vector with certificates, and RFC 9529', { skip }, () => {
  const files = ['edhoc-x509.json', 'edhoc-rfc9529.json'].map((name) =>
    fileURLToPath(new URL(`../../../../../vectors/${name}`, import.meta.url)),
  )
  const script = fileURLToPath(new URL('model.py', import.meta.url))
  const names = execFileSync(peersPython, [script, 'check', ...files], { encoding: 'utf8' })
  assert.equal(names.trim().split('\n').length, 22)
})

describe('with the model', () => {
  const made =
    skip === false ? { pki: new ForeignPki(), model: new ForeignSide(started('model.py')) } : null
  const both = (): Pick<Setting, 'pki' | 'model'> => made ?? assert.fail('it is skipped')
  after(() => made?.model.close())
  for (const method of methods.values())
    for (const suite of suitesOf(nodeCrypto))
      for (const naming of namings)
        test(`method ${method.number}, suite ${suite.number}, ${naming}: both roles`, {
          skip,
        }, async () => {
          const setting = { ...both(), method, suite, naming, ead: usual }
          await modelInitiates(setting)
          await modelResponds(setting)
        })

  test('PLAINTEXT_2 of several parts (Appendix G) in both directions', { skip }, async () => {
    // One byte more than one HKDF gives, with what else is in it; and nearly what a message may be.
    for (const length of [8_160, 16_000]) {
      const value = new Uint8Array(randomBytes(length))
      const ead = [{ label: 7, isCritical: false, value }]
      const method = methods.get(0) ?? assert.fail()
      const suite = suitesOf(nodeCrypto)[2] ?? assert.fail()
      const setting: Setting = { ...both(), method, suite, naming: 'x5t', ead }
      await modelInitiates(setting)
      await modelResponds(setting)
    }
  })

  test('a credential of another key is refused at either end', { skip }, async () => {
    for (const method of methods.values()) {
      const suite = suitesOf(nodeCrypto)[2] ?? assert.fail()
      const { pki, model } = both()
      const setting: Setting = { pki, model, method, suite, naming: 'x5t', ead: [] }
      const device = pki.soft('device', method.initiator, suite)
      // The server has the device's name and certificate, not its key.
      const liar = { ...pki.soft('server', method.responder, suite), leaf: device.leaf }
      await beginModel(setting, 'responder', liar)
      const { message1, next } = initiatorOf(setting).send()
      await model.read(1, message1)
      const judge = await next.receive(await model.write(2, { cid: '06' }))
      const trusted = pki.trusted('device', suite, method.initiator, judge.reference)
      await assert.rejects(judge.accept(trusted), PeerError)

      await beginModel(setting, 'initiator', device)
      const compose2 = responderOf(setting).receive(await model.write(1, { cid: '05' }))
      const own = softOwn(liar, method.responder, 'x5t', suite)
      const { message2 } = await compose2.send({ own, cR: fromHex('06') })
      await model.read(2, message2)
      const cred = hex(cbor.byteString(device.leaf))
      await assert.rejects(model.trust(2, { cred }), ForeignRefusal)
    }
  })
})

async function modelInitiates(setting: Setting): Promise<void> {
  const { pki, model, method, suite, naming, ead } = setting
  const device = pki.soft('device', method.initiator, suite)
  const server = pki.soft('server', method.responder, suite)
  await beginModel(setting, 'initiator', device)
  const compose2 = responderOf(setting).receive(await model.write(1, { cid: '0e', ead: usual }))
  const own = softOwn(server, method.responder, naming, suite)
  const { message2, next } = await compose2.send({ own, cR: fromHex('c0ffee'), ead })
  assert.equal((await model.read(2, message2)).reference, nameOf(server, naming))
  await model.trust(2, { cred: hex(own.credential) })
  const judgeI = next.receive(await model.write(3, { ead: usual }))
  const trusted = pki.trusted('device', suite, method.initiator, judgeI.reference)
  const authenticated = judgeI.accept(trusted)
  await model.read(4, authenticated.message4(usual))
  await sameKeys(model, authenticated.session)
}

async function modelResponds(setting: Setting): Promise<void> {
  const { pki, model, method, suite, naming, ead } = setting
  const device = pki.soft('device', method.initiator, suite)
  const server = pki.soft('server', method.responder, suite)
  await beginModel(setting, 'responder', server)
  const { message1, next: wait2 } = initiatorOf(setting).send(usual)
  assert.equal((await model.read(1, message1)).cid, '0e')
  const judgeR = await wait2.receive(await model.write(2, { cid: '18', ead }))
  assert.deepEqual(
    judgeR.ead.map(({ label }) => label),
    ead.map(({ label }) => label),
  )
  const trusted = pki.trusted('server', suite, method.responder, judgeR.reference)
  const { message3, next } = await (await judgeR.accept(trusted)).send(usual)
  assert.equal((await model.read(3, message3)).reference, nameOf(device, naming))
  await model.trust(3, { cred: hex(cbor.byteString(device.leaf)) })
  const { session } = next.receive(await model.write(4, { ead: usual }))
  await sameKeys(model, session)
}

function initiatorOf({ pki, method, suite, naming }: Setting): Initiator {
  const own = softOwn(pki.soft('device', method.initiator, suite), method.initiator, naming, suite)
  const base = { crypto: nodeCrypto, method, eadLabels, own }
  return new Initiator({ ...base, offer: offer([suite]), cI: fromHex('0e') })
}

function responderOf({ method, suite }: Setting): Responder {
  return new Responder({ crypto: nodeCrypto, methods: [method.number], suites: [suite], eadLabels })
}

async function beginModel(
  { model, method, suite, naming }: Setting,
  role: 'initiator' | 'responder',
  holder: SoftHolder,
): Promise<void> {
  await model.begin(role, {
    method: method.number,
    suites: [suite.number],
    key: rawOf(holder),
    cred: hex(cbor.byteString(holder.leaf)),
    idCred: nameOf(holder, naming),
    ephemeral: hex(randomBytes(32)),
  })
}

function nameOf(holder: SoftHolder, naming: Naming): string {
  return hex(encodeCredentialReference(referenceTo(holder, naming)))
}

function rawOf({ privateKey }: SoftHolder): string {
  const { d } = privateKey.export({ format: 'jwk' })
  return Buffer.from(d ?? assert.fail(), 'base64url').toString('hex')
}

async function sameKeys(model: ForeignSide, { suite, prkOut }: Session): Promise<void> {
  const { masterSecret, masterSalt } = oscoreSecrets(suite, prkOut)
  // Suite 4 and 5 go on with ChaCha20-Poly1305, whose key is longer.
  assert.equal(await model.export(0, '', masterSecret.length), seen(masterSecret))
  assert.equal(await model.export(1, '', 8), seen(masterSalt))
  await model.update('a1b2c3')
  const updated = prkOut.update(fromHex('a1b2c3')).export(9, fromHex('c0ffee'), 40)
  assert.equal(await model.export(9, 'c0ffee', 40), seen(updated))
}

function seen(key: SecretKey): string {
  return hex(nodeCrypto.exportSecret(key))
}
