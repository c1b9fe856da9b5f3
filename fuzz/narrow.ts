/**
 * Fuzzes the device's side of the narrow channel: rows of datagrams to a device that has met its
 * server, or has not (see narrowHouse.ts for what must hold). `node fuzz/narrow.ts --seconds N
 * --seed S`
 */
import {
  coapCode,
  type CoapMessage,
  encodeMessage,
  optionNumber,
  parseMessage,
} from '@countersign/core/coap'
import { fromHex, utf8 } from '@countersign/core/codec'
import { encodeError } from '@countersign/core/edhoc'
import { inRow, messagesOf } from './coapMessages.ts'
import { fuzzAsync } from './fuzz.ts'
import { met, NarrowHouse, protectedAnswer, protectedCommands } from './narrowHouse.ts'

const first = async (record: typeof met | undefined): Promise<CoapMessage> => {
  const { sent } = await NarrowHouse.of(record)
  const [datagram = new Uint8Array()] = sent
  return parseMessage(datagram)
}
const known = await first(met)
const unknown = await first(undefined)

/** What anybody can say to a request. */
function unprotected({ messageId, token }: CoapMessage): readonly Uint8Array[] {
  const edhoc = { number: optionNumber.contentFormat, value: Uint8Array.of(64) }
  const echo = { number: optionNumber.echo, value: fromHex('0102030405060708') }
  const maxAge = { number: optionNumber.maxAge, value: Uint8Array.of(60) }
  const errors = [
    encodeError({ kind: 'unspecified', text: 'go away' }),
    encodeError({ kind: 'wrong suite', suitesR: [3] }),
    encodeError({ kind: 'unknown credential' }),
  ]
  const says = (code: number, options: CoapMessage['options'], payload: Uint8Array): Uint8Array =>
    encodeMessage({ type: 'ACK', messageId, token, code, options, payload })
  return [
    says(coapCode.unauthorized, [], utf8('Security context not found')),
    says(coapCode.unauthorized, [echo], new Uint8Array()),
    says(coapCode.serviceUnavailable, [maxAge], new Uint8Array()),
    ...errors.map((error) => says(coapCode.badRequest, [edhoc], error)),
    // The length of a message_2 that names an x5t.
    says(coapCode.changed, [edhoc], fromHex(`5874${'5a'.repeat(116)}`)),
  ]
}

const answer = encodeMessage(protectedAnswer(encodeMessage(known)))
const commands = protectedCommands().map(encodeMessage)
const toKnown = [answer, ...commands, ...unprotected(known)]
const toUnknown = unprotected(unknown)
/** The first byte says to whom. */
const rows = [
  ...[inRow(...toKnown), inRow(...commands, answer), ...toKnown.map((one) => inRow(one, one))].map(
    (row) => Uint8Array.of(1, ...row),
  ),
  ...[inRow(...toUnknown), ...toUnknown.map((one) => inRow(one, one))].map((row) =>
    Uint8Array.of(0, ...row),
  ),
]

await fuzzAsync('narrow', rows, async (input) => {
  const house = await NarrowHouse.of((input[0] ?? 0) % 2 === 1 ? met : undefined)
  for (const datagram of messagesOf(input.subarray(1))) await house.hears(datagram)
  await house.ends()
})
