/**
 * SlotConfig: every bit of it, a row each, against the commands that read it.
 */
import { test } from 'node:test'
import { type Setup } from './packets.ts'
import {
  after,
  checkRows,
  clearRead,
  data,
  ecdhToBus,
  externalSign,
  fixedNonce,
  genDig5,
  hmacStart,
  internalSign,
  key4,
  macOf5,
  point,
  privateKey,
  type Row,
  randomNonce,
  row,
  sealedPrivWrite,
  sealedWrite,
  secret,
  session4,
  sessionRead,
  zeros32,
} from './policyRows.ts'

const slotConfigRows: readonly Row[] = [
  row('ReadKey bit 0: external signatures', privateKey('8120'), externalSign, 'ok'),
  row('ReadKey without bit 0', privateKey('8e20'), externalSign, '0f'),
  row('ReadKey bit 1: internal signatures', privateKey('8220'), internalSign, 'ok'),
  row('ReadKey without bit 1', privateKey('8d20'), internalSign, '0f'),
  row('ReadKey bit 2: ECDH', privateKey('8420'), ecdhToBus, 'ok'),
  row('ReadKey without bit 2', privateKey('8320'), ecdhToBus, '0f'),
  row('ReadKey bit 3: ECDH not to the bus', privateKey('8c20'), ecdhToBus, '0f'),
  row(
    'ReadKey bit 3: ECDH to the slot above',
    privateKey('8c20', '3300', { slots: { 1: ['8020', '1c00'] } }),
    `43 00 0000 ${point}`,
    '00',
  ),
  row(
    'ReadKey bit 3: the slot above has a private key',
    privateKey('8c20', '3300', { slots: { 1: ['8020', '3300'] } }),
    `43 00 0000 ${point}`,
    '0f',
  ),

  row('not secret, not encrypted: read in clear', secret('0000'), clearRead, 'ok'),
  row('IsSecret alone: never read', secret('8000'), clearRead, '0f'),
  row('IsSecret alone: not under a session either', secret('8400'), sessionRead, '0f'),
  row('EncryptRead alone: never read', secret('4400'), sessionRead, '0f'),
  row('IsSecret and EncryptRead: not in clear', secret('c400'), clearRead, '0f'),
  row('IsSecret and EncryptRead: under the session of ReadKey', secret('c400'), sessionRead, 'ok'),
  row('ReadKey is another slot than that of the session', secret('c600'), sessionRead, '0f'),
  row(
    'a session over a nonce of the host reads nothing',
    secret('c400'),
    after([fixedNonce, '15 02 0400'], '02 82 2800'),
    '0f',
  ),
  row('an encrypted read has 32 bytes', secret('c400'), after(session4, '02 02 2800'), '0f'),

  row('NoMac: no MAC', secret('9000'), macOf5, '0f'),
  row('without NoMac', secret('8000'), macOf5, 'ok'),
  row('NoMac: no HMAC', secret('9000'), hmacStart, '0f'),
  row('without NoMac', secret('8000'), hmacStart, 'ok'),
  row(
    'NoMac: no CheckMac',
    secret('9000'),
    `28 00 0500 ${zeros32}${zeros32}${'00'.repeat(13)}`,
    '0f',
  ),
  row(
    'without NoMac a CheckMac is only wrong',
    secret('8000'),
    `28 00 0500 ${zeros32}${zeros32}${'00'.repeat(13)}`,
    '01',
  ),
  row('NoMac: GenDig wants four bytes of the host', secret('9000'), genDig5, '03'),
  row('NoMac: GenDig with them', secret('9000'), after([fixedNonce], '15 02 0500 00000000'), 'ok'),
  row(
    'NoMac: what GenDig made goes into no MAC',
    secret('9000'),
    after([fixedNonce, '15 02 0500 00000000'], '08 05 0400'),
    '0f',
  ),
  row(
    'NoMac: nor into an internal signature',
    secret('9000', '1c00', { slots: { 0: ['8220', '3300'] } }),
    after([fixedNonce, '15 02 0500 00000000'], '41 00 0000'),
    '0f',
  ),

  row(
    'WriteKey is another slot than that of the session',
    secret('8646'),
    after(session4, `12 c2 2800 ${zeros32}${zeros32}`),
    '0f',
  ),
  row(
    'WriteKey is that of the session: the MAC is looked at',
    secret('8644'),
    after(session4, `12 c2 2800 ${zeros32}${zeros32}`),
    '01',
  ),
]

test('every row of SlotConfig', () => checkRows(slotConfigRows))

/** WriteConfig, its four bits as 15:12 of SlotConfig. Slot 5 and 0, write key 4. */
const writeConfigTable: readonly [
  nibble: string,
  clear: string,
  sealed: string,
  genKey: string,
  privWrite: string,
  deriveKey: string,
  deriveKeyMac: string,
][] = [
  // clear, sealed Write; GenKey; sealed PrivWrite; DeriveKey without and with MAC
  ['0', 'ok', '0f', '0f', '0f', '0f', '0f'],
  ['1', 'ok', '0f', '0f', '0f', '0f', '0f'],
  ['2', '0f', '0f', 'ok', '0f', 'ok', 'ok'],
  ['3', '0f', '0f', 'ok', '0f', 'ok', 'ok'],
  ['4', '0f', 'ok', '0f', 'ok', '0f', '0f'],
  ['5', '0f', 'ok', '0f', 'ok', '0f', '0f'],
  ['6', '0f', 'ok', 'ok', 'ok', 'ok', 'ok'],
  ['7', '0f', 'ok', 'ok', 'ok', 'ok', 'ok'],
  ['8', '0f', '0f', '0f', '0f', '0f', '0f'],
  ['9', '0f', '0f', '0f', '0f', '0f', '0f'],
  ['a', '0f', '0f', 'ok', '0f', '0f', 'ok'],
  ['b', '0f', '0f', 'ok', '0f', '0f', 'ok'],
  ['c', '0f', 'ok', '0f', 'ok', '0f', '0f'],
  ['d', '0f', 'ok', '0f', 'ok', '0f', '0f'],
  ['e', '0f', 'ok', 'ok', 'ok', '0f', 'ok'],
  ['f', '0f', 'ok', 'ok', 'ok', '0f', 'ok'],
]
/** MAC of DeriveKey for slot 6 under the key that WriteKey names, 4, also where it rolls. */
const deriveMac = 'cedc41e08529a98df17db16706b8b536aa9ec4b7b71f9571ff26d47ec826e0b2'

test('the sixteen values of WriteConfig', () => {
  checkRows(
    writeConfigTable.flatMap(
      ([nibble, clear, sealed, genKey, privWrite, deriveKey, deriveKeyMac]) => {
        const what = `WriteConfig ${nibble}`
        const of5 = secret(`84${nibble}4`)
        const of2: Setup = { data, slots: { 2: [`87${nibble}4`, '3300'], ...key4 } }
        const of6: Setup = { data, slots: { 6: [`80${nibble}4`, '1c00'], ...key4 } }
        return [
          row(`${what}, clear Write`, of5, '12 02 2800 00000000', clear),
          row(`${what}, sealed Write`, of5, after(session4, sealedWrite), sealed),
          row(`${what}, GenKey`, of2, '40 04 0200', genKey),
          row(`${what}, PrivWrite`, of2, after(session4, sealedPrivWrite), privWrite),
          row(`${what}, DeriveKey`, of6, after([randomNonce], '1c 00 0600'), deriveKey),
          row(
            `${what}, DeriveKey with MAC`,
            of6,
            after([randomNonce], `1c 00 0600 ${deriveMac}`),
            deriveKeyMac,
          ),
        ]
      },
    ),
  )
})
