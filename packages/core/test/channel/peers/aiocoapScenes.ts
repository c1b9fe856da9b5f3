/**
 * EDHOC over CoAP, OSCORE, and the combined request of RFC 9668 with aiocoap, which has EDHOC of
 * lakers. Each scene runs over UDP, or against the datagrams that were recorded of it.
 */
import assert from 'node:assert/strict'
import { codeText } from '@countersign/core/coap'
import { fromHex, utf8 } from '@countersign/core/codec'
import { claims, type Keys } from '../../edhoc/peers/claims.ts'
import { type Datagrams, type Known, OwnClient, post } from './ownEnds.ts'

export interface ServerScene {
  readonly name: string
  readonly run: (wire: Datagrams, known: Known) => Promise<void>
}

/** aiocoap is the server. */
export const serverScenes: readonly ServerScene[] = [
  { name: 'aiocoap serves: message_3 and the first request in one', run: combined },
  { name: 'aiocoap serves: message_3 alone, message_4', run: alone },
  { name: 'aiocoap serves: a message_3 of another handshake opens nothing', run: stranger },
]

export interface ClientScene {
  readonly name: string
  readonly combined: boolean
}

/** aiocoap is the client; what it asks is always `asked`. */
export const clientScenes: readonly ClientScene[] = [
  { name: 'aiocoap asks: message_3 and the first request in one', combined: true },
  { name: 'aiocoap asks: message_3 alone, message_4', combined: false },
]

export const asked: readonly (readonly [path: string, payload: string])[] = [
  ['m/temperature', '3231'],
  ['m/temperature', ''],
  ['r/2a/refused', '7b7d'],
]

/** Their kids are of one byte each: aiocoap looks them up so. */
export function knownTo(keys: Keys): Known {
  return { ours: claims('0a', keys('ours')), theirs: claims('2b', keys('theirs')), keys }
}

const temperature = ['m', 'temperature']

async function combined(wire: Datagrams, known: Known): Promise<void> {
  const client = new OwnClient(wire, known)
  const { context, response } = await client.open(post(temperature, utf8('21.5')))
  assert.equal(said(response), '2.04 someone said 21.5')
  const second = await client.protected(context, post(temperature, utf8('22.5')))
  assert.equal(said(second), '2.04 someone said 22.5')
  assert.equal(said(await client.protected(context, post(['no', 'topic'], fromHex('')))), '4.04 ')
  // In clear it is nobody who speaks.
  assert.equal(said(await client.send(post(temperature, utf8('23')))), '2.04 nobody said 23')
}

async function alone(wire: Datagrams, known: Known): Promise<void> {
  const client = new OwnClient(wire, known)
  const { context } = await client.open('message_4')
  const response = await client.protected(context, post(temperature, utf8('21.5')))
  assert.equal(said(response), '2.04 someone said 21.5')
}

async function stranger(wire: Datagrams, known: Known): Promise<void> {
  const other = { ...known, ours: claims('0a', known.keys('stranger')) }
  const ours = { ...other.ours, own: { ...other.ours.own, credential: known.ours.own.credential } }
  const client = new OwnClient(wire, { ...known, ours })
  await assert.rejects(client.open(post(temperature, utf8('21.5'))), {
    message: 'OSCORE: no OSCORE option',
  })
}

function said(
  response: { readonly code: number; readonly payload: Uint8Array } | undefined,
): string {
  assert.ok(response)
  return `${codeText(response.code)} ${Buffer.from(response.payload).toString()}`
}
