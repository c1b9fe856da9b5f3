/**
 * OSCORE with aiocoap over UDP, in both roles: requests, a replay, a window that was lost at either
 * end (RFC 8613 Appendix B.1.2).
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { type CoapMessage, coapCode, parseMessage } from '@countersign/core/coap'
import { fromHex, fromUtf8, hex, utf8 } from '@countersign/core/codec'
import {
  challengeIn,
  type ContextParameters,
  decodeContext,
  deriveContext,
  EchoIssuer,
  encodeContext,
  oscoreOptionOf,
  parametersOf,
  repeatedWithEcho,
  type SecurityContext,
  stateOf,
} from '@countersign/core/oscore'
import { missingPythonPeers } from '../../peers/python.ts'
import { node, portable, type Provider } from '../../providers.ts'
import { aiocoap, contextFolder, type Names } from './aiocoapProcess.ts'
import { ask, OwnServer, ownEnd, post } from './ownEnd.ts'

const skip = missingPythonPeers()
const names: Names = {
  secret: '0102030405060708090a0b0c0d0e0f10',
  salt: '9e7ca92223786340',
  senderId: '2d',
  recipientId: 'a1b2c3',
}

/** The other end of `names`. */
function ownContext(state: Partial<ContextParameters> = {}, { crypto }: Provider = node) {
  return deriveContext(crypto, {
    masterSecret: crypto.importSecret(fromHex(names.secret)),
    masterSalt: crypto.importSecret(fromHex(names.salt)),
    senderId: fromHex(names.recipientId),
    recipientId: fromHex(names.senderId),
    senderReserved: 64,
    ...state,
  })
}

function echoWith({ crypto }: Provider): EchoIssuer {
  const key = crypto.importSecret(crypto.hash('sha256', utf8('of this life')))
  return new EchoIssuer({ crypto, clock: { now: () => performance.now() }, key })
}

/** An aiocoap client, and our server for it. */
async function withClient(t: TestContext, context: SecurityContext, provider: Provider) {
  const server = new OwnServer(context, echoWith(provider))
  const end = await ownEnd(t, (message) => server.answer(message))
  const client = aiocoap(t, 'client', contextFolder(t, names), String(end.port))
  const posted = async (path: string, payload: string): Promise<string> => {
    client.say([path, hex(utf8(payload))])
    const answer = await client.next()
    return `${answer.code} ${fromUtf8(fromHex(answer.payload ?? ''))}`
  }
  return { server, end, posted }
}

for (const provider of [node, portable]) {
  test(`aiocoap as client: requests and their responses, ${provider.name}`, { skip }, async (t) => {
    const { server, end, posted } = await withClient(t, ownContext({}, provider), provider)
    assert.equal(await posted('m/t', 'one'), '68 1 one')
    assert.equal(await posted('m/t', 'two'), '68 2 two')
    assert.equal(await posted('m/a/b/c', ''), '68 3 ')
    assert.deepEqual(server.heard, ['m/t 6f6e65', 'm/t 74776f', 'm/a/b/c '])
    assert.deepEqual(partialIvs(end.received), [0, 1, 2])
    // Written down, so under the nonces of the requests.
    assert.deepEqual(partialIvs(end.sent), [undefined, undefined, undefined])
  })
}

test('aiocoap as client brings the Echo back when our window was lost', { skip }, async (t) => {
  const lost = { senderSequenceNumber: 64, senderReserved: 128, window: 'lost' } as const
  const context = ownContext(lost)
  const { server, end, posted } = await withClient(t, context, node)
  assert.equal(await posted('m/t', 'one'), '68 1 one')
  assert.equal(await posted('m/t', 'two'), '68 2 two')
  assert.equal(server.challenges, 1)
  assert.deepEqual(partialIvs(end.received), [0, 1, 2])
  assert.deepEqual(partialIvs(end.sent), [64, undefined, undefined])
  assert.deepEqual(context.recipient.window.snapshot(), { highest: 2, accepted: 0xffff_ffff })
})

test('aiocoap as client does not notice that we were written down and read again', {
  skip,
}, async (t) => {
  const { server, end, posted } = await withClient(t, ownContext(), node)
  assert.equal(await posted('m/t', 'one'), '68 1 one')
  const keys = {
    masterSecret: node.crypto.importSecret(fromHex(names.secret)),
    masterSalt: node.crypto.importSecret(fromHex(names.salt)),
    senderId: fromHex(names.recipientId),
    recipientId: fromHex(names.senderId),
    algorithm: 10,
    hash: 'sha256',
  } as const
  const record = encodeContext(node.crypto, { ...keys, state: stateOf(server.context) })
  const { crypto } = portable
  server.context = deriveContext(crypto, parametersOf(decodeContext(crypto, record)))
  assert.equal(await posted('m/t', 'two'), '68 2 two')
  assert.equal(server.challenges, 0)
  const [recorded] = end.received
  assert.ok(recorded)
  const message = parseMessage(recorded)
  assert.equal(server.answer(message).code, coapCode.unauthorized)
  assert.deepEqual(server.refused, ['ERR_OSCORE_REPLAY'])
})

test('what aiocoap sent is refused when it comes again', { skip }, async (t) => {
  const { server, end, posted } = await withClient(t, ownContext(), node)
  await posted('m/t', 'one')
  const attacker = await ownEnd(t)
  const [recorded] = end.received
  assert.ok(recorded)
  const message = parseMessage(recorded)
  // With another Message ID and token: for CoAP it is a new request.
  const answer = await attacker.endpoint.request(
    { ...message, type: 'CON' },
    `127.0.0.1:${end.port}`,
  )
  assert.equal(answer.code, coapCode.unauthorized)
  assert.equal(fromUtf8(answer.payload), 'Replay detected')
  assert.deepEqual(server.refused, ['ERR_OSCORE_REPLAY'])
  assert.equal(await posted('m/t', 'two'), '68 2 two')
})

test('aiocoap as server: requests, responses, and a replay of ours', { skip }, async (t) => {
  const server = aiocoap(t, 'server', contextFolder(t, names))
  const to = `127.0.0.1:${(await server.next()).port}`
  const end = await ownEnd(t)
  const context = ownContext()
  for (const [index, text] of ['one', 'two', 'three'].entries()) {
    const answer = await ask(end, context, post('m/t', text), to)
    assert.equal(`${answer.code} ${fromUtf8(answer.payload)}`, `68 ${index + 1} ${text}`)
  }
  const missing = await ask(end, context, post('m/u', ''), to)
  assert.equal(missing.code, coapCode.notFound)
  const [first] = end.sent
  assert.ok(first)
  const attacker = await ownEnd(t)
  const refused = await attacker.endpoint.request({ ...parseMessage(first), type: 'CON' }, to)
  assert.equal(refused.code, coapCode.unauthorized)
  assert.equal(fromUtf8(refused.payload), 'Replay detected')
  const after = await ask(end, context, post('m/t', 'four'), to)
  assert.equal(fromUtf8(after.payload), '4 four')
})

test('aiocoap as server asks for Echo after a crash, and gets it', { skip }, async (t) => {
  const folder = contextFolder(t, names)
  const context = ownContext()
  const end = await ownEnd(t)
  const before = aiocoap(t, 'server', folder)
  const answer = await ask(end, context, post('m/t', 'one'), await placeOf(before))
  assert.equal(fromUtf8(answer.payload), '1 one')
  await before.crash()

  const to = await placeOf(aiocoap(t, 'server', folder))
  const request = post('m/t', 'two')
  const challenge = await ask(end, context, request, to)
  assert.ok(challengeIn(challenge))
  const again = repeatedWithEcho(request, challenge)
  assert.ok(again)
  const taken = await ask(end, context, again, to)
  assert.equal(fromUtf8(taken.payload), '1 two')
  const next = await ask(end, context, post('m/t', 'three'), to)
  assert.equal(fromUtf8(next.payload), '2 three')
  // What it had taken before the crash it does not take again.
  const [recorded] = end.sent
  assert.ok(recorded)
  const attacker = await ownEnd(t)
  const refused = await attacker.endpoint.request({ ...parseMessage(recorded), type: 'CON' }, to)
  assert.equal(fromUtf8(refused.payload), 'Replay detected')
})

async function placeOf(server: ReturnType<typeof aiocoap>): Promise<string> {
  return `127.0.0.1:${(await server.next()).port}`
}

/** Of the datagrams with OSCORE. */
function partialIvs(datagrams: readonly Uint8Array[]): readonly (number | undefined)[] {
  const messages: readonly CoapMessage[] = datagrams.map((datagram) => parseMessage(datagram))
  const underOscore = messages.filter(({ options }) => options.some(({ number }) => number === 9))
  return underOscore.map((message) => oscoreOptionOf(message).partialIv)
}
