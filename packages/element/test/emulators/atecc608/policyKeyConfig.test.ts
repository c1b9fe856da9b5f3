/**
 * KeyConfig: each of its bits against each command, and what limits a use in other ways than a bit.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, chipOn, memory, type Setup } from './packets.ts'
import {
  after,
  checkRows,
  data,
  fixedNonce,
  privateKey,
  type Row,
  row,
  secret,
} from './policyRows.ts'
import { keyConfigStates } from './policyStates.ts'
import { testTable } from './policyTable.ts'

/** Columns: Private · PubInfo · type · Lockable · ReqRandom · ReqAuth · PersistentDisable · X509id. */
testTable('KeyConfig', {
  states: keyConfigStates,
  reasons: {
    m: 'GenKey answers the key that it makes, also without PubInfo',
    v: 'PubInfo is read where something is verified with a public key, not where it is hashed',
    s: 'Sign signs what a host loads',
    g: 'GenKey alone does not look at the latch',
    i: 'the IO protection key is chosen by ChipOptions, and the limits of its slot are not asked',
    b: 'SecureBoot stands by its own configuration: its slots are not limited',
  },
  // biome-ignore format: a table
  rows: {
    'Info 01, a private key':        'N .. ONN . .. .... .. .',
    'Info 01, a public key':         '. NO ONN . .. .... .. .',
    'GenKey 04':                     'X mm OXX . .. XOXX gg .',
    'GenKey 04, data open':          'X mm OXX . .. XOXX gg .',
    'GenKey 0C':                     'X mm OXX . OX XOXX gg .',
    'GenKey 00':                     'X XO OXX . .. XOXX gg .',
    'GenKey 08':                     'X XO OXX . OX XOXX gg .',
    'GenKey 10':                     'X vv OXX . OX XOXX gg .',
    'Sign 80':                       'X .. OXX . ss XOXX XO .',
    'Sign A0':                       'X .. OXX . ss XOXX XO .',
    'Sign 00':                       'X .. OXX . ss XOXX XO .',
    'Verify 00':                     'X XO OXX . OX XOXX XO .',
    'Verify 20':                     'X XO OXX . XX XOXX XO .',
    'Verify 03':                     'X XO OXX . OX XOXX XO .',
    'Verify 03, the parent':         'X XO OXX . OX XOXX XO .',
    'Verify 07':                     'X XO OXX . OX XOXX XO .',
    'Verify 07, the parent':         'X XO OXX . OX XOXX XO .',
    'Verify 82, IO key':             'X ii iii . .. iiii ii .',
    'ECDH 0C':                       'X .. OXX . .. XOXX XO .',
    'ECDH 08':                       'X .. OXX . .. XOXX XO .',
    'ECDH 04':                       'X .. OXX . .. XOXX XO .',
    'ECDH 04, the target':           'X .. ... . .. XOXX .. .',
    'ECDH 00, kept inside':          'X .. OXX . .. XOXX XO .',
    'ECDH 0E, IO key':               'X ii iii . .. iiii ii .',
    'ECDH 0F, IO key':               'X ii iii . .. iiii ii .',
    'ECDH 05, the target':           'X .. ... . .. XOXX .. .',
    'SHA 03':                        'X vv OXX . .. XOXX XO .',
    'SHA 04':                        'X .. XXO . .. XOXX XO .',
    'AES 00':                        'X .. XOX . .. XOXX XO .',
    'AES 01':                        'X .. XOX . .. XOXX XO .',
    'KDF 12':                        'X .. ... . .. XOXX XO .',
    'KDF 52':                        'X .. ... . .. XOXX XO .',
    'KDF 32':                        'X .. XOX . .. XOXX XO .',
    'KDF 50, the message':           'X .. ... . .. XOXX XO .',
    'KDF 48, the target':            'X .. ... . .. XOXX .. .',
    'KDF 54, IO key':                'X ii iii . .. iiii ii .',
    'MAC 00':                        'X .. ... . XX XOXX XO .',
    'MAC 01':                        'X .. ... . OX XOXX XO .',
    'CheckMac 00':                   'X .. ... . XX XOXX XO .',
    'CheckMac 20':                   'X .. ... . XX XOXX XO .',
    'CheckMac 01':                   'X .. ... . OX XOXX XO .',
    'CheckMac 01, copy: the shown':  'X .. ... . .. XOXX XO .',
    'CheckMac 01, copy: the copied': 'X .. ... . .. XXXX XO .',
    'GenDig 02':                     'X .. ... . OX XOXX XO .',
    'GenDig 05':                     'A AA AAO A AA AAAA AA A',
    'Read 82':                       'X .. ... . .. XOXX XO .',
    'Read 02':                       'X .. ... . .. XOXX XO .',
    'Read 82, encrypted':            'X .. ... . .. XOXX XO .',
    'Write 82':                      'X .. ... . .. XOXX .. .',
    'Write 02':                      'X .. ... . .. XOXX .. .',
    'Write 82, data open':           'X .. ... . .. XOXX .. .',
    'Write 02, data open':           '. .. ... . .. .... .. .',
    'Write 82, the last block':      'X .. ... . .. XOXX .. .',
    'Write C2':                      'X .. ... . .. XOXX .. .',
    'PrivWrite 00, data open':       'X .. OXX . .. XOXX .. .',
    'PrivWrite 40':                  'X .. OXX . .. XOXX .. .',
    'Lock 82':                       '. .. ... X .. .... .. .',
    'DeriveKey 00, roll':            'X .. ... . OX XOXX XO .',
    'DeriveKey 00, roll by MAC':     'X .. ... . OX XOXX XO .',
    'DeriveKey 00, key of the MAC':  'X .. ... . .. XOXX XO .',
    'DeriveKey 00, create':          'X .. ... . .. XOXX .. .',
    'DeriveKey 00, the parent':      'X .. ... . OX XOXX XO .',
    'SecureBoot 05':                 'X XO OXX . .. bbbb bb .',
    'SecureBoot 06, FullSig':        'X XO OXX . .. bbbb bb .',
    'SecureBoot 06, kept signature': 'X .. ... . .. bbbb bb .',
    'SecureBoot 06, kept digest':    'X .. ... . .. bbbb bb .',
    'SecureBoot 07':                 'X XO OXX . .. bbbb bb .',
    'SecureBoot 07, kept digest':    'X .. ... . .. bbbb bb .',
    'SecureBoot 85, IO key':         'X ii iii . .. iiii ii .',
    'UpdateExtra 02':                '. .. ... . .. .... .. .',
    'Info 00':                       '- -- --- - -- ---- -- -',
    'Info 02':                       '- -- --- - -- ---- -- -',
    'Info 03':                       '- -- --- - -- ---- -- -',
    'Info 04, read':                 '- -- --- - -- ---- -- -',
    'Info 04, set':                  '- -- --- - -- ---- -- -',
    'Info 04, clear':                '- -- --- - -- ---- -- -',
    'Random 00':                     '- -- --- - -- ---- -- -',
    'Nonce 00':                      '- -- --- - -- ---- -- -',
    'Nonce 03':                      '- -- --- - -- ---- -- -',
    'Nonce 43':                      '- -- --- - -- ---- -- -',
    'GenKey 04, ephemeral':          '- -- --- - -- ---- -- -',
    'Verify 02':                     '- -- --- - -- ---- -- -',
    'ECDH 0D':                       '- -- --- - -- ---- -- -',
    'ECDH 09':                       '- -- --- - -- ---- -- -',
    'SHA 00':                        '- -- --- - -- ---- -- -',
    'SHA 01':                        '- -- --- - -- ---- -- -',
    'SHA 02':                        '- -- --- - -- ---- -- -',
    'SHA 04, TempKey':               '- -- --- - -- ---- -- -',
    'SHA 06':                        '- -- --- - -- ---- -- -',
    'SHA 07':                        '- -- --- - -- ---- -- -',
    'AES 00, TempKey':               '- -- --- - -- ---- -- -',
    'AES 03':                        '- -- --- - -- ---- -- -',
    'KDF 10':                        '- -- --- - -- ---- -- -',
    'KDF 30':                        '- -- --- - -- ---- -- -',
    'KDF 40':                        '- -- --- - -- ---- -- -',
    'KDF 44':                        '- -- --- - -- ---- -- -',
    'KDF 4C':                        '- -- --- - -- ---- -- -',
    'KDF 50':                        '- -- --- - -- ---- -- -',
    'KDF 50, with IV':               '- -- --- - -- ---- -- -',
    'KDF 53':                        '- -- --- - -- ---- -- -',
    'MAC 02':                        '- -- --- - -- ---- -- -',
    'MAC 03':                        '- -- --- - -- ---- -- -',
    'CheckMac 02':                   '- -- --- - -- ---- -- -',
    'CheckMac 22':                   '- -- --- - -- ---- -- -',
    'CheckMac 03':                   '- -- --- - -- ---- -- -',
    'GenDig 00':                     '- -- --- - -- ---- -- -',
    'GenDig 01':                     '- -- --- - -- ---- -- -',
    'GenDig 03':                     '- -- --- - -- ---- -- -',
    'GenDig 04':                     '- -- --- - -- ---- -- -',
    'Read 80':                       '- -- --- - -- ---A -- -',
    'Read 81':                       '- -- --- - -- ---- -- -',
    'Write 00':                      '- -- --- - -- ---- -- -',
    'Write 80':                      '- -- --- - -- ---- -- -',
    'Write 80, the first block':     '- -- --- - -- ---- -- -',
    'Write 00, before byte 16':      '- -- --- - -- ---- -- -',
    'Write 80, with the locks':      '- -- --- - -- ---- -- -',
    'Write 00, the locks':           '- -- --- - -- ---- -- -',
    'Write C0':                      '- -- --- - -- ---- -- -',
    'Write 81':                      '- -- --- - -- ---- -- -',
    'Write 01':                      '- -- --- - -- ---- -- -',
    'Write C1':                      '- -- --- - -- ---- -- -',
    'Lock 80':                       '- -- --- - -- ---- -- -',
    'Lock 81':                       '- -- --- - -- ---- -- -',
    'Counter 00':                    '- -- --- - -- ---- -- -',
    'Counter 01':                    '- -- --- - -- ---- -- -',
    'SelfTest 01':                   '- -- --- - -- ---- -- -',
    'UpdateExtra 00':                '- -- --- - -- ---- -- -',
    'UpdateExtra 01':                '- -- --- - -- ---- -- -',
  },
})

/** CountMatch is on, with its value in slot 8. */
function match(value: string): Setup {
  return { config: { 18: '81' }, data: { ...data, 8: value } }
}

const macOf5 = `08 00 0500 ${'00'.repeat(32)}`
const limitRows: readonly Row[] = [
  row('one use left', secret('a000', '1c00', match('0100000001000000')), macOf5, 'ok'),
  row(
    'it is used',
    secret('a000', '1c00', match('0100000001000000')),
    after([macOf5], macOf5),
    '0f',
  ),
  row(
    'the match is in the slot that CountMatch names',
    secret('a000', '1c00', {
      config: { 18: '71' },
      data: { ...data, 7: '00'.repeat(8), 8: '0100000001000000' },
    }),
    macOf5,
    '0f',
  ),
  row('a damaged match', secret('a000', '1c00', match('0100000002000000')), macOf5, '0f'),
  row(
    'a match that is off',
    secret('a000', '1c00', { ...match('0000000000000000'), config: { 18: '80' } }),
    macOf5,
    'ok',
  ),
  row(
    'Counter0 is full',
    secret('a000', '1c00', { config: { 52: '00000001ffffffff' } }),
    macOf5,
    '0f',
  ),
  row(
    'Counter1 is full',
    secret('a000', '1c00', { config: { 60: '00000001ffffffff' } }),
    macOf5,
    'ok',
  ),
]

test('LimitedUse counts with Counter0, up to CountMatch', () => checkRows(limitRows))

test('a use is counted, and a refused command counts none', () => {
  const eeprom = memory(privateKey('a720', '3300'))
  const chip = chipOn(eeprom)
  const uses0 = (): string => ask(chip, '24 00 0000')
  assert.equal(ask(chip, '41 80 0000'), '0f')
  assert.equal(uses0(), '00000000')
  ask(chip, fixedNonce)
  assert.notEqual(ask(chip, '41 80 0000'), '0f')
  assert.equal(uses0(), '01000000')
})
