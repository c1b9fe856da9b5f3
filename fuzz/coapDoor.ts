/**
 * Fuzzes the server's coap door (see coapDoorHouse.ts for what must hold): datagrams of strangers, what
 * an enrolled device seals, what stands in the place of message_3. `node fuzz/coapDoor.ts --seconds N
 * --seed S`
 */
import { combine } from '@countersign/core/channel'
import { coapCode, encodeMessage, optionNumber, uriPath, uriQuery } from '@countersign/core/coap'
import { cbor, concat, fromHex, utf8 } from '@countersign/core/codec'
import { DoorHouse } from './coapDoorHouse.ts'
import { figures, inRow, messagesOf, oscoreMessages, others } from './coapMessages.ts'
import { fuzzAsync } from './fuzz.ts'

type Options = Parameters<typeof encodeMessage>[0]['options']

const head = { type: 'CON', messageId: 7, token: Uint8Array.of(1) } as const
const none = new Uint8Array()

function post(options: Options, payload: Uint8Array, code: number = coapCode.post): Uint8Array {
  return encodeMessage({ ...head, code, options, payload })
}

/** RFC 8613 §5.3: the code, options and payload as they stand in a message. */
function plaintext(
  options: Options,
  payload: Uint8Array,
  code: number = coapCode.post,
): Uint8Array {
  const bare = encodeMessage({ ...head, token: none, code, options, payload })
  return concat(Uint8Array.of(code), bare.subarray(4))
}

// RFC 9529 §3.2: message_1 of method 3 in suite 2, its C_I 0x37.
const message1 = fromHex(
  'f5030258208af6f430ebe18d34184017a9a11bf511c8dff8f834730b96c1b7c8dbca2fc3b637',
)
const edhoc = uriPath('.well-known', 'edhoc')
const oscore = { number: optionNumber.oscore, value: Uint8Array.of(9, 1, 1, 2, 3) }
const message3 = cbor.byteString(new Uint8Array(90))
const sealed = { ...head, code: coapCode.post, options: [oscore], payload: new Uint8Array(30) }

const strangers = [
  post(edhoc, message1),
  post(edhoc, concat(Uint8Array.of(0x43, 1, 2, 3), message3)),
  post([oscore], new Uint8Array(30)),
  encodeMessage(combine(message3, sealed)),
  post(uriPath('m', 'a'), utf8('x')),
  ...figures,
  ...oscoreMessages,
  ...others,
]
const json = { number: optionNumber.contentFormat, value: Uint8Array.of(50) }
const block = (value: number): Options[number] => ({ number: 27, value: Uint8Array.of(value) })
const plaintexts = [
  plaintext([...uriPath('m', 'a', 'b'), json, ...uriQuery('n=1', 't')], utf8('{"c":1}')),
  plaintext([...uriPath('m', 'a')], utf8('x')),
  plaintext([...uriPath('r', '0123456789abcdef0123456789abcdef')], utf8('done')),
  plaintext([...uriPath('r', '0123456789abcdef0123456789abcdef', 'refused')], utf8('no')),
  plaintext([...uriPath('m', 'a'), block(0x08)], new Uint8Array(16)),
  plaintext([...uriPath('m', 'a'), block(0x10)], new Uint8Array(9)),
  plaintext(uriPath('.well-known', 'core'), none, coapCode.get),
]
const thirds = [message3, concat(message3, new Uint8Array(20)), Uint8Array.of(1, 0x61, 0x78)]

/** The first byte says who speaks. */
const rows = [strangers, plaintexts, thirds, thirds].flatMap((messages, who) =>
  [inRow(...messages.slice(0, 6)), ...messages.map((one) => inRow(one, one))].map((row) =>
    Uint8Array.of(who, ...row),
  ),
)
const house = await DoorHouse.open()

await fuzzAsync('coapDoor', rows, async ([who = 0, ...row]) => {
  const messages = messagesOf(Uint8Array.from(row)).slice(0, 12)
  switch (who % 4) {
    case 0:
      return await house.strangers(messages)
    case 1:
      return await house.device(messages)
    // Each is a whole handshake of both sides.
    case 2:
      return await house.third(messages.slice(0, 3), false)
    default:
      return await house.third(messages.slice(0, 3), true)
  }
})
process.exit()
