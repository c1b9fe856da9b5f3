/** What RFC 9529 prints beside messages and keys: public keys, thumbprints, parameters of OSCORE. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contextParameters } from '@countersign/core/channel'
import { CborReader, concat, hex } from '@countersign/core/codec'
import { isThumbprintOf, readCredentialReference } from '@countersign/core/cose'
import { parseCertificate } from '@countersign/core/credential'
import {
  Initiator,
  parseMessage1,
  parsePlaintext2,
  parsePlaintext3,
  parsePlaintext4,
  Responder,
  type Session,
} from '@countersign/core/edhoc'
import { providers } from '../providers.ts'
import { type Script, scriptOf } from './parties.ts'
import { keyOf, printed, type Trace, traceOf, traces } from './rfc9529.ts'

const raw = 'Raw Value'

for (const provider of providers) {
  for (const trace of traces)
    test(`${trace.id}, ${provider.name}: OSCORE goes on with the printed identifiers and algorithms`, async () => {
      const { initiator, responder } = await sessionsOf(scriptOf(trace.id, provider))
      const [client, server] = ['Client', 'Server'].map((side) =>
        hex(printed(trace, `${side}'s OSCORE Sender ID`)),
      )
      for (const [session, side, senderId, recipientId] of [
        [initiator, 'initiator', client, server],
        [responder, 'responder', server, client],
      ] as const) {
        const found = contextParameters(session, side)
        assert.deepEqual([hex(found.senderId), hex(found.recipientId)], [senderId, recipientId])
        assert.equal(found.algorithm, numberOf(trace, 'Application AEAD Algorithm'))
        // RFC 9054 §3.1: SHA-256 is -16.
        assert.equal(
          found.hash === 'sha256' ? -16 : 0,
          numberOf(trace, 'Application Hash Algorithm'),
        )
      }
    })

  test(`rfc9529-3, ${provider.name}: the static keys have the printed points`, () => {
    const trace = traceOf('rfc9529-3')
    for (const [owner, name] of [
      ['I', 'Initiator'],
      ['R', 'Responder'],
    ] as const) {
      const [x, y] = ['x', 'y'].map((axis) =>
        printed(trace, `${name}'s public authentication key, '${axis}'-coordinate`),
      )
      assert.ok(x && y)
      assert.equal(hex(keyOf(trace, owner, provider).share), hex(concat(Uint8Array.of(4), x, y)))
    }
  })

  test(`rfc9529-2, ${provider.name}: the certificates have the printed keys and thumbprints`, () => {
    const trace = traceOf('rfc9529-2')
    for (const side of ['I', 'R']) {
      const { der, spki } = parseCertificate(printed(trace, `CRED_${side}`, raw))
      assert.equal(hex(spki.keyBytes), hex(printed(trace, `PK_${side}`)))
      const reader = new CborReader(printed(trace, `ID_CRED_${side}`), 'ID_CRED')
      const { x5t } = readCredentialReference(reader, 'map', 'ID_CRED')
      assert.ok(x5t !== undefined && isThumbprintOf(provider.crypto, x5t, der))
    }
  })
}

for (const trace of traces)
  test(`${trace.id}: method, suites and the empty authorization data are the printed ones`, () => {
    const { suite, method } = scriptOf(trace.id)
    const message1 = printed(trace, 'message_1')
    const head = concat(printed(trace, 'METHOD'), printed(trace, 'SUITES_I'))
    assert.equal(hex(message1.subarray(0, head.length)), hex(head))
    const ends = [
      parseMessage1(message1).ead,
      parsePlaintext2(printed(trace, 'PLAINTEXT_2'), suite, method).ead,
      parsePlaintext3(printed(trace, 'PLAINTEXT_3'), suite, method).ead,
    ]
    for (const [index, ead] of ends.entries()) {
      assert.equal(hex(printed(trace, `EAD_${index + 1}`)), '')
      assert.deepEqual(ead, [])
    }
    // The second trace does not print the one of message_4.
    if (trace.id === 'rfc9529-2') {
      assert.deepEqual(parsePlaintext4(printed(trace, 'PLAINTEXT_4')), [])
      assert.equal(hex(printed(trace, 'EAD_4')), '')
    } else assert.equal(hex(printed(trace, 'SUITES_R')), '02')
  })

async function sessionsOf(script: Script): Promise<Record<'initiator' | 'responder', Session>> {
  const { message1, next: wait2 } = new Initiator(script.initiator).send()
  const compose2 = new Responder(script.responder).receive(message1)
  const { message2, next: wait3 } = await compose2.send({ own: script.R.own, cR: script.cR })
  const judgeR = await wait2.receive(message2)
  const compose3 = await judgeR.accept(script.R.trusted)
  const { message3, next } = await compose3.send()
  const authenticated = wait3.receive(message3).accept(script.I.trusted)
  const { session } = next.receive(authenticated.message4())
  return { initiator: session, responder: authenticated.session }
}

function numberOf({ steps }: Trace, name: string): number | undefined {
  return steps.find((step) => step.name === name)?.value
}
