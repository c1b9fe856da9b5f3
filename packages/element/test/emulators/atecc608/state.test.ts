/**
 * What one command leaves for the next: flags, registers, authorizations and locks that a later
 * command must see, what sleep forgets, and how long each takes. Values by Python.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import { ask, chipOn, memory, packet, type Setup } from './packets.ts'
import {
  after,
  authorize4,
  checkRows,
  data,
  digestBuffer,
  fixedNonce,
  key4,
  numbers32,
  point,
  privateKey,
  publicKey,
  randomNonce,
  row,
  secret,
  signature,
} from './policyRows.ts'
import { uses } from './policyUses.ts'

const r = '7e44e96e91234bd1aea40346ae031588ea33e64e734fe641651f46d443fdee3c'
const block16 = '00112233445566778899aabbccddeeff'

test('the attestation says that the slot is locked', () => {
  const eeprom = memory({
    slots: { 0: ['8720', '3300'], 1: ['8220', '3300'] },
    data: { ...data, 1: `00000000${'22'.repeat(32)}` },
    slotLocks: [0],
  })
  const chip = chipOn(eeprom)
  ask(chip, fixedNonce)
  ask(chip, '40 08 0000')
  assert.equal(
    ask(chip, '41 40 0100'),
    `${r}3a522c41719f2179e60f0b372b272307ac5051baf752529dac0a982cc3ffbcbf`,
  )
})

test('a key is validated over its own digest by GenKey only, and not in a locked slot', () => {
  const setup = publicKey('0a10', '1200', { slots: { 10: ['0000', '1000'], 11: ['0000', '1000'] } })
  const other = '00010000000000590000 00000000 0000 01 00 00'
  const command = `45 03 0900 ${signature} ${other}`
  const digest9 = '40 10 0900 000900'
  checkRows([
    row('TempKey of the host', setup, after([fixedNonce], command), '0f'),
    row('a GenDig of the slot', setup, after([fixedNonce, '15 02 0900'], command), '0f'),
    row(
      'the digest of another slot',
      setup,
      after([fixedNonce, '40 10 0b00 000b00'], command),
      '0f',
    ),
    // Its own digest: the signature is looked at, and the parent in slot 10 is no point.
    row('its own digest', setup, after([fixedNonce, digest9], command), '05'),
    row('locked', { ...setup, slotLocks: [9] }, after([fixedNonce, digest9], command), '0f'),
  ])
})

test('an ephemeral private key is taken by ECDH alone', () => {
  const setup = publicKey('0000', '1000', { slots: { 0: ['8720', '3300'] } })
  const commands = [
    '41 80 0000',
    `45 02 0400 ${signature}${point}`,
    '40 08 0000',
    '40 10 0900 000900',
    `08 02 0400 ${numbers32}`,
    '08 01 0400',
    '15 00 0000',
    '15 02 0400',
    '47 04 ffff',
    `51 00 ffff ${block16}`,
    '56 50 0000 02000001 00',
    '56 50 0000 01000020',
    // A key of zeros, and TempKey as the message.
    '56 50 0000 05000020',
    '56 44 0000 06000001 00',
    `16 00 0080 ${'00'.repeat(20)}`,
  ]
  checkRows(commands.map((command) => row(command, setup, after(['40 04 ffff'], command), '0f')))
})

test('TempKey of what a host could know is not random', () => {
  const setup = privateKey('8720')
  const source = '30 02 0000'
  checkRows([
    row('KDF', setup, after([randomNonce, '56 40 0000 02000001 00'], source), '10800000'),
    row('ECDH', setup, after([`43 08 0000 ${point}`], source), '10800000'),
    row('SHA', setup, after(['47 00 0000', '47 02 0000'], source), '10800000'),
    row('a Nonce', setup, after([randomNonce], source), '00800000'),
  ])
})

test('what takes TempKey leaves none, and what only reads it leaves it', () => {
  const taking = [
    ['Sign 80', 'Sign 00', 'Verify 00', 'Verify 02', 'Verify 03', 'Verify 07', 'Verify 82, IO key'],
    ['MAC 01', 'MAC 02', 'MAC 03', 'CheckMac 02', 'CheckMac 03'],
    [
      'DeriveKey 00, roll',
      'DeriveKey 00, create',
      'Read 82, encrypted',
      'Write C2',
      'PrivWrite 40',
    ],
    ['SecureBoot 85, IO key', 'ECDH 0D', 'ECDH 05, the target'],
  ]
  const leaving = [
    ['Verify 20', 'MAC 00', 'CheckMac 00', 'SHA 04, TempKey', 'AES 00, TempKey', 'SecureBoot 05'],
    ['KDF 10', 'KDF 30', 'KDF 50', 'KDF 4C', 'KDF 44', 'GenKey 08', 'GenKey 10', 'GenDig 02'],
  ]
  for (const what of taking.flat()) assert.equal(isLeftBy(what), false, what)
  for (const what of leaving.flat()) assert.equal(isLeftBy(what), true, what)
})

/** Bit 15 of the state: TempKey is valid. */
function isLeftBy(name: string): boolean {
  const use = uses.find(({ what }) => what === name)
  assert.ok(use !== undefined, name)
  const chip = chipOn(memory(use.setup))
  for (const step of [...use.before, use.command]) assert.notEqual(ask(chip, step), '0f', name)
  return (Number.parseInt(ask(chip, '30 02 0000').slice(2, 4), 16) & 0x80) !== 0
}

test('NoMac is inherited by what is made of it', () => {
  const setup = secret('9720', '1c00', { slots: { 6: ['c520', '1c00'] } })
  const noMacSession = [randomNonce, '15 02 0500 00000000']
  checkRows([
    row('no session of such a key', setup, after(noMacSession, '02 82 3000'), '0f'),
    row(
      'GenDig of another on top',
      setup,
      after([...noMacSession, '15 02 0400'], '08 01 0400'),
      '0f',
    ),
    row('GenDig of the other alone', setup, after([randomNonce, '15 02 0400'], '08 01 0400'), 'ok'),
  ])
})

test('details of single rules', () => {
  const firmware = 'c3bf47ea1f4a4a605470313cacb3a44f4a461f68c6faeab07e737610cb5ac835'
  const signed = `${r}b911a3e3d5a4fe37af346e748d326d6e85b256b4999cfdde78b8ed67b9695f98`
  const copy = `80 07 0000 ${firmware}${signed}`
  const boot = publicKey('0000', '1000', {
    slots: { 10: ['0000', '1c00'] },
    config: { 70: '039a' },
  })
  const privWrite = `46 00 0000 00000000${'33'.repeat(32)}${'00'.repeat(32)}`
  const iv = { config: { 72: '02', 73: 'aabb' } }
  checkRows([
    row('Lock of a slot that is locked', { slotLocks: [8] }, '17 22 0000', '0f'),
    row('PrivWrite', privateKey('8740', '3300', { locks: 'config' }), privWrite, '00'),
    row('PrivWrite, ReqAuth', privateKey('8740', 'b304', { locks: 'config' }), privWrite, '0f'),
    row(
      'KDF by AES without AES_Enable',
      { config: { 90: '0400', 13: '00' } },
      after([fixedNonce], `56 30 0000 00000010 ${block16}`),
      '0f',
    ),
    row(
      'the IV of KDF is in its place',
      iv,
      after([fixedNonce], '56 50 0000 03000005 0001aabb04'),
      '9900fbeeb06192f45cd64a19ab945a151d56abd0c91c737f8006379a6830930f',
    ),
    row('it is not', iv, after([fixedNonce], '56 50 0000 03000005 0001aabc04'), '0f'),
    row(
      'SHA of a public key',
      publicKey('0000', '1000'),
      after(['47 00 0000'], '47 03 0900'),
      '00',
    ),
    row(
      'SHA of one that wants authorization',
      publicKey('0000', '9004'),
      after(['47 00 0000'], '47 03 0900'),
      '0f',
    ),
    row('SecureBoot copies', boot, copy, '00'),
    row('SecureBoot copies not into a locked slot', { ...boot, slotLocks: [10] }, copy, '0f'),
    row('SecureBoot without persist sets no latch', boot, after([copy], '30 04 0000'), '00000000'),
    row('the latch without VolatileKeyPermission', { config: { 69: '04' } }, '30 04 0200', '0f'),
    row(
      'SecureBoot with its key in slot 13',
      { data: { 13: data[9] ?? '' }, slots: { 13: ['0000', '1000'] }, config: { 70: '01d0' } },
      `80 05 0000 ${firmware}${signed}`,
      '00',
    ),
    row('GenKey with a digest over nothing', privateKey('8720'), '40 0c 0000', '0f'),
    row('a digest of its public key over nothing', privateKey('8720'), '40 08 0000', '0f'),
    row('a block from its middle', {}, '02 80 0100', '03'),
    row('a public key, valid', publicKey('0000', '1000'), '30 01 0900', 'ok'),
  ])
})

test('KeyValid of a public key that must be validated', () => {
  assert.equal(keyValid9('50'), '01000000')
  assert.equal(keyValid9('a0'), '00000000')
})

/** Slot 9 has a public key with this first byte. */
function keyValid9(first: string): string {
  const content = `${first}${data[9]?.slice(2)}`
  return ask(chipOn(memory(publicKey('0000', '1200', { data: { 9: content } }))), '30 01 0900')
}

test('SHA of a stored public key', () => {
  const chip = chipOn(memory(publicKey('0000', '1000')))
  ask(chip, '47 00 0000')
  ask(chip, '47 03 0900')
  assert.equal(
    ask(chip, '47 c2 0300 616263'),
    '5a6f306b855136e8b75320f7981ac76d1293c8ad1509bf771c3e6f3011193de8',
  )
})

test('a signature whose point is at infinity is wrong', () => {
  const chip = chipOn(memory({}))
  // e = e0 - r d for d = 11…11, r = 42…42: moved by (e - e0) / r, the key is no point any more.
  ask(chip, '16 03 0000 6608098ca4a3a0eac5dc089907ebf41c1fe2f23d2da35a4c1f25cb142d055290')
  const point0 =
    '0217e617f0b6443928278f96999e69a23a4f2c152bdf6d6cdf66e5b80282d4ed' +
    '194a7debcb97712d2dda3ca85aa8765a56f45fc758599652f2897c65306e5794'
  assert.equal(ask(chip, `45 02 0400 ${'42'.repeat(32)}${'01'.repeat(32)}${point0}`), '01')
})

test('a word beside the slot locks is written without them', () => {
  const eeprom = memory({ locks: 'none' })
  assert.equal(ask(chipOn(eeprom), '12 00 1600 00000640'), '00')
  assert.equal(hex(eeprom.read('config', 88, 4)), 'ffff0640')
})

test('a Nonce that was not understood leaves no TempKey', () => {
  const chip = chipOn(memory({}))
  ask(chip, fixedNonce)
  assert.equal(ask(chip, '16 03 0000 00'), '03')
  assert.equal(ask(chip, '30 02 0000'), '00000000')
})

test('sleep forgets every register but the latch, idle none', () => {
  const slots = { 0: ['8720', '3300'], ...key4 } as const
  const plain = secret('8020', '1c00', { slots })
  const useLocked = secret('8020', '1c00', { slots, config: { 68: '4a' } })
  const kept: readonly [setup: Setup, steps: readonly string[], use: string][] = [
    [plain, ['47 00 0000'], '47 c2 0000'],
    [plain, [digestBuffer], '41 a0 0000'],
    [plain, [`16 83 0000 ${numbers32}`], '56 53 0000 02000001 00'],
    [plain, ['40 04 ffff'], `43 0d 0000 ${point}`],
    [useLocked, authorize4, '47 04 0500'],
  ]
  for (const [setup, steps, use] of kept) {
    const [awake, slept] = [chipOn(memory(setup)), chipOn(memory(setup))]
    for (const step of steps) {
      ask(awake, step)
      ask(slept, step)
    }
    awake.idle()
    assert.notEqual(ask(awake, use), '0f', use)
    slept.sleep()
    assert.equal(ask(slept, use), '0f', use)
  }
})

test('the longest execution times by the clock of ChipMode', () => {
  const rows: readonly [command: string, m0: number, m1: number, m2: number][] = [
    ['40 00 0000', 115, 215, 653],
    ['41 80 0000', 115, 220, 665],
    ['45 00 0900', 105, 295, 1085],
    ['43 00 0000', 75, 172, 531],
    ['80 05 0000', 80, 160, 480],
    ['77 01 0000', 250, 625, 2324],
    ['47 00 0000', 36, 42, 75],
    ['15 00 0000', 25, 35, 35],
    ['56 00 0000', 165, 165, 165],
    ['08 00 0000', 55, 55, 55],
    ['12 00 0000', 45, 45, 45],
    ['28 00 0000', 40, 40, 40],
    ['17 00 0000', 35, 35, 35],
    ['51 00 0000', 27, 27, 27],
    ['24 00 0000', 25, 25, 25],
    ['1b 00 0000', 23, 23, 23],
    ['16 00 0000', 20, 20, 20],
    ['20 00 0000', 10, 10, 10],
    ['02 00 0000', 5, 5, 5],
    ['46 00 0000', 50, 50, 50],
    ['11 00 0000', 1, 1, 1],
  ]
  for (const [column, mode] of ['00', '28', '68'].entries()) {
    const chip = chipOn(memory({ config: { 19: mode } }))
    for (const [command, ...times] of rows) {
      assert.equal(chip.execute(packet(command)).executionMs, times[column], `${command}, ${mode}`)
    }
  }
})
