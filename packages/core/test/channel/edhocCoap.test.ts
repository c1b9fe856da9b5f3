/** RFC 9528 Appendix A.2.1 and RFC 9668 §3: payloads and combined requests, with bytes of RFC 9529. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
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
import { type CoapMessage, coapCode, coapLimits, encodeMessage } from '@countersign/core/coap'
import { fromHex, hex } from '@countersign/core/codec'
import { encodeEad } from '@countersign/core/edhoc'

/** RFC 9529 §3.2.1, message_1. */
const message1 = fromHex(
  '0382060258208af6f430ebe18d34184017a9a11bf511c8dff8f834730b96c1b7c8dbca2fc3b637',
)
/** RFC 9529 §3.2.3, message_3. */
const message3 = fromHex('52e562097bc417dd5919485ac7891ffd90a9fc')
/** RFC 8613 C.4: the payload of the protected request, its OSCORE option. */
const ciphertext = fromHex('612f1092f1776f1c1668b3825e')

function protectedRequest(payload: Uint8Array = ciphertext): CoapMessage {
  return {
    type: 'CON',
    code: coapCode.post,
    messageId: 1,
    token: new Uint8Array(),
    // kid is C_R of the trace, 27.
    options: [{ number: 9, value: fromHex('090027') }],
    payload,
  }
}

describe('payloads of EDHOC over CoAP', () => {
  it('message_1 follows true', () => {
    assert.equal(hex(encodeStart(message1)), `f5${hex(message1)}`)
    assert.deepEqual(parseEdhocPayload(fromHex(`f5${hex(message1)}`)), {
      kind: 'message_1',
      message: message1,
    })
  })

  it('message_3 follows C_R, as an integer where it is one', () => {
    assert.equal(hex(encodeContinued(fromHex('27'), message3)), `27${hex(message3)}`)
    assert.equal(hex(encodeContinued(fromHex('18'), message3)), `4118${hex(message3)}`)
    const { kind, ...rest } = parseEdhocPayload(fromHex(`43010203${hex(message3)}`))
    assert.equal(kind, 'continued')
    assert.deepEqual(rest, { cR: fromHex('010203'), message: message3 })
  })

  it('may lie in a buffer that its owner uses again', () => {
    const datagram = Buffer.from(`43010203${hex(message3)}`, 'hex')
    const parsed = parseEdhocPayload(datagram)
    const payload = Buffer.from(hex(message3) + hex(ciphertext), 'hex')
    const separated = separate(combine(new Uint8Array(), { ...protectedRequest(), payload }))
    for (const buffer of [datagram, payload]) buffer.fill(0)
    assert.equal(hex(parsed.message), hex(message3))
    assert.equal(hex(separated.message3), hex(message3))
  })

  it('what begins otherwise is refused', () => {
    for (const wrong of ['', 'f4', 'f6', '1818', '4127', '5827', 'a0', '20ff'.slice(2)]) {
      assert.throws(() => parseEdhocPayload(fromHex(wrong)), { code: 'ERR_EDHOC_PAYLOAD' }, wrong)
    }
    assert.throws(() => parseEdhocPayload(new Uint8Array(16_385)), { code: 'ERR_EDHOC_PAYLOAD' })
  })
})

describe('combined requests', () => {
  it('have the option EDHOC, and message_3 in front of the ciphertext', () => {
    const combined = combine(message3, protectedRequest())
    // Options 9 (three bytes) and 21 (none), then the payload.
    assert.equal(
      hex(encodeMessage(combined)),
      `4002000193090027c0ff${hex(message3)}${hex(ciphertext)}`,
    )
    assert.equal(isCombined(combined), true)
    assert.equal(isCombined(protectedRequest()), false)
    const separated = separate(combined)
    assert.deepEqual(separated.message3, message3)
    assert.deepEqual(separated.request, protectedRequest())
  })

  it('are refused when cut, doubled, or without OSCORE', () => {
    const combined = combine(message3, protectedRequest())
    for (let length = 0; length <= message3.length; length++) {
      const cut = { ...combined, payload: combined.payload.subarray(0, length) }
      assert.throws(() => separate(cut), { code: 'ERR_EDHOC_COMBINED' }, `${length} bytes`)
    }
    const edhoc = { number: 21, value: new Uint8Array() }
    const doubled = { ...combined, options: [...combined.options, edhoc] }
    assert.throws(() => separate(doubled), { code: 'ERR_EDHOC_COMBINED' })
    const bare = { ...combined, options: [edhoc] }
    assert.throws(() => separate(bare), { code: 'ERR_EDHOC_COMBINED' })
  })

  it('are known beforehand to fit into a datagram', () => {
    const roomy = protectedRequest(new Uint8Array(1000))
    assert.equal(fitsCombined(message3, roomy), true)
    const token = new Uint8Array(8)
    const room = coapLimits.messageBytesMax
    for (let length = 1100; length < room; length++) {
      const request = { ...protectedRequest(new Uint8Array(length)), token }
      const goesOut = !throws(() => encodeMessage(combine(message3, request)))
      assert.equal(fitsCombined(message3, request), goesOut, `${length} bytes`)
    }
  })
})

describe('what an initiator asks for by value', () => {
  it('travels as an item of a private label', () => {
    assert.equal(hex(encodeEad([coldStartItem('leaf')])), '198000')
    assert.equal(hex(encodeEad([coldStartItem('leaf and issuer')])), '19800040')
    assert.equal(wantedByValue([]), undefined)
    assert.equal(wantedByValue([coldStartItem('leaf')]), 'leaf')
    assert.equal(wantedByValue([coldStartItem('leaf and issuer')]), 'leaf and issuer')
  })
})

function throws(run: () => unknown): boolean {
  try {
    run()
    return false
  } catch {
    return true
  }
}
