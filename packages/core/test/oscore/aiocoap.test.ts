/** Exchanges that aiocoap made, read here, and made here again byte for byte. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { encodeMessage, parseMessage } from '../../src/coap/index.ts'
import { fromHex, hex } from '../../src/codec/index.ts'
import {
  deriveContext,
  type OscoreCrypto,
  protectRequest,
  type SecurityContext,
  unprotectRequest,
} from '../../src/oscore/index.ts'
import { type Provider, providers } from '../providers.ts'

interface Exchange {
  readonly clientId: string
  readonly serverId: string
  readonly idContext: string | null
  readonly clientNumber: number
  readonly serverNumber: number
  readonly request: string
  readonly protectedRequest: string
  readonly response: string
  /** With the nonce of the request, then with a Partial IV. */
  readonly protectedResponses: readonly string[]
}

interface Recording {
  readonly masterSecret: string
  readonly masterSalt: string
  readonly exchanges: readonly Exchange[]
}

const file = new URL('../../../../vectors/oscore-aiocoap.json', import.meta.url)
const recording = JSON.parse(readFileSync(file, 'utf8')) as Recording

function contextOf(
  crypto: OscoreCrypto,
  senderId: string,
  recipientId: string,
  idContext: string | null,
  senderSequenceNumber: number,
): SecurityContext {
  return deriveContext(crypto, {
    masterSecret: crypto.importSecret(fromHex(recording.masterSecret)),
    masterSalt: crypto.importSecret(fromHex(recording.masterSalt)),
    senderId: fromHex(senderId),
    recipientId: fromHex(recipientId),
    senderSequenceNumber,
    ...(idContext !== null && { idContext: fromHex(idContext) }),
  })
}

for (const provider of providers) {
  for (const recorded of recording.exchanges) reads(provider, recorded)
}

function reads({ name, crypto }: Provider, recorded: Exchange): void {
  const { clientId, serverId, idContext, clientNumber, serverNumber } = recorded
  test(`aiocoap's exchange of '${clientId}' and '${serverId}' is read and made here, ${name}`, () => {
    const client = contextOf(crypto, clientId, serverId, idContext, clientNumber)
    const server = contextOf(crypto, serverId, clientId, idContext, serverNumber)
    const sent = protectRequest(client, parseMessage(fromHex(recorded.request)))
    assert.equal(hex(encodeMessage(sent.message)), recorded.protectedRequest)
    const { request, exchange } = unprotectRequest(server, sent.message)
    assert.equal(hex(encodeMessage(request)), recorded.request)
    const response = parseMessage(fromHex(recorded.response))
    const answers = [exchange.protectResponse(response), exchange.protectResponse(response)]
    assert.deepEqual(
      answers.map((answer) => hex(encodeMessage(answer))),
      recorded.protectedResponses,
    )
  })

  test(`each response of '${serverId}' to '${clientId}' is read here, ${name}`, () => {
    for (const answer of recorded.protectedResponses) {
      const client = contextOf(crypto, clientId, serverId, idContext, clientNumber)
      const { exchange } = protectRequest(client, parseMessage(fromHex(recorded.request)))
      const response = exchange.unprotectResponse(parseMessage(fromHex(answer)))
      assert.equal(hex(encodeMessage(response)), recorded.response)
    }
  })
}
