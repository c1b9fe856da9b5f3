/**
 * How long the messages are when each certificate is known by name: P-256, tags of 8 bytes, one byte
 * for each identifier (RFC 9528 §5).
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  Initiator,
  type Method,
  methods,
  type OwnCredential,
  offer,
  Responder,
  suitesOf,
} from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { needsOpenssl } from '../x509/support.ts'
import { ForeignPki, type Naming, referenceTo, softOwn, type SoftHolder } from './foreignPki.ts'

const { skip } = needsOpenssl()

// message_1: method 1, suite 1, G_X 2 + 32, C_I 1.
// message_2: a head 2, G_Y 32, C_R 1, the name, the proof: 2 + 64 for a signature, 1 + 8 for a tag.
// message_3: a head of 1 or 2, the name, the proof, the tag of the ciphertext 8.
// A name by x5t: a map 1, its key 2, an array 1, the algorithm 1, the digest 1 + 8. A kid: 1.
const lengths: readonly (readonly [Method['number'], Naming, Naming, readonly number[]])[] = [
  [0, 'x5t', 'x5t', [37, 115, 90]],
  [1, 'x5t', 'kid', [37, 45, 90]],
  [3, 'kid', 'kid', [37, 45, 19]],
  [3, 'x5t', 'kid', [37, 45, 33]],
]

describe('with certificates that are known by name', { skip }, () => {
  for (const [number, device, server, expected] of lengths)
    test(`method ${number}, ${device} and ${server}: ${expected.join(' + ')} bytes`, async () => {
      assert.deepEqual(await lengthsOf(number, device, server), expected)
    })
})

async function lengthsOf(
  number: Method['number'],
  deviceBy: Naming,
  serverBy: Naming,
): Promise<readonly number[]> {
  const pki = new ForeignPki()
  const suite = suitesOf(nodeCrypto).find((one) => one.number === 2)
  const method = methods.get(number)
  assert.ok(suite !== undefined && method !== undefined)
  const device = pki.soft('device', method.initiator, suite)
  const server = pki.soft('server', method.responder, suite)
  const own = (holder: SoftHolder, by: 'initiator' | 'responder', naming: Naming): OwnCredential =>
    softOwn({ ...holder, kid: Uint8Array.of(0x21) }, method[by], naming, suite)

  const { message1, next: wait2 } = new Initiator({
    crypto: nodeCrypto,
    method,
    offer: offer([suite]),
    cI: Uint8Array.of(0x0e),
    own: own(device, 'initiator', deviceBy),
  }).send()
  const responder = new Responder({ crypto: nodeCrypto, methods: [number], suites: [suite] })
  const answer = { own: own(server, 'responder', serverBy), cR: Uint8Array.of(0x0f) }
  const { message2, next: wait3 } = await responder.receive(message1).send(answer)
  const knownServer = pki.trusted('server', suite, method.responder, referenceTo(server, 'x5t'))
  const judgeR = await wait2.receive(message2)
  const compose3 = await judgeR.accept(knownServer)
  const { message3 } = await compose3.send()
  const knownDevice = pki.trusted('device', suite, method.initiator, referenceTo(device, 'x5t'))
  wait3.receive(message3).accept(knownDevice)
  return [message1.length, message2.length, message3.length]
}
