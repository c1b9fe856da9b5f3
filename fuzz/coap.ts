/**
 * Fuzzes messages of CoAP and bodies in blocks. A message that is read is written with the same
 * bytes; whatever blocks come in whatever order, a body is what came in a row since its first, an
 * answer fits into a message, and no more is held than the limits say. `node fuzz/coap.ts --seconds
 * N --seed S`
 */
import {
  blockIn,
  blockOption,
  type CoapMessage,
  type CoapOption,
  coapCode,
  contentFormatIn,
  contentFormatOption,
  encodeBody,
  encodeMessage,
  optionNumber,
  parseBody,
  parseMessage,
  pathOf,
  queriesOf,
  queryOf,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import { concat, equalBytes, fromHex } from '@countersign/core/codec'
import { nothing } from '../packages/core/test/coap/world.ts'
import { Assembled } from './coapAssembled.ts'
import { blocks, figures, inRow, messagesOf, oscoreMessages, others } from './coapMessages.ts'
import { each, fuzz } from './fuzz.ts'

const messages = [...figures, ...oscoreMessages, ...blocks, ...others]
const rows = [inRow(...blocks), inRow(...blocks.slice(0, 2), ...blocks), inRow(...messages)]
/** For `putInOrder`: three blocks of one body and the rest of a response, and the same with larger blocks. */
const scripts = ['010041010142100205080100080200', '070041070142170243100320080100'].map(fromHex)

fuzz('coap', [...messages, ...rows, ...scripts], (input) =>
  each([
    () => readMessage(parseMessage(input), input),
    () => same(encodeBody(parseBody(input, 'fuzz')), input),
    () => putTogether(new Assembled(), messagesOf(input)),
    () => putInOrder(new Assembled(), input),
  ]),
)

function readMessage(message: CoapMessage, input: Uint8Array): void {
  same(encodeMessage(message), input)
  each([
    () => same(written(uriPath(...pathOf(message))), written(message, optionNumber.uriPath)),
    () => same(written(uriQuery(...queriesOf(message))), written(message, optionNumber.uriQuery)),
    () => queryOf(message, 'n'),
    () => {
      const format = contentFormatIn(message)
      if (format !== undefined) contentFormatOption(format)
    },
    () => blockIn(message, 'block1'),
    () => blockIn(message, 'block2'),
  ])
}

function written(from: CoapMessage | readonly CoapOption[], number?: number): Uint8Array {
  const options = 'options' in from ? from.options.filter((one) => one.number === number) : from
  return encodeBody({ options, payload: nothing })
}

/** Requests of any shape, of two peers. */
function putTogether(assembled: Assembled, row: readonly Uint8Array[]): void {
  each(
    row.map((bytes, index) => () => {
      const message = parseMessage(bytes)
      if (message.code >> 5 === 0) assembled.take(String(index % 2), message)
    }),
  )
}

/** The input says which blocks come: three bytes of it are one. */
function putInOrder(assembled: Assembled, script: Uint8Array): void {
  let sofar: Uint8Array = nothing
  for (let at = 0; at + 3 <= script.length; at += 3) {
    const [flags = 0, number = 0, fill = 0] = script.subarray(at, at + 3)
    const block = { number: number & 15, more: (flags & 1) === 1, szx: (flags >> 1) & 3 }
    const name = (flags & 8) === 0 ? 'block1' : 'block2'
    const start = block.number * (16 << block.szx)
    const length = (flags & 0x10) === 0 ? 16 << block.szx : fill & 0x7f
    const payload = name === 'block1' ? new Uint8Array(length).fill(fill) : nothing
    const options = [blockOption(name, block)]
    const request = { code: coapCode.post, options, payload }
    const message = { ...request, type: 'CON', messageId: at, token: nothing } as const
    const body = assembled.take('one', message)
    if (name === 'block2') continue
    const hasItsSize = !block.more || length === 16 << block.szx
    if (hasItsSize && start === 0) sofar = payload
    else if (hasItsSize && start === sofar.length) sofar = concat(sofar, payload)
    if (body !== undefined) same(body, sofar)
  }
}

function same(again: Uint8Array, input: Uint8Array): void {
  if (!equalBytes(again, input)) throw new Error('something else was taken for the same')
}
