/** Messages that have no place within the handshake, or none behind it (RFC 8446 §4.6). */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Step } from '../puppet.ts'
import * as steps from '../puppetSteps.ts'
import { assertFailed, assertOpen, assertRefused, opened, talk } from './conversation.ts'
import { resumed } from './settings.ts'

const unexpected = { alert: 'unexpected_message', code: 'ERR_TLS_UNEXPECTED_MESSAGE' }
const illegal = { alert: 'illegal_parameter', code: 'ERR_TLS_ILLEGAL_PARAMETER' }

const ticketMessage = steps.anyMessage(4, Buffer.alloc(40))

/** What a server says behind the handshake, or never; without a change of keys. */
const strays: readonly (readonly [string, Step])[] = [
  ['a HelloRequest', steps.anyMessage(0)],
  ['a ClientHello', steps.anyMessage(1, Buffer.alloc(40))],
  ['a NewSessionTicket', ticketMessage],
  ['an EndOfEarlyData', steps.anyMessage(5)],
  ['a KeyUpdate', steps.anyMessage(24, Buffer.of(0))],
  ['a KeyUpdate that asks for ours', steps.anyMessage(24, Buffer.of(1))],
  ['a message_hash', steps.anyMessage(254, Buffer.alloc(32))],
]

suite('within the handshake', () => {
  for (const [what, stray] of strays) {
    test(`${what} is refused wherever it comes`, async () => {
      const flight = steps.fullFlight.filter((step) => step !== steps.changeCipherSpec)
      for (let at = 0; at < flight.length; at++) {
        const refused = await talk({ flights: [flight.toSpliced(at, 0, stray)] })
        assertRefused(refused, unexpected, `before message ${at}`)
      }
    })

    test(`${what} is refused wherever it comes in a flight that resumes`, async () => {
      const { puppet, options } = await resumed()
      const flight = steps.resumedFlight.filter((step) => step !== steps.changeCipherSpec)
      for (let at = 0; at < flight.length; at++) {
        const flights = [flight.toSpliced(at, 0, stray)]
        assertRefused(await talk({ ...puppet, flights }, options), unexpected, `before ${at}`)
      }
    })
  }
})

suite('behind the handshake', () => {
  test('a CertificateRequest is refused: the client offered no such thing', async () => {
    const asks = steps.certificateRequest([steps.askedSchemes], Buffer.of(1, 2, 3))
    const talked = await opened([asks])
    assert.equal(talked.signed, 1)
    assertFailed(talked, unexpected)
  })

  test('a HelloRequest, which asked for a renegotiation once, is refused', async () => {
    assertFailed(await opened([steps.anyMessage(0)]), unexpected)
  })

  test('the messages of a handshake are refused', async () => {
    for (const step of [
      steps.bareServerHello(),
      steps.encryptedExtensions(),
      steps.certificate(),
      steps.certificateVerify(),
      steps.anyMessage(20, Buffer.alloc(32)),
    ]) {
      assertFailed(await opened([step]), unexpected)
    }
  })

  test('a message of any other type is refused', async () => {
    for (let type = 0; type < 256; type++) {
      if (type === 4 || type === 24) continue
      assertFailed(await opened([steps.anyMessage(type)]), unexpected, `type ${type}`)
    }
  })

  test('a KeyUpdate has two kinds and no third', async () => {
    for (const kind of [2, 3, 128, 255]) {
      assertFailed(await opened([steps.keyUpdate(kind)]), illegal, `kind ${kind}`)
    }
  })

  test('a KeyUpdate that asks for ours is not answered behind our farewell', async () => {
    const talked = await opened()
    talked.client.end()
    await talked.run(steps.keyUpdate(1), steps.data('still heard'))
    assert.equal(talked.text, 'still heard')
    assert.ok(!talked.puppet.received.includes('KeyUpdate'))
    assert.deepEqual(talked.failed, [])
  })

  test('KeyUpdates that cross under way leave both sides understood', async () => {
    const talked = await opened()
    talked.client.updateKeys(true)
    await talked.run(steps.keyUpdate(1), steps.data('one'), steps.keyUpdate(0), steps.data(' two'))
    assert.equal(talked.text, 'one two')
    talked.client.write(Buffer.from('three'))
    assert.equal(talked.puppet.data.at(-1)?.toString(), 'three')
    assert.equal(talked.puppet.received.filter((name) => name === 'KeyUpdate').length, 2)
    assertOpen(talked)
  })
})
