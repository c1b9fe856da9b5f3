import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openElement } from '../../src/compose.ts'
import { elementCompliance } from '../elementCompliance.ts'
import { plausibleCalls, waysToScalar } from '../reach.ts'
import { putKeyInto, skip, softTokens } from './softhsm.ts'

const make = softTokens()
const url = skip === false ? make('compliance').url('device') : ''
const open = () => openElement(url, { folder: '/nowhere' })
const members = [
  'close',
  'ecdh',
  'ephemeral',
  'generateKey',
  'info',
  'publicKey',
  'random',
  'sign',
  'slots',
  'state',
]

elementCompliance('SoftHSM', { open, reopen: open, members, mayLock: false, rounds: 300 }, skip)

test('a key that was put into SoftHSM is given out by no member, nor answer, nor error', {
  skip,
}, async () => {
  const token = make('given')
  const scalar = putKeyInto(token, 'given')
  const element = await openElement(token.url('given'), { folder: '/nowhere' })
  const calls = plausibleCalls(0, new Uint8Array(await element.publicKey(0)))
  const uncalled = ['generateKey', 'close']
  assert.deepEqual(await waysToScalar(element, { scalar, calls, uncalled }), [])
  await element.close()
})
