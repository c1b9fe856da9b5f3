/**
 * What authorizes a key for others (KeyConfig.ReqAuth, UseLock): that a host showed, over a number
 * of the chip's own, that it has the key. Each row ends with an HMAC under slot 6, which wants slot
 * 4 or 9 authorized. MACs and signatures by Python.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, chipOn, memory, type Setup } from './packets.ts'
import {
  authorize4,
  data,
  digestBuffer,
  fixedNonce,
  key4,
  numbers32,
  point,
  randomNonce,
  signature,
  zeros32,
} from './policyRows.ts'

const r = '7e44e96e91234bd1aea40346ae031588ea33e64e734fe641651f46d443fdee3c'
const overNonce = `${r}49df4443fbea94503845119cd9ef67831621eefd57718fdf45ccb3d4392fb5d9`
const other13 = '00'.repeat(13)
const [, checkMac4 = ''] = authorize4
const checkMac5 = `28 01 0500 ${zeros32} 82664ef8fcc4a33b92fe4b673de38eb9afd411d9b7c1a45eb2bfaf2edbc1369b ${other13}`
const ofZeros4 = `28 00 0400 ${zeros32} 2389919a4d4141023069c4496d4aaebb5bfda121e1c88e8c7927b366e13fad46 ${other13}`
const ofNumbers4 = `28 05 0400 ${zeros32} 792da8637d771bf91c2ddb2716b5463c0faed050c4a7248a124137c2504c6a54 ${other13}`
const ofNonceTwice = `28 03 0400 ${zeros32} f3613c659ee2924f437cc0c9299cb44e30cc515bbecc67366a84bfa605db9fd5 ${other13}`
const ofNonceZeros = `28 02 0400 ${zeros32} 2ace9e1b14d460348e5ea66c9da335f2bfc9b4ff10fa8178eeeef29f74204028 ${other13}`

function part(authKey: string, more: Setup = {}): Setup {
  return {
    data: { ...data, 6: '44'.repeat(32) },
    slots: { ...key4, 5: ['8020', '1c00'], 6: ['8020', `9c${authKey}`], 9: ['0000', '1000'] },
    ...more,
  }
}

interface Row {
  readonly what: string
  readonly setup: Setup
  /** Commands and their answers; `ok` is data. */
  readonly steps: readonly (readonly [command: string, answer: string])[]
  readonly use: '00' | '0f'
}

const nonce: Row['steps'][number] = [randomNonce, 'a5'.repeat(32)]

const rows: readonly Row[] = [
  { what: 'nothing', setup: part('04'), steps: [], use: '0f' },
  { what: 'CheckMac', setup: part('04'), steps: [nonce, [checkMac4, '00']], use: '00' },
  {
    what: 'CheckMac over TempKey of the host',
    setup: part('04'),
    steps: [
      [fixedNonce, '00'],
      [ofNumbers4, '00'],
    ],
    use: '0f',
  },
  {
    what: 'CheckMac over a challenge of the host',
    setup: part('04'),
    steps: [[ofZeros4, '00']],
    use: '0f',
  },
  {
    what: 'the same while TempKey is random',
    setup: part('04'),
    steps: [nonce, [ofZeros4, '00']],
    use: '0f',
  },
  {
    what: 'CheckMac under TempKey, over itself',
    setup: part('04'),
    steps: [nonce, [ofNonceTwice, '00']],
    use: '0f',
  },
  {
    what: 'CheckMac under TempKey, over a challenge of the host',
    setup: part('04'),
    steps: [nonce, [ofNonceZeros, '00']],
    use: '0f',
  },
  {
    what: 'a CheckMac that does not fit',
    setup: part('04'),
    steps: [nonce, [checkMac4.replace('3c40', '3c41'), '01']],
    use: '0f',
  },
  {
    what: 'CheckMac of another key',
    setup: part('04'),
    steps: [nonce, [checkMac5, '00']],
    use: '0f',
  },
  {
    what: 'CheckMac, then of another key',
    setup: part('04'),
    steps: [nonce, [checkMac4, '00'], nonce, [checkMac5, '00']],
    use: '0f',
  },
  {
    what: 'CheckMac, then one that does not fit',
    setup: part('04'),
    steps: [nonce, [checkMac4, '00'], nonce, [checkMac5.replace('8266', '8267'), '01']],
    use: '00',
  },

  {
    what: 'Verify',
    setup: part('09'),
    steps: [nonce, [`45 00 0900 ${overNonce}`, '00']],
    use: '00',
  },
  {
    what: 'Verify over TempKey of the host',
    setup: part('09'),
    steps: [
      [fixedNonce, '00'],
      [`45 00 0900 ${signature}`, '00'],
    ],
    use: '0f',
  },
  {
    what: 'Verify over the digest buffer, while TempKey is random',
    setup: part('09'),
    steps: [nonce, [digestBuffer, '00'], [`45 20 0900 ${signature}`, '00']],
    use: '0f',
  },
  {
    what: 'a Verify that does not fit',
    setup: part('09'),
    steps: [nonce, [`45 00 0900 ${signature}`, '01']],
    use: '0f',
  },
  {
    what: 'Verify with a key in the packet',
    setup: part('09'),
    steps: [nonce, [`45 02 0400 ${overNonce}${point}`, '00']],
    use: '0f',
  },

  {
    what: 'UseLock, its key shown',
    setup: part('04', { config: { 68: '4a' } }),
    steps: [nonce, [checkMac4, '00']],
    use: '00',
  },
  {
    what: 'UseLock of another key, which was not shown',
    setup: part('04', { config: { 68: '5a' } }),
    steps: [nonce, [checkMac4, '0f']],
    use: '0f',
  },
  {
    what: 'UseLock, its key shown, then the one that is wanted',
    setup: part('04', { config: { 68: '5a' } }),
    steps: [nonce, [checkMac5, '00'], nonce, [checkMac4, '00']],
    use: '00',
  },
]

test('what authorizes a key, and what does not', () => {
  for (const { what, setup, steps, use } of rows) {
    const chip = chipOn(memory(setup))
    for (const [command, answer] of steps) assert.equal(ask(chip, command), answer, what)
    assert.equal(ask(chip, '47 04 0600'), use, what)
  }
})

test('a use under UseLock is not freed by a key over a challenge of the host', () => {
  const chip = chipOn(memory(part('04', { config: { 68: '4a' } })))
  assert.equal(ask(chip, ofZeros4), '00')
  assert.equal(ask(chip, `08 00 0500 ${numbers32}`), '0f')
})
