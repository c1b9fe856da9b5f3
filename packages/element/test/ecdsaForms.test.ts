/** Written out by X.690 §8.3: an INTEGER has as few octets as it can, and its first bit is its sign. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { derOfHalves, halvesOfDer } from '../src/ecdsaForms.ts'

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const ones = '11'.repeat(30)

const forms: Readonly<Record<string, { readonly halves: string; readonly der: string }>> = {
  'two numbers of full length': {
    halves: `7f00${ones}0180${ones}`,
    der: `304402207f00${ones}02200180${ones}`,
  },
  'first bits that are set': {
    halves: `ffee${ones}8000${ones}`,
    der: `3046022100ffee${ones}0221008000${ones}`,
  },
  'zeros at the front': {
    halves: `0001${ones}0000${ones}`,
    der: `3041021f01${ones}021e${ones}`,
  },
  'a zero before a bit that is set': {
    halves: `00ff${ones}7f00${ones}`,
    der: `3044022000ff${ones}02207f00${ones}`,
  },
  'the smallest numbers': {
    halves: `${'00'.repeat(31)}01${'00'.repeat(31)}80`,
    der: '300702010102020080',
  },
}

for (const [name, { halves, der }] of Object.entries(forms)) {
  test(`r || s and DER are one signature: ${name}`, () => {
    assert.deepEqual(Buffer.from(derOfHalves(hex(halves))).toString('hex'), der)
    assert.deepEqual(Buffer.from(halvesOfDer(hex(der), 32)).toString('hex'), halves)
  })
}
