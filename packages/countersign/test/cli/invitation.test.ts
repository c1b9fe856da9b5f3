import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { readInvitation } from '../../src/cli/invitation.ts'
import { outline } from '../../src/cli/terminal.ts'

const whole = { token: 'the-token', server: 'https://localhost:8444', anchor: 'ab', count: 1 }

describe('an invitation from standard input', () => {
  it('gives its three words, however it is cut', async () => {
    const bytes = JSON.stringify(whole)
      .split('')
      .map((one) => Buffer.from(one))
    const { count: _, ...words } = whole
    assert.deepEqual(await readInvitation('-', Readable.from(bytes)), words)
  })

  it('says where the server speaks mqtts and coap, when it does', async () => {
    const roads = { mqtts: 'mqtts://localhost:8883', coap: 'coap://127.0.0.1:5683' }
    const { count: _, ...words } = whole
    for (const told of [roads, { mqtts: roads.mqtts }, { coap: roads.coap }]) {
      const text = JSON.stringify({ ...whole, ...told })
      assert.deepEqual(await readInvitation('-', Readable.from([text])), { ...words, ...told })
    }
  })

  const bad: readonly [name: string, text: string][] = [
    ['cut off', '{"token":"the-token"'],
    ['a list', '["the-token"]'],
    ['null', 'null'],
    ['without an anchor', JSON.stringify({ ...whole, anchor: undefined })],
    ['with a token that is no text', JSON.stringify({ ...whole, token: ['the-token'] })],
    ['with an mqtts that is no text', JSON.stringify({ ...whole, mqtts: 8883 })],
    ['with a coap that is no text', JSON.stringify({ ...whole, coap: ['coap://a'] })],
    ['endless', ' '.repeat(16 * 1024 + 1)],
  ]
  for (const [name, text] of bad) {
    it(`that is ${name} is refused and not repeated`, async () => {
      await assert.rejects(readInvitation('-', Readable.from([text])), (error: Error) => {
        assert.equal((error as { code?: string }).code, 'ERR_INVITATION_FILE')
        assert.doesNotMatch(error.message, /the-token/)
        return true
      })
    })
  }
})

it('an outline shows no control characters, in names neither', () => {
  assert.equal(
    outline({ 'a\u001b[2J': { 'b\u009b': 'c\u202e' } }),
    'a\ufffd[2J:\n  b\ufffd: c\ufffd',
  )
})

it('an outline has no heading with nothing below it', () => {
  assert.equal(outline({ a: [], b: {}, c: { d: 1 }, e: null }), 'c:\n  d: 1')
})
