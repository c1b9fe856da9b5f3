/** The messages of RFC 9529, byte for byte both ways, and those that it calls invalid. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, fromHex, hex } from '@countersign/core/codec'
import { encodeCredentialReference } from '@countersign/core/cose'
import {
  acceptSelected,
  edhocLimits,
  encodeEad,
  encodeError,
  encodeMessage1,
  encodeMessage2,
  encodePlaintext2,
  encodePlaintext3,
  encodeSealed,
  isErrorMessage,
  methods,
  parseError,
  parseMessage1,
  parseMessage2,
  parseMessage3,
  parseMessage4,
  parsePlaintext2,
  parsePlaintext3,
  parsePlaintext4,
  peerShare,
  type Suite,
  suites,
  suitesOf,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type Invalid, invalid, printed, reasons, traceOf, traces } from './rfc9529.ts'

const raw = 'Raw Value'
const suiteOf = (number: number): Suite => {
  const suite = suites.get(number)
  assert.ok(suite)
  return suite
}

const [suite0, suite2] = [suiteOf(0), suiteOf(2)]
const method3 = methods.get(3)
assert.ok(method3)

for (const trace of traces) {
  const suite = suiteOf(trace.suite)
  const method = methods.get(trace.method)
  assert.ok(method)

  test(`${trace.id}: message_1 is read and written`, () => {
    const bytes = printed(trace, 'message_1')
    const message1 = parseMessage1(bytes)
    assert.equal(message1.method.number, trace.method)
    assert.deepEqual(message1.suitesI, trace.suite === 0 ? [0] : [6, 2])
    assert.equal(hex(message1.gX), hex(printed(trace, 'G_X', raw)))
    assert.equal(hex(message1.cI), hex(printed(trace, 'C_I', raw)))
    assert.deepEqual(message1.ead, [])
    assert.equal(hex(encodeMessage1(message1)), hex(bytes))
  })

  test(`${trace.id}: message_2 and PLAINTEXT_2 are read and written`, () => {
    const bytes = printed(trace, 'message_2')
    const message2 = parseMessage2(bytes, suite)
    assert.equal(hex(message2.gY), hex(printed(trace, 'G_Y', raw)))
    assert.equal(hex(message2.ciphertext2), hex(printed(trace, 'CIPHERTEXT_2')))
    assert.equal(hex(encodeMessage2(message2)), hex(bytes))

    const plain = printed(trace, 'PLAINTEXT_2')
    const plaintext2 = parsePlaintext2(plain, suite, method)
    assert.equal(hex(plaintext2.cR), hex(printed(trace, 'C_R', raw)))
    assert.equal(
      hex(encodeCredentialReference(plaintext2.reference)),
      hex(printed(trace, 'ID_CRED_R')),
    )
    assert.equal(hex(plaintext2.proof), hex(printed(trace, 'Signature_or_MAC_2', raw)))
    assert.deepEqual(plaintext2.ead, [])
    assert.equal(hex(encodePlaintext2(plaintext2)), hex(plain))
  })

  test(`${trace.id}: message_3, PLAINTEXT_3 and message_4 are read and written`, () => {
    const ciphertext3 = parseMessage3(printed(trace, 'message_3'), suite)
    assert.equal(hex(ciphertext3), hex(printed(trace, 'CIPHERTEXT_3')))
    assert.equal(hex(encodeSealed(ciphertext3)), hex(printed(trace, 'message_3')))

    const plain = printed(trace, 'PLAINTEXT_3')
    const plaintext3 = parsePlaintext3(plain, suite, method)
    assert.equal(
      hex(encodeCredentialReference(plaintext3.reference)),
      hex(printed(trace, 'ID_CRED_I')),
    )
    assert.equal(hex(plaintext3.proof), hex(printed(trace, 'Signature_or_MAC_3', raw)))
    assert.deepEqual(plaintext3.ead, [])
    assert.equal(hex(encodePlaintext3(plaintext3)), hex(plain))

    const ciphertext4 = parseMessage4(printed(trace, 'message_4'), suite)
    assert.equal(hex(ciphertext4), hex(printed(trace, 'CIPHERTEXT_4')))
    assert.equal(hex(encodeSealed(ciphertext4)), hex(printed(trace, 'message_4')))
    assert.deepEqual(parsePlaintext4(new Uint8Array()), [])
    assert.equal(encodeEad([]).length, 0)
  })
}

test('the first message_1 of the second trace is answered with the suite of its responder', () => {
  const trace = traceOf('rfc9529-3')
  const first = trace.steps.find(({ name }) => name === 'message_1')
  assert.ok(first)
  const supported = suitesOf(nodeCrypto).filter(({ number }) => number === 2)
  const { suitesI } = parseMessage1(fromHex(first.hex))
  assert.deepEqual(suitesI, [6])
  assert.throws(() => acceptSelected(suitesI, supported), { code: 'ERR_EDHOC_SUITE' })

  const error = printed(trace, 'error')
  assert.ok(isErrorMessage(error) && !isErrorMessage(printed(trace, 'message_2')))
  assert.deepEqual(parseError(error), { kind: 'wrong suite', suitesR: [2] })
  assert.equal(hex(encodeError({ kind: 'wrong suite', suitesR: [2] })), hex(error))
})

test('each invalid message of RFC 9529 has its reason', () => {
  assert.deepEqual(
    invalid.map(({ section }) => section).toSorted(),
    Object.keys(reasons).toSorted(),
  )
})

for (const one of invalid) {
  test(`${one.name} of RFC 9529 is refused: ${one.section}`, () => {
    assert.throws(
      () => read(one),
      (error) => error instanceof PeerError && error.code === reasons[one.section],
    )
  })
}

/** As far as a responder goes with message_1: up to the agreement. */
function read({ name, hex: text }: Invalid): void {
  const bytes = fromHex(text)
  switch (name) {
    case 'Invalid message_1': {
      const { suitesI, gX } = parseMessage1(bytes)
      const suite = acceptSelected(suitesI, suitesOf(nodeCrypto))
      nodeCrypto.generateEphemeral(suite.curve.group).agree(peerShare(nodeCrypto, suite, gX))
      return
    }
    case 'Invalid message_2':
      parseMessage2(bytes, suite2)
      return
    case 'Invalid PLAINTEXT_2':
      assert.ok(method3)
      parsePlaintext2(bytes, suite2, method3)
  }
}

test('messages without room for a key, a ciphertext or a tag, or too long, are refused', () => {
  const refused = { code: 'ERR_EDHOC_MESSAGE' }
  for (const length of [0, 1, 31, 32]) {
    assert.throws(() => parseMessage2(stringOf(length), suite2), refused)
  }
  assert.equal(parseMessage2(stringOf(33), suite2).ciphertext2.length, 1)
  // With the three bytes of its head.
  const longest = edhocLimits.messageBytesMax - 3
  assert.equal(parseMessage2(stringOf(longest), suite2).ciphertext2.length, longest - 32)
  assert.throws(() => parseMessage2(stringOf(longest + 1), suite2), PeerError)
  for (const length of [0, 1, 7]) {
    assert.throws(() => parseMessage3(stringOf(length), suite0), refused)
    assert.throws(() => parseMessage4(stringOf(length), suite0), refused)
  }
  assert.throws(() => parseMessage4(stringOf(15), suiteOf(3)), refused)
})

function stringOf(length: number): Uint8Array {
  return concat(headOf(length), new Uint8Array(length))
}

function headOf(length: number): Uint8Array {
  if (length < 24) return Uint8Array.of(0x40 + length)
  if (length < 256) return Uint8Array.of(0x58, length)
  return Uint8Array.of(0x59, length >> 8, length & 255)
}
