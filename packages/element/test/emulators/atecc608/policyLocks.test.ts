/**
 * The locks and the options of the chip, a row each, against the commands that read them.
 */
import { test } from 'node:test'
import type { Setup } from './packets.ts'
import {
  after,
  block16,
  checkRows,
  data,
  fixedNonce,
  key4,
  numbers32,
  point,
  privWriteMac0,
  type Row,
  randomNonce,
  row,
  sealedPrivWrite,
  session4,
  signature,
  zeros32,
} from './policyRows.ts'

/** What each command answers: nothing locked, the configuration locked, all locked. */
const lockTable: readonly [
  what: string,
  before: readonly string[],
  command: string,
  open: string,
  config: string,
  both: string,
][] = [
  ['Info', [], '30 00 0000', 'ok', 'ok', 'ok'],
  ['Random', [], '1b 00 0000', 'ok', 'ok', 'ok'],
  ['Nonce', [], fixedNonce, 'ok', 'ok', 'ok'],
  ['SHA', [], '47 00 0000', 'ok', 'ok', 'ok'],
  ['SelfTest', [], '77 01 0000', 'ok', 'ok', 'ok'],
  ['Read of the configuration', [], '02 80 0000', 'ok', 'ok', 'ok'],
  ['Read of the one-time zone', [], '02 81 0000', '0f', '0f', 'ok'],
  ['Read of a slot', [], '02 82 4000', '0f', '0f', 'ok'],
  ['Write of the configuration, a word', [], '12 00 0500 8320ffff', 'ok', '0f', '0f'],
  ['Write of the configuration, a block', [], `12 80 0800 ${zeros32}`, 'ok', '0f', '0f'],
  ['Write of its first block', [], `12 80 0000 ${zeros32}`, '0f', '0f', '0f'],
  ['Write of a word before byte 16', [], '12 00 0300 00000000', '0f', '0f', '0f'],
  ['Write of the block with the lock bytes', [], `12 80 1000 ${zeros32}`, '0f', '0f', '0f'],
  ['Write of the word with the lock bytes', [], '12 00 1500 00000000', '0f', '0f', '0f'],
  ['Write of the one-time zone, a block', [], `12 81 0000 ${zeros32}`, '0f', 'ok', '0f'],
  ['Write of the one-time zone, a word', [], '12 01 0000 00000000', '0f', '0f', '0f'],
  ['Write of a free slot, a block', [], `12 82 4000 ${zeros32}`, '0f', 'ok', 'ok'],
  ['Write of a free slot, a word', [], '12 02 4000 00000000', '0f', '0f', 'ok'],
  ['Write of its last block, which is not full', [], `12 82 4802 ${zeros32}`, '0f', 'ok', '03'],
  ['Write of a slot that is never written', [], `12 82 2800 ${zeros32}`, '0f', 'ok', '0f'],
  ['GenKey where it is allowed', [], '40 04 0000', '0f', 'ok', 'ok'],
  ['GenKey where it is not', [], '40 04 0100', '0f', 'ok', '0f'],
  ['GenKey of an ephemeral key', [], '40 04 ffff', '0f', 'ok', 'ok'],
  ['the public key', [], '40 00 0000', '0f', 'ok', 'ok'],
  ['external Sign', [fixedNonce], '41 80 0000', '0f', '0f', 'ok'],
  ['internal Sign', [fixedNonce, '15 00 0000'], '41 00 0000', '0f', '0f', 'ok'],
  ['ECDH', [], `43 0c 0000 ${point}`, '0f', '0f', 'ok'],
  ['Verify, stored', [fixedNonce], `45 00 0900 ${signature}`, '0f', '0f', 'ok'],
  ['Verify, external', [fixedNonce], `45 02 0400 ${signature}${point}`, 'ok', 'ok', 'ok'],
  ['MAC', [], `08 00 0400 ${numbers32}`, '0f', '0f', 'ok'],
  ['CheckMac', [], `28 00 0400 ${zeros32}${zeros32}${'00'.repeat(13)}`, '0f', '0f', '01'],
  ['HMAC', [], '47 04 0400', '0f', '0f', 'ok'],
  ['GenDig of a slot', [fixedNonce], '15 02 0400', '0f', '0f', 'ok'],
  ['GenDig of the configuration', [fixedNonce], '15 00 0000', 'ok', 'ok', 'ok'],
  ['GenDig of the one-time zone', [fixedNonce], '15 01 0000', '0f', '0f', 'ok'],
  ['PrivWrite in clear', [], `46 00 0100 00000000${'33'.repeat(32)}${zeros32}`, '0f', 'ok', '0f'],
  ['DeriveKey', [randomNonce], '1c 00 0400', '0f', '0f', 'ok'],
  ['AES', [], `51 00 0600 ${block16}`, '0f', '0f', 'ok'],
  ['KDF', [fixedNonce], '56 50 0000 02000001 00', '0f', '0f', 'ok'],
  ['SecureBoot', [], `80 05 0000 ${numbers32}${signature}`, '0f', '0f', 'ok'],
  ['Counter', [], '24 00 0000', '0f', 'ok', 'ok'],
  ['UpdateExtra', [], '20 00 0100', 'ok', 'ok', 'ok'],
  ['Lock of the configuration', [], '17 80 0000', 'ok', '0f', '0f'],
  ['Lock of the data', [], '17 81 0000', '0f', 'ok', '0f'],
  ['Lock of a slot', [], '17 a2 0000', '0f', 'ok', 'ok'],
]

test('every command in each of the three lock states', () => {
  const setup: Setup = {
    data: { ...data, 1: `00000000${'22'.repeat(32)}` },
    slots: {
      0: ['8720', '3300'],
      1: ['8700', '3300'],
      4: ['8020', '1c00'],
      5: ['8080', '1c00'],
      6: ['8080', '1800'],
      8: ['0000', '3c00'],
      9: ['0000', '1000'],
    },
    config: { 70: '0190' },
  }
  checkRows(
    lockTable.flatMap(([what, before, command, open, config, both]) => [
      row(`${what}, open`, { ...setup, locks: 'none' }, after(before, command), open),
      row(`${what}, config locked`, { ...setup, locks: 'config' }, after(before, command), config),
      row(`${what}, all locked`, setup, after(before, command), both),
    ]),
  )
})

test('a locked slot keeps its content and its use', () => {
  const slots = {
    0: ['8f64', '3300'],
    4: ['8020', '1c00'],
    5: ['0000', '3c00'],
    6: ['8024', '3c00'],
    1: ['8020', '3c00'],
  } as const
  const both = (command: string, lockedAnswer: string, before: readonly string[] = []): Row[] => [
    row(
      `${command} locked`,
      { data, slots, slotLocks: [0, 1, 5, 6] },
      after(before, command),
      lockedAnswer,
    ),
    row(`${command} not locked`, { data, slots }, after(before, command), 'ok'),
  ]
  checkRows([
    ...both(`12 82 2800 ${zeros32}`, '0f'),
    ...both('40 04 0000', '0f'),
    ...both(
      sealedPrivWrite.replace('46 40 0200', '46 40 0000').slice(0, -64) + privWriteMac0,
      '0f',
      session4,
    ),
    ...both('1c 00 0600', '0f', [randomNonce]),
    ...both(`43 00 0000 ${point}`, '0f'),
    ...both('56 48 0006 02000001 00', '0f', [fixedNonce]),
    ...both('17 96 0000', '0f'),
    ...both('02 82 2800', 'ok'),
    ...both('41 80 0000', 'ok', [fixedNonce]),
    ...both('40 00 0000', 'ok'),
  ])
})

/** ChipOptions 9:8 and 11:10: where a result may go. */
const protectionTable: readonly [
  level: number,
  clear: string,
  encrypted: string,
  slot: string,
  tempKey: string,
][] = [
  [0, 'ok', 'ok', 'ok', 'ok'],
  [1, '0f', 'ok', 'ok', 'ok'],
  [2, '0f', '0f', 'ok', 'ok'],
  [3, '0f', '0f', '0f', 'ok'],
]

function kdf(target: string): string {
  return `56 ${target} 0001 02000001 00`
}

test('the protection of ECDH and KDF by ChipOptions', () => {
  checkRows(
    protectionTable.flatMap(([level, clear, encrypted, slot, tempKey]) => {
      const setup = (shift: number, ioKey = 0x4002): Setup => {
        const word = ioKey | (level << shift)
        const bytes = Buffer.of(word & 0xff, word >> 8).toString('hex')
        return {
          data,
          config: { 90: bytes },
          slots: { 0: ['8720', '3300'], 1: ['8020', '1c00'], ...key4 },
        }
      }
      const before = [fixedNonce]
      return [
        row(`ECDH ${level} clear`, setup(8), `43 0c 0000 ${point}`, clear),
        row(`ECDH ${level} encrypted`, setup(8), `43 0e 0000 ${point}`, encrypted),
        row(`ECDH ${level} no IO key`, setup(8, 0), `43 0e 0000 ${point}`, '0f'),
        row(`ECDH ${level} slot`, setup(8), `43 04 0000 ${point}`, slot),
        row(`ECDH ${level} TempKey`, setup(8), `43 08 0000 ${point}`, tempKey),
        row(`KDF ${level} clear`, setup(10), after(before, kdf('50')), clear),
        row(`KDF ${level} encrypted`, setup(10), after(before, kdf('54')), encrypted),
        row(`KDF ${level} no IO key`, setup(10, 0), after(before, kdf('54')), '0f'),
        row(`KDF ${level} slot`, setup(10), after(before, kdf('48')), slot),
        row(`KDF ${level} TempKey`, setup(10), after(before, kdf('40')), tempKey),
      ]
    }),
  )
})
