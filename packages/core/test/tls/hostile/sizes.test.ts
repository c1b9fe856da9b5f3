/**
 * Messages that are longer than this client reads (limits.ts). Their length is announced and nothing
 * of them is sent: whoever would wait for the rest would gather it.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as limits from '../../../src/tls/limits.ts'
import type { Step } from '../puppet.ts'
import { u16, u8 } from '../puppetBytes.ts'
import * as steps from '../puppetSteps.ts'
import { assertFailed, assertRefused, opened, Talk, talk } from './conversation.ts'

const tooLong = { alert: 'internal_error', code: 'ERR_TLS_LIMIT' }
const malformed = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }

/** The header of a message. */
const announced = (type: number, length: number): Step =>
  steps.contentOf(22, Buffer.concat([u8(type), u8(length >> 16), u16(length & 0xffff)]))

const flight = steps.fullFlight

/** When a message is due: what comes before it; its type; its most bytes. */
const inFlight: readonly (readonly [string, readonly Step[], number, number])[] = [
  ['ServerHello', [], 2, limits.helloBytesMax],
  ['EncryptedExtensions', flight.slice(0, 2), 8, limits.encryptedExtensionsBytesMax],
  ['CertificateRequest', flight.slice(0, 3), 13, limits.certificateRequestBytesMax],
  ['Certificate', flight.slice(0, 4), 11, limits.certificateBytesMax],
  ['CertificateVerify', flight.slice(0, 5), 15, limits.certificateVerifyBytesMax],
]

suite('a message within the handshake', () => {
  for (const [name, before, type, most] of inFlight) {
    test(`${name} is refused by its length alone`, async () => {
      for (const length of [most + 1, 0xffffff]) {
        const refused = await talk({ flights: [[...before, announced(type, length)]] })
        assertRefused(refused, tooLong, `${length} bytes`)
      }
    })

    test(`${name} of the most bytes is waited for`, async () => {
      const waits = await talk({ flights: [[...before, announced(type, most)]] })
      assert.deepEqual(waits.failed, [])
      waits.client.endOfStream()
      assertRefused(waits, { alert: undefined, code: 'ERR_TLS_TRUNCATED' })
    })
  }

  test('Finished longer than any hash is malformed', async () => {
    for (const length of [65, 0xffffff]) {
      const refused = await talk({ flights: [[...flight.slice(0, 6), announced(20, length)]] })
      assertRefused(refused, malformed)
    }
  })

  test('a message of a type that no server sends is refused by its first byte', async () => {
    const known = new Set([2, 4, 8, 11, 13, 15, 20, 24])
    for (let type = 0; type < 256; type++) {
      if (known.has(type)) continue
      const refused = await talk({ flights: [[steps.contentOf(22, Buffer.of(type))]] })
      const refusal = { alert: 'unexpected_message', code: 'ERR_TLS_UNEXPECTED_MESSAGE' }
      assertRefused(refused, refusal, `type ${type}`)
    }
  })
})

suite('a message behind the handshake', () => {
  test('NewSessionTicket is refused by its length alone', async () => {
    for (const length of [limits.ticketMessageBytesMax + 1, 0xffffff]) {
      assertFailed(await opened([announced(4, length)]), tooLong)
    }
  })

  test('NewSessionTicket may be long', async () => {
    const ticket = Buffer.alloc(limits.ticketMessageBytesMax - 4 - 4 - 3 - 2 - 2, 7)
    const talked = await opened([steps.ticket(1, (right) => ({ ...right, ticket }))])
    assert.deepEqual(talked.failed, [])
    assert.equal(talked.sessions[0]?.ticket.length, ticket.length)
  })

  test('KeyUpdate has one byte', async () => {
    for (const length of [2, 0xffffff]) {
      assertFailed(await opened([announced(24, length)]), malformed)
    }
    assertFailed(await opened([steps.anyMessage(24, Buffer.alloc(0))]), malformed)
  })
})

suite('bytes that wait', () => {
  test('a large piece of a stream is read as it is, when nobody has to wait', async () => {
    const talked = await new Talk().start()
    const content = Buffer.alloc(16_384, 'x')
    const pieces = Array.from({ length: 40 }, () => steps.data(content))
    await talked.run(...pieces)
    assert.deepEqual(talked.failed, [])
    assert.equal(talked.text.length, 40 * content.length)
  })
})
