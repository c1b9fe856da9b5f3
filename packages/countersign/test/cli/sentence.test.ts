import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sentence } from '../../src/cli/device.ts'

it('an event of a device is one line, and what went wrong stands in words with its advice below', () => {
  assert.equal(
    sentence({ event: 'sent', number: 3, id: 'ab-3', topic: 'room' }),
    'sent number=3 id=ab-3 topic=room',
  )
  const trouble = { code: 'ERR_X', message: 'it \u001b answered 403', hint: 'Ask why.' }
  assert.equal(
    sentence({ event: 'refused', ...trouble, retryInMs: 3002 }),
    'refused: it � answered 403 [ERR_X], again in 3.0 s\n  Ask why.',
  )
  assert.equal(
    sentence({ event: 'renewalFailed', code: 'ERR_X', message: 'later' }),
    'renewalFailed: later [ERR_X]',
  )
})
