/** Messages that break RFC 7252, have a bit changed, or are cut. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CoapMessage,
  type CoapOption,
  coapLimits,
  encodeMessage,
  parseMessage,
} from '../../src/coap/index.ts'
import { fromHex, hex } from '../../src/codec/index.ts'
import { CallerError, PeerError } from '../../src/errors.ts'
import { flips } from '../cose/examples.ts'

const refused: readonly (readonly [what: string, bytes: string, code: string])[] = [
  ['nothing at all', '', 'ERR_COAP_TRUNCATED'],
  ['a cut header', '400100', 'ERR_COAP_TRUNCATED'],
  ['version 0', '00017d34', 'ERR_COAP_VERSION'],
  ['version 2', '80017d34', 'ERR_COAP_VERSION'],
  ['a token of 9 bytes', '49017d34010203040506070809', 'ERR_COAP_TOKEN'],
  ['a token length of 15', '4f017d34', 'ERR_COAP_TOKEN'],
  ['a cut token', '42017d3401', 'ERR_COAP_TRUNCATED'],
  ['a code of class 1', '40207d34', 'ERR_COAP_CODE'],
  ['a code of class 3', '40607d34', 'ERR_COAP_CODE'],
  ['a code of class 7', '40e17d34', 'ERR_COAP_CODE'],
  ['an Empty message with a token', '61007d3420', 'ERR_COAP_EMPTY'],
  ['an Empty message with more behind it', '60007d34ff00', 'ERR_COAP_EMPTY'],
  ['a request in an ACK', '60017d34', 'ERR_COAP_TYPE'],
  ['a response in a RST', '70457d34', 'ERR_COAP_TYPE'],
  ['an Empty NON', '50007d34', 'ERR_COAP_TYPE'],
  ['a reserved delta', '40017d34f1', 'ERR_COAP_OPTION'],
  ['a reserved length', '40017d341f', 'ERR_COAP_OPTION'],
  ['a cut longer delta', '40017d34e000', 'ERR_COAP_TRUNCATED'],
  ['a cut longer length', '40017d341d', 'ERR_COAP_TRUNCATED'],
  ['a cut value', '40017d34b27f', 'ERR_COAP_TRUNCATED'],
  ['an option above 65535', '40017d34e0fef310', 'ERR_COAP_OPTION'],
  ['an option above 65535 by sum', '40017d34e0fef210', 'ERR_COAP_OPTION'],
  ['a value of 1035 bytes', `40017d341e02fe${'00'.repeat(1035)}`, 'ERR_COAP_OPTION'],
  ['65 options', `40017d34${'10'.repeat(65)}`, 'ERR_COAP_OPTION'],
  ['a marker without payload', '40017d34ff', 'ERR_COAP_PAYLOAD'],
  ['1153 bytes', `40017d34ff${'00'.repeat(1148)}`, 'ERR_COAP_SIZE'],
]

for (const [what, bytes, code] of refused) {
  test(`${what} is refused`, () => {
    assert.throws(
      () => parseMessage(fromHex(bytes)),
      (error) => error instanceof PeerError && error.code === code,
    )
  })
}

test('what is at a limit is taken', () => {
  for (const bytes of [
    '48017d340102030405060708',
    `40017d34${'10'.repeat(64)}`,
    `40017d341e02fd${'00'.repeat(1034)}`,
    `40017d34ff${'00'.repeat(1147)}`,
  ]) {
    assert.equal(hex(encodeMessage(parseMessage(fromHex(bytes)))), bytes)
  }
})

test('the refusal of a message with a header says whom a Reset would answer', () => {
  assert.throws(
    () => parseMessage(fromHex('40017d34ff')),
    (error) =>
      error instanceof PeerError &&
      error.details['type'] === 'CON' &&
      error.details['messageId'] === 0x7d34,
  )
})

// RFC 8613 C.7, C.5: a response with a payload, a request with three options.
const subjects = [
  '64455d1f00003974ff48656c6c6f20576f726c6421',
  '440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0',
]

test('a message with a bit changed is refused, or is another one with its own bytes', () => {
  for (const subject of subjects) {
    for (const flipped of flips(fromHex(subject))) {
      try {
        assert.equal(hex(encodeMessage(parseMessage(flipped))), hex(flipped))
      } catch (error) {
        assert.ok(error instanceof PeerError, String(error))
      }
    }
  }
})

test('a message that is cut is refused, or is a shorter one with its own bytes', () => {
  for (const subject of subjects) {
    const whole = fromHex(subject)
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.subarray(0, length)
      try {
        assert.equal(hex(encodeMessage(parseMessage(cut))), hex(cut))
        assert.ok(length >= 8, `${length} bytes were taken`)
      } catch (error) {
        assert.ok(error instanceof PeerError, String(error))
      }
    }
  }
})

function option(number: number, length: number): CoapOption {
  return { number, value: new Uint8Array(length) }
}

test('nothing is written that would be refused', () => {
  const good: CoapMessage = {
    type: 'CON',
    code: 1,
    messageId: 0,
    token: new Uint8Array(),
    options: [],
    payload: new Uint8Array(),
  }
  const wrong: readonly (readonly [Partial<CoapMessage>, string])[] = [
    [{ code: 0x100 }, 'ERR_COAP_CODE'],
    [{ code: 0x20 }, 'ERR_COAP_CODE'],
    [{ messageId: 65_536 }, 'ERR_COAP_CODE'],
    [{ messageId: -1 }, 'ERR_COAP_CODE'],
    [{ token: new Uint8Array(9) }, 'ERR_COAP_TOKEN'],
    [{ type: 'ACK' }, 'ERR_COAP_TYPE'],
    [{ code: 0, payload: new Uint8Array(1) }, 'ERR_COAP_EMPTY'],
    [{ options: [option(65_536, 0)] }, 'ERR_COAP_OPTION'],
    [{ options: [option(-1, 0)] }, 'ERR_COAP_OPTION'],
    [{ options: [option(1, coapLimits.optionBytesMax + 1)] }, 'ERR_COAP_OPTION'],
    [{ options: Array.from({ length: 65 }, () => option(1, 0)) }, 'ERR_COAP_OPTION'],
    [{ payload: new Uint8Array(coapLimits.messageBytesMax) }, 'ERR_COAP_SIZE'],
  ]
  for (const [change, code] of wrong) {
    assert.throws(
      () => encodeMessage({ ...good, ...change }),
      (error) => error instanceof CallerError && error.code === code,
    )
  }
})
