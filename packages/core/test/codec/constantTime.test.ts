/** Secret bytes are compared whole. That it takes one time is not for a test to show. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalSecretBytes, fromHex } from '@countersign/core/codec'
import { flips } from '../cose/examples.ts'

test('the same bytes are the same, and any other are not', () => {
  const bytes = fromHex('00ff10203040')
  assert.ok(equalSecretBytes(bytes, Uint8Array.from(bytes)))
  assert.ok(equalSecretBytes(new Uint8Array(), new Uint8Array()))
  for (const flipped of flips(bytes)) assert.ok(!equalSecretBytes(bytes, flipped))
})

test('a beginning, or a longer one, is not the same, also where zeros follow', () => {
  const bytes = fromHex('ff00')
  for (const other of ['', 'ff', 'ff0000', '00ff00']) {
    assert.ok(!equalSecretBytes(bytes, fromHex(other)), other)
    assert.ok(!equalSecretBytes(fromHex(other), bytes), other)
  }
})
