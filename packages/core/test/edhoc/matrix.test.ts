/**
 * Every method with every way to name a credential and suites 0 to 6, between two ends of ours.
 * OpenSSL made the certificates, and each is looked up and judged before it is trusted.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hex } from '@countersign/core/codec'
import {
  type Authentication,
  Initiator,
  type Method,
  methods,
  type OwnCredential,
  offer,
  oscoreSecrets,
  Responder,
  type Session,
  suitesOf,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { needsOpenssl } from '../x509/support.ts'
import { ForeignPki, type Naming, namings, softOwn } from './foreignPki.ts'

const { skip } = needsOpenssl()

describe('method × name × suite, with certificates of OpenSSL', { skip }, () => {
  const pki = skip === false ? new ForeignPki() : undefined
  for (const method of methods.values())
    for (const suite of suitesOf(nodeCrypto))
      for (const naming of namings)
        test(`method ${method.number}, suite ${suite.number}, ${naming}`, async () => {
          assert.ok(pki)
          await handshake(pki, method, suite, naming)
        })
})

async function handshake(
  pki: ForeignPki,
  method: Method,
  suite: UsableSuite,
  naming: Naming,
): Promise<void> {
  const own = (who: 'device' | 'server', by: Authentication): OwnCredential =>
    softOwn(pki.soft(who, by, suite), by, naming, suite)
  const { message1, next: wait2 } = new Initiator({
    crypto: nodeCrypto,
    method,
    offer: offer([suite]),
    cI: Uint8Array.of(0x0e),
    own: own('device', method.initiator),
  }).send()
  const responder = new Responder({ crypto: nodeCrypto, methods: [method.number], suites: [suite] })
  const answer = { own: own('server', method.responder), cR: Uint8Array.of(1, 2, 3) }
  const { message2, next: wait3 } = await responder.receive(message1).send(answer)

  const judgeR = await wait2.receive(message2)
  const server = pki.trusted('server', suite, method.responder, judgeR.reference)
  const { message3, next } = await (await judgeR.accept(server)).send()
  const judgeI = wait3.receive(message3)
  const device = pki.trusted('device', suite, method.initiator, judgeI.reference)
  const authenticated = judgeI.accept(device)
  const { session } = next.receive(authenticated.message4())
  assert.equal(secretOf(session), secretOf(authenticated.session))
}

function secretOf({ suite, prkOut }: Session): string {
  return hex(nodeCrypto.exportSecret(oscoreSecrets(suite, prkOut).masterSecret))
}
