/**
 * The locks and the options of the chip: each against each command; and that no command is missing
 * among the rows of the policy tables.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, chipOn, memory, type Setup } from './packets.ts'
import { checkRows, point, privateKey, row, secret } from './policyRows.ts'
import { chipStates } from './policyStates.ts'
import { testTable } from './policyTable.ts'
import { uses } from './policyUses.ts'

/**
 * Columns: all locked, data open, nothing locked · the slot locked · UseLock · AES_Enable ·
 * I2C_Enable · VolatileKeyPermission · SecureBoot · IV of KDF · ChipOptions: self-test, IO key, KDF
 * by AES, ECDH 1 to 3, KDF 1 to 3.
 */
testTable('Locks and options', {
  states: chipStates,
  reasons: {
    f: 'refused in every lock state',
    u: 'no such state: without locked data there is no session',
    i: 'the IO protection key is chosen by ChipOptions, and the limits of its slot are not asked',
    b: 'SecureBoot stands by its own configuration: its slots are not limited',
  },
  // biome-ignore format: a table
  rows: {
    'Info 01, a private key':        '... . .... . . .. .... .. . . . ... ...',
    'Info 01, a public key':         '... . .... . . .. .... .. . . . ... ...',
    'GenKey 04':                     'OOX X .... . . .. .... .. . . . ... ...',
    'GenKey 04, data open':          'XOX X .... . . .. .... .. . . . ... ...',
    'GenKey 0C':                     'OOX X .... . . .. .... .. . . . ... ...',
    'GenKey 00':                     'OOX . .... . . .. .... .. . . . ... ...',
    'GenKey 08':                     'OOX . .... . . .. .... .. . . . ... ...',
    'GenKey 10':                     'OXX . .... . . .. .... .. . . . ... ...',
    'Sign 80':                       'OXX . XOOO . . .. .... .. . . . ... ...',
    'Sign A0':                       'OXX . XOOO . . .. .... .. . . . ... ...',
    'Sign 00':                       'OXX . XOOO . . .. .... .. . . . ... ...',
    'Verify 00':                     'OXX . XOOO . . .. .... .. . . . ... ...',
    'Verify 20':                     'OXX . XOOO . . .. .... .. . . . ... ...',
    'Verify 03':                     'OXX X XOXO . . .. .... .. . . . ... ...',
    'Verify 03, the parent':         'OXX . XOXO . . .. .... .. . . . ... ...',
    'Verify 07':                     'OXX X XOXO . . .. .... .. . . . ... ...',
    'Verify 07, the parent':         'OXX . XOXO . . .. .... .. . . . ... ...',
    'Verify 82, IO key':             'OXX . iiii . . .. .... .. . X . ... ...',
    'ECDH 0C':                       'OXX . XOOO . . .. .... .. . . . XXX ...',
    'ECDH 08':                       'OXX . XOOO . . .. .... .. . . . OOO ...',
    'ECDH 04':                       'OXX . XOOO . . .. .... .. . . . OOX ...',
    'ECDH 04, the target':           'OXX X XOXO . . .. .... .. . . . OOX ...',
    'ECDH 00, kept inside':          'OXX . XOOO . . .. .... .. . . . OOX ...',
    'ECDH 0E, IO key':               'OXX . XOXO . . .. .... .. . X . OXX ...',
    'ECDH 0F, IO key':               'OXX . iiii . . .. .... .. . X . OXX ...',
    'ECDH 05, the target':           'OXX X .... . . .. .... .. . . . OOX ...',
    'SHA 03':                        'OXX . XOOO . . .. .... .. . . . ... ...',
    'SHA 04':                        'OXX . XOOO . . .. .... .. . . . ... ...',
    'AES 00':                        'OXX . XOOO X . .. .... .. . . . ... ...',
    'AES 01':                        'OXX . XOOO X . .. .... .. . . . ... ...',
    'KDF 12':                        'OXX . XOOO . . .. .... .. . . . ... XXX',
    'KDF 52':                        'OXX . XOOO . . .. .... .. . . . ... XXX',
    'KDF 32':                        'OXX . XOOO X . .. .... .. . . X ... XXX',
    'KDF 50, the message':           'OXX . XOOO . . .. .... .. . . . ... XXX',
    'KDF 48, the target':            'OXX X .... . . .. .... .. . . . ... OOX',
    'KDF 54, IO key':                'OXX . iiii . . .. .... .. . X . ... OXX',
    'MAC 00':                        'OXX . XOOO . . .. .... .. . . . ... ...',
    'MAC 01':                        'OXX . XOOO . . .. .... .. . . . ... ...',
    'CheckMac 00':                   'OXX . XOOO . . .. .... .. . . . ... ...',
    'CheckMac 20':                   'OXX . XOOO . . .. .... .. . . . ... ...',
    'CheckMac 01':                   'OXX . XOOO . . .. .... .. . . . ... ...',
    'CheckMac 01, copy: the shown':  'OXX . XOOO . . .. .... .. . . . ... ...',
    'CheckMac 01, copy: the copied': 'OXX . XOXO . . .. .... .. . . . ... ...',
    'GenDig 02':                     'OXX . XOOO . . .. .... .. . . . ... ...',
    'GenDig 05':                     '... A .... . . .. .... .. . . . ... ...',
    'Read 82':                       'OXX . XOOO . . .. .... .. . . . ... ...',
    'Read 02':                       'OXX . XOOO . . .. .... .. . . . ... ...',
    'Read 82, encrypted':            'OXX . XOOO . . .. .... .. . . . ... ...',
    'Write 82':                      'OOX X .... . . .. .... .. . . . ... ...',
    'Write 02':                      'OXX X .... . . .. .... .. . . . ... ...',
    'Write 82, data open':           'XOX X .... . . .. .... .. . . . ... ...',
    'Write 02, data open':           'fff . .... . . .. .... .. . . . ... ...',
    'Write 82, the last block':      'POX X .... . . .. .... .. . . . ... ...',
    'Write C2':                      'OuX X .... . . .. .... .. . . . ... ...',
    'PrivWrite 00, data open':       'XOX X .... . . .. .... .. . . . ... ...',
    'PrivWrite 40':                  'OuX X .... . . .. .... .. . . . ... ...',
    'Lock 82':                       'OOX X .... . . .. .... .. . . . ... ...',
    'DeriveKey 00, roll':            'OXX X XOOO . . .. .... .. . . . ... ...',
    'DeriveKey 00, roll by MAC':     'OXX X XOXO . . .. .... .. . . . ... ...',
    'DeriveKey 00, key of the MAC':  'OXX . XOXO . . .. .... .. . . . ... ...',
    'DeriveKey 00, create':          'OXX X XOXO . . .. .... .. . . . ... ...',
    'DeriveKey 00, the parent':      'OXX . XOOO . . .. .... .. . . . ... ...',
    'SecureBoot 05':                 'OXX . bbbb . . .. XOOX .. . . . ... ...',
    'SecureBoot 06, FullSig':        'OXX . bbbb . . .. XXOX .. . . . ... ...',
    'SecureBoot 06, kept signature': 'OXX . bbbb . . .. XXOX .. . . . ... ...',
    'SecureBoot 06, kept digest':    'OXX . bbbb . . .. XXOX .. . . . ... ...',
    'SecureBoot 07':                 'OXX . bbbb . . .. XXOX .. . . . ... ...',
    'SecureBoot 07, kept digest':    'OXX X bbbb . . .. XXOX .. . . . ... ...',
    'SecureBoot 85, IO key':         'OXX . iiii . . .. XOOO .. . X . ... ...',
    'UpdateExtra 02':                'OXX . .... . . .. .... .. . . . ... ...',
    'Info 00':                       '... . .... . . .. .... .. . . . ... ...',
    'Info 02':                       '... . .... . . .. .... .. . . . ... ...',
    'Info 03':                       'fff . .... . A .. .... .. . . . ... ...',
    'Info 04, read':                 '... . .... . . .. .... .. . . . ... ...',
    'Info 04, set':                  '... . .... . . XX .... .. . . . ... ...',
    'Info 04, clear':                '... . .... . . XO .... .. . . . ... ...',
    'Random 00':                     'OOA . .... . . .. .... .. . . . ... ...',
    'Nonce 00':                      'OOA . .... . . .. .... .. . . . ... ...',
    'Nonce 03':                      '... . .... . . .. .... .. . . . ... ...',
    'Nonce 43':                      '... . .... . . .. .... .. . . . ... ...',
    'GenKey 04, ephemeral':          'OOX . .... . . .. .... .. . . . ... ...',
    'Verify 02':                     '... . .... . . .. .... .. . . . ... ...',
    'ECDH 0D':                       '... . .... . . .. .... .. . . . XXX ...',
    'ECDH 09':                       '... . .... . . .. .... .. . . . OOO ...',
    'SHA 00':                        '... . .... . . .. .... .. . . . ... ...',
    'SHA 01':                        '... . .... . . .. .... .. . . . ... ...',
    'SHA 02':                        '... . .... . . .. .... .. . . . ... ...',
    'SHA 04, TempKey':               '... . .... . . .. .... .. . . . ... ...',
    'SHA 06':                        '... . .... . . .. .... .. . . . ... ...',
    'SHA 07':                        '... . .... . . .. .... .. . . . ... ...',
    'AES 00, TempKey':               '... . .... X . .. .... .. . . . ... ...',
    'AES 03':                        '... . .... X . .. .... .. . . . ... ...',
    'KDF 10':                        'OXX . .... . . .. .... .. . . . ... XXX',
    'KDF 30':                        'OXX . .... X . .. .... .. . . X ... XXX',
    'KDF 40':                        'OXX . .... . . .. .... .. . . . ... OOO',
    'KDF 44':                        'OXX . .... . . .. .... .. . . . ... OOO',
    'KDF 4C':                        'OXX . .... . . .. .... .. . . . ... OOO',
    'KDF 50':                        'OXX . .... . . .. .... .. . . . ... XXX',
    'KDF 50, with IV':               'OXX . .... . . .. .... XX . . . ... XXX',
    'KDF 53':                        'OXX . .... . . .. .... .. . . . ... XXX',
    'MAC 02':                        '... . .... . . .. .... .. . . . ... ...',
    'MAC 03':                        '... . .... . . .. .... .. . . . ... ...',
    'CheckMac 02':                   '... . .... . . .. .... .. . . . ... ...',
    'CheckMac 22':                   'OXX . .... . . .. .... .. . . . ... ...',
    'CheckMac 03':                   '... . .... . . .. .... .. . . . ... ...',
    'GenDig 00':                     '... . .... . . .. .... .. . . . ... ...',
    'GenDig 01':                     'OXX . .... . . .. .... .. . . . ... ...',
    'GenDig 03':                     '... . .... . . .. .... .. . . . ... ...',
    'GenDig 04':                     '... . .... . . .. .... .. . . . ... ...',
    'Read 80':                       '... . .... A A .. .... .. . . . ... ...',
    'Read 81':                       'OXX . .... . . .. .... .. . . . ... ...',
    'Write 00':                      'XXO . .... . . .. .... .. . . . ... ...',
    'Write 80':                      'XXO . .... . . .. .... .. . . . ... ...',
    'Write 80, the first block':     'fff . .... . . .. .... .. . . . ... ...',
    'Write 00, before byte 16':      'fff . .... . . .. .... .. . . . ... ...',
    'Write 80, with the locks':      'fff . .... . . .. .... .. . . . ... ...',
    'Write 00, the locks':           'fff . .... . . .. .... .. . . . ... ...',
    'Write C0':                      'fff . .... . . .. .... .. . . . ... ...',
    'Write 81':                      'XOX . .... . . .. .... .. . . . ... ...',
    'Write 01':                      'fff . .... . . .. .... .. . . . ... ...',
    'Write C1':                      'fff . .... . . .. .... .. . . . ... ...',
    'Lock 80':                       'XXO . .... . . .. .... .. . . . ... ...',
    'Lock 81':                       'XOX . .... . . .. .... .. . . . ... ...',
    'Counter 00':                    'OOX . .... . . .. .... .. . . . ... ...',
    'Counter 01':                    'OOX . .... . . .. .... .. . . . ... ...',
    'SelfTest 01':                   '... . .... . . .. .... .. . . . ... ...',
    'UpdateExtra 00':                '... . .... . . .. .... .. . . . ... ...',
    'UpdateExtra 01':                '... . .... . . .. .... .. . . . ... ...',
  },
})

test('every command has a row in the policy tables', () => {
  // The reference, section 1.3.
  const opcodes = '02 08 12 15 16 17 1b 1c 20 24 28 30 40 41 43 45 46 47 51 56 77 80'.split(' ')
  const found = new Set(uses.map(({ command }) => command.slice(0, 2)))
  assert.deepEqual([...found].toSorted(), opcodes)
  const chip = chipOn(memory({}))
  for (let opcode = 0; opcode < 256; opcode++) {
    const text = opcode.toString(16).padStart(2, '0')
    // Another opcode is not understood, whatever its mode.
    if (!opcodes.includes(text)) assert.equal(ask(chip, `${text} 00 0000`), '03', text)
  }
})

test('a lock byte that lost bits is locked', () => {
  const clear = { slots: { 5: ['0000', '1c00'] }, locks: 'none' } as const
  checkRows([
    row('data open', { ...clear, config: { 86: '5500' } }, '02 82 2800', '0f'),
    row('data, bits lost', { ...clear, config: { 86: '5400' } }, '02 82 2800', 'ok'),
    row('data, bits gained', { ...clear, config: { 86: '5700' } }, '02 82 2800', 'ok'),
    row('configuration', { ...clear, config: { 86: '5554' } }, '12 00 0500 8320ffff', '0f'),
  ])
})

test('a result that may not go where it was wanted counts no use', () => {
  // ECDH and KDF: into a register only.
  const inside: Setup = { config: { 90: '006f' } }
  const rows: readonly [setup: Setup, command: string][] = [
    [privateKey('a720', '3300', inside), `43 0c 0000 ${point}`],
    [privateKey('a720', '3300', inside), `43 04 0000 ${point}`],
    [secret('a020', '1c00', inside), '56 52 0500 02000001 00'],
    [secret('a020', '1c00', inside), '56 4a 0501 02000001 00'],
  ]
  for (const [setup, command] of rows) {
    const chip = chipOn(memory(setup))
    assert.equal(ask(chip, command), '0f', command)
    assert.equal(ask(chip, '24 00 0000'), '00000000', command)
  }
})
