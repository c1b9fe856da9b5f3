/** OSCORE against RFC 8613 Appendix C, every value of it, and the options of §6.3. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeMessage, parseMessage } from '../../src/coap/index.ts'
import { fromHex, hex } from '../../src/codec/index.ts'
import { additionalData, externalAad, keyInfo, nonceOf } from '../../src/oscore/derivation.ts'
import { plaintextToProtect } from '../../src/oscore/fields.ts'
import {
  oscoreOptionOf,
  parseOscoreOption,
  protectRequest,
  unprotectRequest,
} from '../../src/oscore/index.ts'
import { encodeOscoreOption } from '../../src/oscore/option.ts'
import { type Provider, providers } from '../providers.ts'
import { bytes, contextOf, vector } from './vectors.ts'

const sides = ['Client', 'Server'] as const

const requests = [
  ['C.4', 'C.1'],
  ['C.5', 'C.2'],
  ['C.6', 'C.3'],
] as const

for (const provider of providers) followsAppendixC(provider)

function followsAppendixC({ name, crypto }: Provider): void {
  for (const id of ['C.1', 'C.2', 'C.3']) {
    for (const side of sides) {
      test(`${id}, ${name}, ${side}: infos, keys, Common IV and nonces are those of the text`, () => {
        const values = vector(id, side)
        const context = contextOf(id, side, 0, crypto)
        const { sender, recipient, commonIv, idContext } = context
        const fields = { idContext, algorithm: 10 } as const
        const key = { ...fields, type: 'Key', length: 16 } as const
        const none = new Uint8Array()
        assert.deepEqual(
          {
            'info (for Sender Key)': hex(keyInfo({ ...key, id: sender.id })),
            'info (for Recipient Key)': hex(keyInfo({ ...key, id: recipient.id })),
            'info (for Common IV)': hex(keyInfo({ ...fields, id: none, type: 'IV', length: 13 })),
            'Sender Key': hex(crypto.exportSecret(sender.key)),
            'Recipient Key': hex(crypto.exportSecret(recipient.key)),
            'Common IV': hex(commonIv),
            'sender nonce': hex(nonceOf(commonIv, sender.id, 0)),
            'recipient nonce': hex(nonceOf(commonIv, recipient.id, 0)),
          },
          Object.fromEntries(
            Object.entries(values).filter(([label]) => /info|Key|IV|nonce/.test(label)),
          ),
        )
      })
    }
  }

  for (const [id, contextId] of requests) {
    test(`${id}, ${name}: the request is protected and read as in the text`, () => {
      const values = vector(id)
      const client = contextOf(contextId, 'Client', 20, crypto)
      const { sender, commonIv } = client
      const request = parseMessage(bytes(values, 'Unprotected CoAP request'))
      const requestName = { kid: bytes(values, 'kid'), partialIv: 20 }
      assert.equal(hex(plaintextToProtect(request, 'request')), values['plaintext'])
      assert.equal(hex(externalAad(10, requestName)), values['aad_array'])
      assert.equal(hex(additionalData(10, requestName)), values['AAD'])
      assert.equal(hex(crypto.exportSecret(sender.key)), values['encryption key'])
      assert.equal(hex(nonceOf(commonIv, sender.id, 20)), values['nonce'])
      const { message } = protectRequest(client, request)
      const option = oscoreOptionOf(message)
      assert.equal(hex(encodeOscoreOption(option)), values['OSCORE option value'])
      assert.equal(hex(message.payload), values['ciphertext'])
      const wire = values['Protected CoAP request (OSCORE message)'] ?? ''
      assert.equal(hex(encodeMessage(message)), wire)
      assert.equal(sender.sequence.next, 21)
      const received = unprotectRequest(
        contextOf(contextId, 'Server', 0, crypto),
        parseMessage(fromHex(wire)),
      )
      assert.equal(hex(encodeMessage(received.request)), values['Unprotected CoAP request'])
    })
  }

  for (const [id, ownPartialIv] of [
    ['C.7', false],
    ['C.8', true],
  ] as const) {
    test(`${id}, ${name}: the response is protected and read as in the text`, () => {
      const values = vector(id)
      const sent = protectRequest(
        contextOf('C.1', 'Client', 20, crypto),
        parseMessage(bytes(vector('C.4'), 'Unprotected CoAP request')),
      )
      const server = contextOf('C.1', 'Server', 0, crypto)
      const { exchange } = unprotectRequest(server, sent.message)
      const response = parseMessage(bytes(values, 'Unprotected CoAP response'))
      assert.equal(hex(plaintextToProtect(response, 'response')), values['plaintext'])
      const [nonceId, number] = ownPartialIv ? [server.sender.id, 0] : [server.recipient.id, 20]
      assert.equal(hex(nonceOf(server.commonIv, nonceId, number)), values['nonce'])
      assert.equal(hex(crypto.exportSecret(server.sender.key)), values['encryption key'])
      assert.equal(
        hex(additionalData(10, { kid: server.recipient.id, partialIv: 20 })),
        values['AAD'],
      )
      const message = exchange.protectResponse(response, { ownPartialIv })
      assert.equal(hex(encodeOscoreOption(oscoreOptionOf(message))), values['OSCORE option value'])
      assert.equal(hex(message.payload), values['ciphertext'])
      const wire = values['Protected CoAP response (OSCORE message)'] ?? ''
      assert.equal(hex(encodeMessage(message)), wire)
      const read = sent.exchange.unprotectResponse(parseMessage(fromHex(wire)))
      assert.equal(hex(encodeMessage(read)), values['Unprotected CoAP response'])
    })
  }
}

// RFC 8613 §6.3.
test('the examples of compressed COSE objects have the bytes of the text', () => {
  const examples = [
    ['090525', { partialIv: 5, kid: fromHex('25') }],
    ['0900', { partialIv: 0, kid: fromHex('') }],
    ['19050544616c656b', { partialIv: 5, kid: fromHex(''), kidContext: fromHex('44616c656b') }],
    ['', {}],
    ['0107', { partialIv: 7 }],
  ] as const
  for (const [value, option] of examples) {
    assert.equal(hex(encodeOscoreOption(option)), value)
    assert.deepEqual(parseOscoreOption(fromHex(value)), option)
  }
})

test('a Partial IV has one to five bytes', () => {
  const options = [
    ['01ff', 255],
    ['020100', 256],
    ['05ffffffffff', 2 ** 40 - 1],
  ] as const
  for (const [value, partialIv] of options) {
    assert.equal(hex(encodeOscoreOption({ partialIv })), value)
    assert.deepEqual(parseOscoreOption(fromHex(value)), { partialIv })
  }
})
