/** OSCORE messages with a bit changed or cut, and options that are malformed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CoapMessage, encodeMessage, parseMessage } from '../../src/coap/index.ts'
import { fromHex, hex } from '../../src/codec/index.ts'
import { PeerError } from '../../src/errors.ts'
import { parseOscoreOption, protectRequest, unprotectRequest } from '../../src/oscore/index.ts'
import { flips } from '../cose/examples.ts'
import { bytes, contextOf, vector } from './vectors.ts'

const request = bytes(vector('C.4'), 'Protected CoAP request (OSCORE message)')
const requestWithContext = bytes(vector('C.6'), 'Protected CoAP request (OSCORE message)')
const responses = ['C.7', 'C.8'].map((id) =>
  bytes(vector(id), 'Protected CoAP response (OSCORE message)'),
)

interface Subject {
  readonly wire: Uint8Array
  readonly judge: (wire: Uint8Array) => CoapMessage
  /** Code and payload of what was protected. */
  readonly content: string
}

const subjects: readonly Subject[] = [
  ...(
    [
      ['C.1', request],
      ['C.3', requestWithContext],
    ] as const
  ).map(([id, wire]) => ({
    wire,
    judge: (received: Uint8Array) =>
      unprotectRequest(contextOf(id, 'Server'), parseMessage(received)).request,
    content: '1 11:747631 ',
  })),
  ...responses.map((wire) => ({
    wire,
    judge: (received: Uint8Array) => {
      const original = parseMessage(bytes(vector('C.4'), 'Unprotected CoAP request'))
      const { exchange } = protectRequest(contextOf('C.1', 'Client', 20), original)
      return exchange.unprotectResponse(parseMessage(received))
    },
    content: '69  48656c6c6f20576f726c6421',
  })),
]

/** What is protected of a message; host, port, scheme and the EDHOC option are not. */
function contentOf({ code, options, payload }: CoapMessage): string {
  const inner = options
    .filter(({ number }) => ![3, 7, 21, 35, 39].includes(number))
    .map(({ number, value }) => `${number}:${hex(value)}`)
  return `${code} ${inner.join(' ')} ${hex(payload)}`
}

test('no bit can be changed but of what stays in sight, and the content is the same then', () => {
  for (const { wire, judge, content } of subjects) {
    assert.equal(contentOf(judge(wire)), content)
    const ciphertextAt = wire.lastIndexOf(0xff) + 1
    let taken = 0
    let bit = 0
    for (const flipped of flips(wire)) {
      const at = bit++ >> 3
      try {
        assert.equal(contentOf(judge(flipped)), content)
        taken++
        assert.ok(at < ciphertextAt, `byte ${at} was taken`)
      } catch (error) {
        assert.ok(error instanceof PeerError, `bit ${bit - 1}: ${String(error)}`)
      }
    }
    // Message ID and token at least.
    assert.ok(taken >= 48, `${taken} were taken`)
  }
})

test('no message can be cut', () => {
  for (const { wire, judge } of subjects) {
    for (let length = 0; length < wire.length; length++) {
      assert.throws(
        () => judge(wire.subarray(0, length)),
        (error) => error instanceof PeerError,
        `${length} bytes were taken`,
      )
    }
  }
})

const malformed: readonly (readonly [what: string, value: string])[] = [
  ['flags that say nothing', '00'],
  ['flags that say nothing, and more', '0001'],
  ['a reserved flag', '2914'],
  ['the second reserved flag', '4914'],
  ['the third reserved flag', '8914'],
  ['a Partial IV of 6 bytes', '0e010203040506'],
  ['a Partial IV of 7 bytes', '0f01020304050607'],
  ['a cut Partial IV', '0a14'],
  ['a Partial IV with a zero in front', '0a0014'],
  ['no length of the kid context', '1914'],
  ['a cut kid context', '1914080102'],
  ['bytes where no kid is', '011400'],
  ['bytes behind the kid context', '1114010203'],
  ['256 bytes', `0914${'00'.repeat(254)}`],
]

for (const [what, value] of malformed) {
  test(`an OSCORE option with ${what} is refused`, () => {
    assert.throws(
      () => parseOscoreOption(fromHex(value)),
      (error) => error instanceof PeerError && error.code === 'ERR_OSCORE_OPTION',
    )
  })
}

const message = parseMessage(request)
const oscore = { number: 9, value: fromHex('0914') }

const wrong: readonly (readonly [what: string, change: Partial<CoapMessage>, code: string])[] = [
  ['no OSCORE option', { options: [] }, 'ERR_OSCORE_MESSAGE'],
  ['two of them', { options: [oscore, oscore] }, 'ERR_OSCORE_OPTION'],
  ['no kid', { options: [{ number: 9, value: fromHex('0114') }] }, 'ERR_OSCORE_OPTION'],
  ['no Partial IV', { options: [{ number: 9, value: fromHex('08') }] }, 'ERR_OSCORE_OPTION'],
  ['no payload', { payload: new Uint8Array() }, 'ERR_OSCORE_MESSAGE'],
  ['a tag alone', { payload: message.payload.subarray(5) }, 'ERR_OSCORE_UNVERIFIED'],
  ['less than a tag', { payload: message.payload.subarray(6) }, 'ERR_OSCORE_UNVERIFIED'],
]

for (const [what, change, code] of wrong) {
  test(`a request with ${what} is refused`, () => {
    assert.throws(
      () => unprotectRequest(contextOf('C.1', 'Server'), { ...message, ...change }),
      (error) => error instanceof PeerError && error.code === code,
    )
  })
}

test('a message is not changed by whoever protects or reads it', () => {
  const original = parseMessage(bytes(vector('C.4'), 'Unprotected CoAP request'))
  const sent = protectRequest(contextOf('C.1', 'Client', 20), original)
  unprotectRequest(contextOf('C.1', 'Server'), sent.message)
  assert.equal(hex(encodeMessage(original)), vector('C.4')['Unprotected CoAP request'])
  assert.equal(hex(encodeMessage(sent.message)), hex(request))
})
