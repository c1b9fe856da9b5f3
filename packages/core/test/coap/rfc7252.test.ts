/** Messages of CoAP against the figures of RFC 7252 Appendix A and the options of Appendix B. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  type CoapMessage,
  type CoapOption,
  coapCode,
  codeText,
  encodeBody,
  encodeMessage,
  isCritical,
  isUnsafe,
  optionNumber,
  parseBody,
  parseMessage,
  readUint,
  uintValue,
  valuesOf,
} from '../../src/coap/index.ts'
import { fromHex, fromUtf8, hex, utf8 } from '../../src/codec/index.ts'

const path = 'bb74656d7065726174757265'
const reading = 'ff32322e332043'

/** Header fields, token, Uri-Path and payload as the figures draw them. */
const figures: readonly (readonly [name: string, bytes: string, line: string])[] = [
  ['16, request', `40017d34${path}`, 'CON 0.01 7d34 [] temperature ""'],
  ['16, response', `60457d34${reading}`, 'ACK 2.05 7d34 []  "22.3 C"'],
  ['17, request', `41017d3520${path}`, 'CON 0.01 7d35 [20] temperature ""'],
  ['17, response', `61457d3520${reading}`, 'ACK 2.05 7d35 [20]  "22.3 C"'],
  ['20, acknowledgement', '60007d38', 'ACK 0.00 7d38 []  ""'],
  ['20, separate response', `4145ad7b53${reading}`, 'CON 2.05 ad7b [53]  "22.3 C"'],
  ['21, reset', '7000ad7c', 'RST 0.00 ad7c []  ""'],
  ['22, request', `51017d4075${path}`, 'NON 0.01 7d40 [75] temperature ""'],
  ['22, response', `5145ad7d75${reading}`, 'NON 2.05 ad7d [75]  "22.3 C"'],
  ['23, response of C', '5184952a86', 'NON 4.04 952a [86]  ""'],
]

function lineOf({ type, code, messageId, token, options, payload }: CoapMessage): string {
  const segments = valuesOf(options, optionNumber.uriPath).map(fromUtf8).join('/')
  const id = messageId.toString(16)
  return `${type} ${codeText(code)} ${id} [${hex(token)}] ${segments} "${fromUtf8(payload)}"`
}

for (const [name, bytes, line] of figures) {
  test(`figure ${name}, reads as it is drawn and is written with the same bytes`, () => {
    const message = parseMessage(fromHex(bytes))
    assert.equal(lineOf(message), line)
    assert.equal(hex(encodeMessage(message)), bytes)
  })
}

const host = { number: 3, value: utf8('example.net') }

function segment(value: string): CoapOption {
  return { number: 11, value: utf8(value) }
}

function query(value: string): CoapOption {
  return { number: 15, value: utf8(value) }
}

test('the options of Appendix B have one encoding each, with lengths of 0 and above 12', () => {
  const lists = [
    [
      [host, segment('.well-known'), segment('core')],
      '3b6578616d706c652e6e65748b2e77656c6c2d6b6e6f776e04636f7265',
    ],
    [
      [
        { number: 3, value: utf8('xn--18j4d.example') },
        { number: 11, value: fromHex('e38193e38293e381abe381a1e381af') },
      ],
      '3d04786e2d2d31386a34642e6578616d706c658d02e38193e38293e381abe381a1e381af',
    ],
    [
      [segment(''), segment('/'), segment(''), segment(''), query('//'), query('?&')],
      'b0012f0000422f2f023f26',
    ],
  ] as const
  for (const [options, bytes] of lists) {
    assert.equal(hex(encodeBody({ options, payload: new Uint8Array() })), bytes)
    assert.deepEqual(parseBody(fromHex(bytes), 'options').options, options)
  }
})

// RFC 7252 §3.1: 13 and 14 announce one byte above 13 and two bytes above 269.
test('deltas and lengths change their form at 13 and at 269', () => {
  const empty = new Uint8Array()
  const heads = [
    [12, 'c0'],
    [13, 'd000'],
    [268, 'd0ff'],
    [269, 'e00000'],
    [65_535, 'e0fef2'],
  ] as const
  for (const [number, bytes] of heads) {
    assert.equal(hex(encodeBody({ options: [{ number, value: empty }], payload: empty })), bytes)
    assert.deepEqual(parseBody(fromHex(bytes), 'options').options, [{ number, value: empty }])
  }
  const lengths = [
    [12, '1c'],
    [13, '1d00'],
    [268, '1dff'],
    [269, '1e0000'],
    [1034, '1e02fd'],
  ] as const
  for (const [length, head] of lengths) {
    const options = [{ number: 1, value: new Uint8Array(length) }]
    const bytes = head + '00'.repeat(length)
    assert.equal(hex(encodeBody({ options, payload: empty })), bytes)
    assert.deepEqual(parseBody(fromHex(bytes), 'options').options, options)
  }
})

test('options are written in the order of their numbers, equal ones in the order they came', () => {
  const options = [
    { number: 15, value: utf8('b') },
    { number: 11, value: utf8('2') },
    { number: 15, value: utf8('a') },
    { number: 11, value: utf8('1') },
  ]
  const bytes = encodeBody({ options, payload: utf8('p') })
  assert.equal(hex(bytes), 'b132013141620161ff70')
})

interface Vectors {
  readonly vectors: readonly { readonly parts: readonly { readonly v: Record<string, string> }[] }[]
}

test('the messages of RFC 8613 Appendix C are read and written with the same bytes', () => {
  const file = new URL('../../../../vectors/oscore-rfc8613.json', import.meta.url)
  const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as Vectors
  const messages = vectors
    .flatMap(({ parts }) => parts.flatMap(({ v }) => Object.entries(v)))
    .filter(([label]) => label.includes('CoAP re'))
    .map(([, bytes]) => bytes)
  assert.equal(messages.length, 10)
  for (const bytes of messages) {
    assert.equal(hex(encodeMessage(parseMessage(fromHex(bytes)))), bytes)
  }
})

test('the number of an option says what it is to whom it is unknown', () => {
  // RFC 7252 Table 4: columns C and U.
  const critical = [1, 3, 5, 7, 11, 15, 17, 35, 39]
  const unsafe = [3, 7, 11, 14, 15, 35, 39]
  const all = [1, 3, 4, 5, 7, 8, 11, 12, 14, 15, 17, 20, 35, 39, 60]
  assert.deepEqual(all.filter(isCritical), critical)
  assert.deepEqual(all.filter(isUnsafe), unsafe)
})

test('a uint has as few bytes as it can, and zeros in front are read', () => {
  const values = [
    [0, ''],
    [1, '01'],
    [255, 'ff'],
    [256, '0100'],
    [0xffff_ffff, 'ffffffff'],
  ] as const
  for (const [value, bytes] of values) {
    assert.equal(hex(uintValue(value)), bytes)
    assert.equal(readUint(fromHex(bytes), 'Max-Age'), value)
  }
  assert.equal(readUint(fromHex('003c'), 'Max-Age'), 60)
  assert.throws(() => readUint(new Uint8Array(5), 'Max-Age'), { code: 'ERR_COAP_OPTION' })
  for (const value of [-1, 0.5, 2 ** 32]) assert.throws(() => uintValue(value))
})

test('codes are written as class and detail', () => {
  assert.equal(codeText(coapCode.get), '0.01')
  assert.equal(codeText(coapCode.continue), '2.31')
  assert.equal(codeText(coapCode.proxyingNotSupported), '5.05')
})
