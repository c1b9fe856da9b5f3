/**
 * Fuzzes what EDHOC over CoAP adds: payloads, combined requests, what a message_1 says of a cold
 * start. What is taken apart is put together with the same bytes, and lies in memory of its own.
 * `node fuzz/channel.ts --seconds N --seed S`
 */
import { readFileSync } from 'node:fs'
import {
  coldStartItem,
  combine,
  encodeContinued,
  encodeStart,
  fitsCombined,
  isCombined,
  parseEdhocPayload,
  separate,
  wantedByValue,
} from '@countersign/core/channel'
import { coapCode, encodeMessage, parseMessage } from '@countersign/core/coap'
import { concat, equalBytes, fromHex } from '@countersign/core/codec'
import { encodeEad, encodeMessage1, parseMessage1 } from '@countersign/core/edhoc'
import { each, fuzz } from './fuzz.ts'

interface Vector {
  readonly message_1: string
  readonly message_3: string
}

const file = new URL('../vectors/edhoc-x509.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] }
const messages1 = vectors.map(({ message_1: text }) => fromHex(text))
const messages3 = vectors.map(({ message_3: text }) => fromHex(text))
const asking = (['leaf', 'leaf and issuer'] as const).map((wanted) =>
  encodeEad([coldStartItem(wanted)]),
)

/** RFC 8613 C.4. */
const protectedRequest = parseMessage(
  fromHex('44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e'),
)

const corpus = [
  ...messages1.map(encodeStart),
  ...messages3.flatMap((message) => [
    encodeContinued(fromHex('27'), message),
    encodeContinued(fromHex('010203'), message),
    encodeMessage(combine(message, protectedRequest)),
    concat(message, protectedRequest.payload),
  ]),
  ...asking.flatMap((ead) => messages1.map((message) => encodeStart(concat(message, ead)))),
  // An error behind an identifier (RFC 9528 §6).
  fromHex('43010203 01626e6f'.replace(' ', '')),
]

fuzz('channel', corpus, (input) =>
  each([
    () => readPayload(input),
    () => {
      const message = parseMessage(input)
      if (isCombined(message)) takeApart(message)
    },
    // The options are right however the payload was bent.
    () => takeApart(combine(input, protectedRequest)),
  ]),
)

function readPayload(input: Uint8Array): void {
  const lent = Uint8Array.from(input)
  const payload = parseEdhocPayload(lent)
  lent.fill(0)
  if (payload.kind === 'continued') {
    return same(encodeContinued(payload.cR, payload.message), input)
  }
  same(encodeStart(payload.message), input)
  const message1 = parseMessage1(payload.message)
  same(encodeMessage1(message1), payload.message)
  const wanted = wantedByValue(message1.ead)
  const item = message1.ead.find(({ label }) => label === 32_768)
  if ((wanted === undefined) !== (item === undefined)) throw new Error('a cold start of nobody')
}

function takeApart(message: ReturnType<typeof parseMessage>): void {
  const lent = { ...message, payload: Uint8Array.from(message.payload) }
  const { message3, request } = separate(lent)
  lent.payload.fill(0)
  const again = combine(message3, request)
  same(again.payload, message.payload)
  if (request.options.length !== message.options.length - 1) throw new Error('options were lost')
  // Throws what is no refusal for one that does not fit.
  if (fitsCombined(message3, request)) encodeMessage({ ...again, code: coapCode.post })
}

function same(again: Uint8Array, input: Uint8Array): void {
  if (!equalBytes(again, input)) throw new Error('something else was taken for the same')
}
