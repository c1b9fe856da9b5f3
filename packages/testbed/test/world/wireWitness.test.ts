import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CoapMessage, coapCode, encodeMessage } from '@countersign/core/coap'
import { fromHex, utf8 } from '@countersign/core/codec'
import {
  deriveContext,
  protectRequest,
  type SecurityContext,
  unprotectRequest,
} from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { WireWitness } from '../../src/index.ts'

const device = '10.0.0.7:5683'
/** POST /.well-known/edhoc, `f5` and a message_1 of method 0, suite 2, C_I 05. */
const message1 = fromHex(
  `41021234abbb2e77656c6c2d6b6e6f776e056564686f63fff500025820${'11'.repeat(32)}05`,
)

test('a conversation in which each nonce is used once is without fault', () => {
  const { witness, ask, command } = scene()
  for (let token = 1; token < 4; token++) ask(token)
  command(9)
  assert.deepEqual(witness.reused, [])
  assert.equal(witness.seen, 8)
})

test('a datagram that is sent again is no second use of its nonce', () => {
  const { witness, ask } = scene()
  const sent = ask(1)
  for (const [datagram, direction] of sent) witness.see(datagram, device, direction)
  assert.deepEqual(witness.reused, [])
})

test('a device that begins its numbers anew is seen, and so is the answer to it', () => {
  const first = scene()
  const again = scene(first.witness)
  first.ask(1, 'warm')
  again.ask(1, 'cold')
  assert.deepEqual(
    first.witness.reused.map(({ nonce }) => nonce),
    ['device 010203 its own 0'],
  )
})

test('a server that answers one request twice under its nonce is seen', () => {
  const first = scene()
  const again = scene(first.witness)
  first.ask(1, 'warm')
  again.ask(1, 'warm', coapCode.badRequest)
  assert.deepEqual(
    first.witness.reused.map(({ nonce }) => nonce),
    ["server 010203 the request's 0"],
  )
})

test('a server that begins its numbers anew is seen in its requests and answers alike', () => {
  const first = scene()
  const again = scene(first.witness)
  first.ask(1, 'warm')
  first.command(9)
  again.command(8, 'other')
  const third = scene(first.witness)
  third.ask(1, 'warm', coapCode.changed, true)
  assert.deepEqual(
    first.witness.reused.map(({ nonce }) => nonce),
    ['server 010203 its own 0', 'server 010203 its own 0'],
  )
})

type Sent = readonly [Uint8Array, 'up' | 'down']

interface Scene {
  readonly witness: WireWitness
  readonly ask: (token: number, text?: string, code?: number, ownPartialIv?: boolean) => Sent[]
  readonly command: (token: number, text?: string) => Sent[]
}

/** A device and a server with a context that both have just derived. */
function scene(witness = new WireWitness()): Scene {
  const [mine, its] = [fromHex('010203'), fromHex('05')]
  const common = { masterSecret: nodeCrypto.importSecret(new Uint8Array(16)), senderReserved: 64 }
  const ofDevice = deriveContext(nodeCrypto, { ...common, senderId: mine, recipientId: its })
  const ofServer = deriveContext(nodeCrypto, { ...common, senderId: its, recipientId: mine })
  witness.see(message1, device, 'up')
  const exchange = (
    [from, to]: readonly [SecurityContext, SecurityContext],
    [way, back]: readonly ['up' | 'down', 'up' | 'down'],
    message: CoapMessage,
    { code, ownPartialIv }: { readonly code: number; readonly ownPartialIv: boolean },
  ): Sent[] => {
    const request = protectRequest(from, message).message
    const { exchange: served } = unprotectRequest(to, request)
    // It is written down.
    to.recipient.window.stored(to.recipient.window.snapshot())
    const answer = { ...message, type: 'ACK' as const, code, options: [], payload: utf8('done') }
    const response = served.protectResponse(answer, { ownPartialIv })
    const sent: Sent[] = [
      [encodeMessage(request), way],
      [encodeMessage(response), back],
    ]
    for (const [datagram, direction] of sent) witness.see(datagram, device, direction)
    return sent
  }
  return {
    witness,
    ask: (token, text = 'reading', code = coapCode.changed, ownPartialIv = false) =>
      exchange([ofDevice, ofServer], ['up', 'down'], post(token, text), { code, ownPartialIv }),
    command: (token, text = 'act') =>
      exchange([ofServer, ofDevice], ['down', 'up'], post(token, text), {
        code: coapCode.changed,
        ownPartialIv: false,
      }),
  }
}

function post(token: number, text: string): CoapMessage {
  const payload = utf8(text)
  return {
    type: 'CON',
    code: coapCode.post,
    messageId: token,
    token: Uint8Array.of(token),
    options: [],
    payload,
  }
}
