/**
 * KeyConfig, and the bits that limit every use of a key, a row each, against the commands that read
 * them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, chipOn, memory, type Setup } from './packets.ts'
import {
  after,
  authorize4,
  block16,
  checkRows,
  clearRead,
  data,
  digestBuffer,
  ecdhToBus,
  externalSign,
  fixedNonce,
  genDig5,
  hmacStart,
  kdfOf5,
  macOf5,
  ownDigest,
  privateKey,
  publicKey,
  type Row,
  randomNonce,
  row,
  secret,
  signature,
  verifyStored,
} from './policyRows.ts'

const keyConfigRows: readonly Row[] = [
  row('Private: Sign of what is none', privateKey('8720', '3200'), externalSign, '0f'),
  row('Private: ECDH of what is none', privateKey('8720', '3200'), ecdhToBus, '0f'),
  row('Private: GenKey into what is none', privateKey('8720', '3200'), '40 04 0000', '0f'),
  row('Private: never read', privateKey('0020'), '02 82 0000', '0f'),
  row('Private: not written by Write', privateKey('0000'), '12 02 0000 00000000', '0f'),
  row('Private: no MAC', secret('0000', '3300'), macOf5, '0f'),
  row('Private: no HMAC', secret('0000', '3300'), hmacStart, '0f'),
  row('Private: no GenDig', secret('0000', '3300'), genDig5, '0f'),
  row('Private: no AES', secret('0000', '1900'), `51 00 0500 ${block16}`, '0f'),
  row('Private: no KDF', secret('0000', '3300'), kdfOf5, '0f'),
  row('Private: no DeriveKey', secret('0020', '3300'), after([randomNonce], '1c 00 0500'), '0f'),
  row('Private: not verified with', publicKey('0000', '1100'), verifyStored, '0f'),

  row('PubInfo: the public key of a private one', privateKey('8720', '3300'), '40 00 0000', 'ok'),
  row('without PubInfo it is not told', privateKey('8720', '3100'), '40 00 0000', '0f'),
  row(
    'without PubInfo nor is its digest',
    privateKey('8720', '3100'),
    after([fixedNonce], '40 08 0000'),
    '0f',
  ),
  row(
    'PubInfo: a public key that was not validated',
    publicKey('0000', '1200'),
    verifyStored,
    '0f',
  ),
  row(
    'PubInfo: validated',
    publicKey('0000', '1200', { data: { 9: `50${data[9]?.slice(2)}` } }),
    verifyStored,
    'ok',
  ),
  row('a public key without PubInfo', publicKey('0000', '1000'), verifyStored, 'ok'),

  row('type 7 signs nothing', privateKey('8720', '1f00'), externalSign, '0f'),
  row('type 7 is not made by GenKey', privateKey('8720', '1f00'), '40 04 0000', '0f'),
  row('type 7 agrees nothing', privateKey('8720', '1f00'), ecdhToBus, '0f'),
  row('type 7 verifies nothing', publicKey('0000', '1c00'), verifyStored, '0f'),
  row('type 7 is no AES key', secret('8000', '1c00'), `51 00 0500 ${block16}`, '0f'),
  row('type 6 is one', secret('8000', '1800'), `51 00 0500 ${block16}`, 'ok'),
  row('type 6 is no key of HMAC', secret('8000', '1800'), hmacStart, '0f'),
  row(
    'type 6 without AES_Enable',
    secret('8000', '1800', { config: { 13: '00' } }),
    `51 00 0500 ${block16}`,
    '0f',
  ),

  row('Lockable', secret('0000', '3c00'), '17 96 0000', '00'),
  row('not Lockable', secret('0000', '1c00'), '17 96 0000', '0f'),

  row('ReqRandom: Sign takes what a host loads', privateKey('8720', '7300'), externalSign, 'ok'),
  row(
    'ReqRandom: also into the digest buffer',
    privateKey('8720', '7300'),
    after([digestBuffer], '41 a0 0000'),
    'ok',
  ),
  row(
    'ReqRandom: GenKey with digest over a nonce of the host',
    privateKey('8720', '7300'),
    after([fixedNonce], '40 08 0000'),
    '0f',
  ),
  row(
    'ReqRandom: over one of the chip',
    privateKey('8720', '7300'),
    after([randomNonce], '40 08 0000'),
    'ok',
  ),
  row('ReqRandom: GenKey without digest', privateKey('8720', '7300'), '40 04 0000', 'ok'),
  row(
    'ReqRandom: the digest of a stored key',
    publicKey('0000', '5000'),
    after([fixedNonce], '40 10 0900 000000'),
    '0f',
  ),
  row('ReqRandom: Verify over a nonce of the host', publicKey('0000', '5000'), verifyStored, '0f'),
  row(
    'ReqRandom: not over the digest buffer',
    publicKey('0000', '5000'),
    after([randomNonce, digestBuffer], `45 20 0900 ${signature}`),
    '0f',
  ),
  row(
    'ReqRandom: Verify over a nonce of the chip looks at the signature',
    publicKey('0000', '5000'),
    after([randomNonce], `45 00 0900 ${signature}`),
    '01',
  ),
  row('ReqRandom: MAC over a challenge of the host', secret('8000', '5c00'), macOf5, '0f'),
  row(
    'ReqRandom: also while TempKey is random',
    secret('8000', '5c00'),
    after([randomNonce], macOf5.command),
    '0f',
  ),
  row(
    'ReqRandom: MAC over TempKey of the host',
    secret('8000', '5c00'),
    after([fixedNonce], '08 05 0500'),
    '0f',
  ),
  row(
    'ReqRandom: MAC over TempKey of the chip',
    secret('8000', '5c00'),
    after([randomNonce], '08 01 0500'),
    'ok',
  ),
  row(
    'ReqRandom: CheckMac over a challenge of the host',
    secret('8000', '5c00'),
    `28 00 0500 ${'00'.repeat(77)}`,
    '0f',
  ),
  row(
    'ReqRandom: DeriveKey over a nonce of the host',
    secret('8020', '5c00'),
    after([fixedNonce], '1c 04 0500'),
    '0f',
  ),
  row(
    'ReqRandom: DeriveKey over a nonce of the chip',
    secret('8020', '5c00'),
    after([randomNonce], '1c 00 0500'),
    'ok',
  ),
  row('ReqRandom: GenDig', secret('8000', '5c00'), genDig5, '0f'),
  row(
    'ReqRandom: GenDig over a nonce of the chip',
    secret('8000', '5c00'),
    after([randomNonce], '15 02 0500'),
    'ok',
  ),

  row('ReqAuth: GenKey', privateKey('8720', 'b304'), '40 04 0000', '0f'),
  row('ReqAuth: Read', secret('0000', '9c04'), clearRead, '0f'),
  row('ReqAuth: Write', secret('0000', '9c04'), '12 02 2800 00000000', '0f'),
  row(
    'ReqAuth: Write, authorized',
    secret('0000', '9c04'),
    after(authorize4, '12 02 2800 00000000'),
    '00',
  ),
  row('PersistentDisable: GenKey is free', privateKey('8720', '3310'), '40 04 0000', 'ok'),
]

test('every row of KeyConfig', () => checkRows(keyConfigRows))

/** Uses of a key, for the bits that forbid all of them alike. */
const uses: readonly {
  readonly what: string
  readonly make: (slotConfig: string, keyConfig: string, more?: Setup) => Setup
  readonly slotConfig: string
  readonly keyConfig: string
  readonly before?: readonly string[]
  readonly command: string
}[] = [
  {
    what: 'external Sign',
    make: privateKey,
    slotConfig: '8f',
    keyConfig: '33',
    before: [randomNonce],
    command: '41 80 0000',
  },
  {
    what: 'internal Sign',
    make: privateKey,
    slotConfig: '8f',
    keyConfig: '33',
    before: ownDigest,
    command: '41 00 0000',
  },
  { what: 'ECDH', make: privateKey, slotConfig: '87', keyConfig: '33', command: ecdhToBus.command },
  { what: 'MAC', make: secret, slotConfig: '80', keyConfig: '1c', command: macOf5.command },
  { what: 'HMAC', make: secret, slotConfig: '80', keyConfig: '1c', command: hmacStart.command },
  {
    what: 'GenDig',
    make: secret,
    slotConfig: '80',
    keyConfig: '1c',
    before: [randomNonce],
    command: '15 02 0500',
  },
  {
    what: 'AES',
    make: secret,
    slotConfig: '80',
    keyConfig: '18',
    command: `51 00 0500 ${block16}`,
  },
  { what: 'KDF', make: secret, slotConfig: '80', keyConfig: '1c', command: kdfOf5.command },
  {
    what: 'Verify',
    make: publicKey,
    slotConfig: '00',
    keyConfig: '10',
    before: [digestBuffer],
    command: `45 20 0900 ${signature}`,
  },
]

/** `87` and bit 5. */
function withBit(byte: string, bit: number): string {
  return (Number.parseInt(byte, 16) | bit).toString(16).padStart(2, '0')
}

/** CountMatch is on, with its value in slot 8. */
function match(value: string): Setup {
  return { config: { 18: '81' }, data: { ...data, 8: value } }
}

const useRows: readonly Row[] = uses.flatMap(
  ({ what, make, slotConfig, keyConfig, before = [], command }) => {
    const limited = `${withBit(slotConfig, 0x20)}20`
    const plain = `${slotConfig}20`
    const authorized = `${withBit(keyConfig, 0x80)}04`
    const foreign = `${withBit(keyConfig, 0x80)}06`
    return [
      row(
        `${what}: LimitedUse with uses left`,
        make(limited, `${keyConfig}00`, match('0100000001000000')),
        after(before, command),
        'ok',
      ),
      row(
        `${what}: LimitedUse at its end`,
        make(limited, `${keyConfig}00`, match('0000000000000000')),
        after(before, command),
        '0f',
      ),
      row(
        `${what}: LimitedUse, a damaged match`,
        make(limited, `${keyConfig}00`, match('0100000002000000')),
        after(before, command),
        '0f',
      ),
      row(
        `${what}: LimitedUse, Counter0 is full`,
        make(limited, `${keyConfig}00`, { config: { 52: '00000001ffffffff' } }),
        after(before, command),
        '0f',
      ),
      row(
        `${what}: without LimitedUse`,
        make(plain, `${keyConfig}00`, match('0000000000000000')),
        after(before, command),
        'ok',
      ),
      row(`${what}: ReqAuth`, make(plain, authorized), after(before, command), '0f'),
      row(
        `${what}: ReqAuth, authorized`,
        make(plain, authorized),
        after([...authorize4, ...before], command),
        'ok',
      ),
      row(
        `${what}: ReqAuth, another AuthKey`,
        make(plain, foreign),
        after([...authorize4, ...before], command),
        '0f',
      ),
      row(
        `${what}: PersistentDisable`,
        make(plain, `${keyConfig}10`),
        after(before, command),
        '0f',
      ),
      row(
        `${what}: PersistentDisable with the latch`,
        make(plain, `${keyConfig}10`, { config: { 69: '84' } }),
        after([...authorize4, '30 04 0300', ...before], command),
        'ok',
      ),
      row(
        `${what}: UseLock`,
        make(plain, `${keyConfig}00`, { config: { 68: '4a' } }),
        after(before, command),
        '0f',
      ),
      row(
        `${what}: UseLock, its key authorized`,
        make(plain, `${keyConfig}00`, { config: { 68: '4a' } }),
        after([...authorize4, ...before], command),
        'ok',
      ),
      row(
        `${what}: UseLock off`,
        make(plain, `${keyConfig}00`, { config: { 68: '4b' } }),
        after(before, command),
        'ok',
      ),
    ]
  },
)

test('the bits that limit use, for every command that uses a key', () => checkRows(useRows))

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
