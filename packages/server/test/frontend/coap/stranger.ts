/** Requests to the handshake from somebody whom nobody knows, as datagrams. */
import { encodeStart } from '@countersign/core/channel'
import {
  type CoapMessage,
  type CoapOption,
  coapCode,
  encodeMessage,
  optionNumber,
  parseMessage,
  uriPath,
} from '@countersign/core/coap'
import { cbor, concat } from '@countersign/core/codec'
import type { CoapLimits } from '../../../src/frontend/coap/limits.ts'
import type { CoapHouse } from './house.ts'

const manyPerSecond = 100_000
const many = { perSecond: manyPerSecond, burst: manyPerSecond }

/** For what is not about rates: none of them is met. */
export const withoutRates: Partial<CoapLimits> = {
  handshakesPerAddressPerSecond: manyPerSecond,
  handshakesPerAddressBurst: manyPerSecond,
  handshakes: many,
  unprovenHandshakes: many,
  halfOpenUnprovenPerAddressMax: manyPerSecond,
  strangerAnswersPerAddress: many,
  strangerAnswers: many,
}

/** message_1 as a stranger makes one: C_I counts, G_X is a point of somebody's. */
export async function strangerAt(house: CoapHouse): Promise<(n: number) => Uint8Array> {
  const device = await house.device()
  const head = device.message1().slice(0, -1)
  return (n) => {
    const identifier = cbor.byteString(Uint8Array.of(n >> 16, (n >> 8) & 0xff, n & 0xff))
    return edhocRequest(encodeStart(concat(head, identifier)), n)
  }
}

export function edhocRequest(payload: Uint8Array, n: number): Uint8Array {
  return encodeMessage({
    type: 'CON',
    code: coapCode.post,
    messageId: n & 0xffff,
    token: Uint8Array.of(n >> 16),
    options: uriPath('.well-known', 'edhoc'),
    payload,
  })
}

/** The same request with an Echo, as another exchange. */
export function withEcho(datagram: Uint8Array, echo: CoapOption): Uint8Array {
  const { options, messageId, ...rest } = parseMessage(datagram)
  return encodeMessage({
    ...rest,
    messageId: messageId ^ 0x8000,
    options: [...options, echo],
  })
}

export function echoIn({ options }: CoapMessage): CoapOption | undefined {
  return options.find(({ number }) => number === optionNumber.echo)
}
