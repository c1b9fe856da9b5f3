/**
 * Read, Write, Lock, Counter, GenDig and SHA. Digests, MACs and CRCs were computed with Python's
 * hashlib, hmac and a CRC by hand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import type { Chip } from '../../../src/emulators/atecc608/chip.ts'
import { ask, blank, chipOn, exchange, memory } from './packets.ts'

const numbers32 = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const secret = '606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f'

/** Slot 4 a symmetric key, slot 5 a secret that is read and written under it, 7 has NoMac. */
function symmetric() {
  return memory({
    slots: { 4: ['8020', '1c00'], 5: ['c444', '3c00'], 7: ['9020', '1c00'], 8: ['0000', '1c00'] },
    data: { 4: '44'.repeat(32), 5: secret, 7: '44'.repeat(32) },
  })
}

/** Nonce and GenDig of slot 4. */
function session(chip: Chip): void {
  assert.equal(ask(chip, `16 00 0000 ${'00'.repeat(20)}`), 'a5'.repeat(32))
  assert.equal(ask(chip, '15 02 0400'), '00')
}

test('an encrypted read under the session key of GenDig', () => {
  const chip = chipOn(symmetric())
  assert.equal(ask(chip, '02 82 2800'), '0f', 'no session')
  session(chip)
  assert.equal(
    ask(chip, '02 82 2800'),
    'cdcdb8f538db8cd3fd15402039ea847df391099ed752075fb4d5888b1a1cc406',
  )
  assert.equal(ask(chip, '02 82 2800'), '0f', 'one session, one block')
  assert.equal(ask(chip, '02 82 2000'), '0f', 'the key itself')
})

test('an encrypted write needs the right MAC', () => {
  const eeprom = symmetric()
  const chip = chipOn(eeprom)
  eeprom.write(5, 0, new Uint8Array(36))
  const sealed = 'cdcdb8f538db8cd3fd15402039ea847df391099ed752075fb4d5888b1a1cc406'
  const mac = '54c64c1070d51580ac67dd770762e0180ae7f75956ed56793cbff7c6e95c07be'
  session(chip)
  assert.equal(ask(chip, `12 c2 2800 ${sealed} ${mac.replace('54', '55')}`), '01')
  assert.equal(hex(eeprom.read(5, 0, 32)), '00'.repeat(32))
  session(chip)
  assert.equal(ask(chip, `12 82 2800 ${secret}`), '0f', 'not in clear')
  session(chip)
  assert.equal(ask(chip, `12 c2 2800 ${sealed} ${mac}`), '00')
  assert.equal(hex(eeprom.read(5, 0, 32)), secret)
})

test('GenDig over each zone', () => {
  const rows: readonly [command: string, mac: string, slotLocks?: readonly number[]][] = [
    ['15 00 0000', 'fcc10d53e8ffbef768c8e2e92ad20d6aa9b86d5e1fc0b69ba2134f88f52c22e5'],
    [
      `15 03 0000 ${'77'.repeat(32)}`,
      '85b1ae6ce2174d84bd1981e5f51fe75e332ebc588dec861ace4e159cf95ee11c',
    ],
    [
      `15 03 0080 ${'77'.repeat(32)}`,
      'e61bde41b077566a6a6ad08f7fb93b234a87883c5a72f51f298488292a22eea9',
    ],
    ['15 04 0100', '534328f8598dc1fe01eb741db10c53cd88435a71b6228ac4d8a8c5aa0a9a3665'],
    ['15 02 0700 0a0b0c0d', '0652d6aa1d2a20c61bbaf581267687bb5fe435565c6cb63a7491f51cb65e83a0'],
    // The one-time zone is FF.
    ['15 01 0000', '20567bcadf9ee66ab0ccfbf704c9f07102e5d3a79a1bf6238b705c9ec2e32386'],
    ['15 01 0100', '43c8d9f4f0cc4224c2f6a0366f17eec7f2ab3fe81599fffc0ee15ea725b6b965'],
    // Slot 0, and the same locked.
    ['15 05 0000', '74d0b9f605ce755fdf021b901227d051c1033a835cb546b8ac1efbece97182be'],
    ['15 05 0000', '27dfb6af5571a6c4b287135b8df99081829b549f4c8f24053e258fc5b6c4bc68', [0]],
  ]
  for (const [command, mac, slotLocks = []] of rows) {
    const chip = chipOn(
      memory({ slots: { 7: ['9020', '1c00'] }, data: { 7: '44'.repeat(32) }, slotLocks }),
    )
    ask(chip, `16 03 0000 ${numbers32}`)
    assert.equal(ask(chip, command), '00', command)
    // TempKey itself is not shown; what stands above is the HMAC of nothing under it.
    ask(chip, '47 04 ffff')
    assert.equal(ask(chip, '47 c2 0000'), mac, command)
  }
})

test('an error in GenDig leaves no TempKey', () => {
  const chip = chipOn(symmetric())
  ask(chip, `16 03 0000 ${numbers32}`)
  assert.equal(ask(chip, '15 02 0700'), '03', 'NoMac wants four bytes')
  assert.equal(ask(chip, '15 00 0000'), '0f')
})

test('SHA over blocks and a rest, into the registers, out of the chip and back', () => {
  const chip = chipOn(symmetric())
  const digest = '18917c887594f95a0a81701c589533ff21c74b1fb567e4521272f37815a64275'
  assert.equal(ask(chip, `47 01 4000 ${'61'.repeat(64)}`), '0f', 'not started')
  assert.equal(ask(chip, '47 00 0000'), '00')
  assert.equal(ask(chip, `47 01 4000 ${'61'.repeat(64)}`), '00')
  const context = ask(chip, '47 06 0000')
  assert.equal(ask(chip, '47 c2 0300 616263'), digest)
  assert.equal(ask(chip, '47 c2 0300 616263'), '0f', 'ended')
  assert.equal(ask(chip, `47 07 2800 ${context}`), '00')
  assert.equal(ask(chip, '47 02 0300 616263'), digest)
  assert.equal(ask(chip, '30 02 0000'), '10800000')
  ask(chip, '47 00 0000')
  assert.equal(
    ask(chip, `47 c2 3c00 ${'61'.repeat(60)}`),
    '11ee391211c6256460b6ed375957fadd8061cafbb31daf967db875aebd5aaad4',
    'two blocks of padding',
  )
})

test('SHA over pieces of any length', () => {
  const chip = chipOn(symmetric())
  ask(chip, '47 00 0000')
  for (const length of ['09', '40', '01', '15']) {
    const data = '61'.repeat(Number.parseInt(length, 16))
    assert.equal(ask(chip, `47 01 ${length}00 ${data}`), '00')
  }
  assert.equal(ask(chip, '47 01 0000'), '03', 'nothing')
  assert.equal(ask(chip, `47 01 4100 ${'61'.repeat(65)}`), '03', 'more than a block')
  assert.equal(ask(chip, '47 01 0200 61'), '03', 'another length')
  assert.equal(
    ask(chip, '47 c2 0400 61616161'), // 99 bytes
    '132844681d57d5ae76dfd35a07e4fc10fdc0ce9f0882a2b0c9db0e84116d5bad',
  )
  assert.equal(ask(chip, '47 04 0400'), '00')
  ask(chip, `47 01 0a00 ${'61'.repeat(10)}`)
  assert.equal(
    ask(chip, `47 c2 3c00 ${'61'.repeat(60)}`),
    '9e97fae304abe03c74a1ea7466422643cd0c35f9cc932852a8a8983007044c66',
    'HMAC',
  )
})

test('the context of a SHA has 40 bytes and those that fill no block, up to 99', () => {
  const chip = chipOn(symmetric())
  const startWith = (length: number): string => {
    ask(chip, '47 00 0000')
    ask(chip, `47 01 4000 ${'61'.repeat(64)}`)
    const count = length.toString(16).padStart(2, '0')
    if (length > 0) ask(chip, `47 01 ${count}00 ${'61'.repeat(length)}`)
    return ask(chip, '47 06 0000')
  }
  for (const length of [0, 1, 6, 59]) {
    const context = startWith(length)
    assert.equal(context.length / 2, 40 + length)
    assert.equal(context.slice(0, 8), `${(64 + length).toString(16)}000000`)
  }
  assert.equal(startWith(60), '0f')
  const context = startWith(6)
  chip.wake()
  assert.equal(ask(chip, '47 c2 0000'), '0f', 'a wake forgets it, also from idle')
  assert.equal(ask(chip, `47 07 2d00 ${context.slice(0, -2)}`), '03', 'cut')
  assert.equal(ask(chip, `47 07 2f00 ${context}61`), '03', 'longer than it says')
  assert.equal(ask(chip, `47 07 2e00 ${context}`), '00')
  assert.equal(
    ask(chip, '47 c2 0300 616263'),
    '14bd1e7cd3dd882922bb1946f211466bd40bfd6c967f46935a2284e4bd2b6675',
  )
})

test('HMAC under a slot', () => {
  const chip = chipOn(symmetric())
  assert.equal(ask(chip, '47 04 0400'), '00')
  assert.equal(ask(chip, '47 06 0000'), '0f', 'its state stays inside')
  assert.equal(ask(chip, `47 01 4000 616263${'55'.repeat(61)}`), '00')
  assert.equal(
    ask(chip, '47 c2 0300 555555'),
    '2bd0e4ece879c75f3f28cdbae1e9a9c61760d6d6c6e45a4150d7336fd8405b21',
  )
  assert.equal(ask(chip, '47 04 0700'), '0f', 'NoMac')
})

test('what makes no sense is answered 03', () => {
  const chip = chipOn(symmetric())
  const [b16, b20, b32, b64] = [16, 20, 32, 64].map((length) => '00'.repeat(length))
  const commands = [
    ['30 05 0000', '30 00 0000 00', '30 01 1000', '30 04 0400', '1b 02 0000', '1b 00 0100'],
    [`16 04 0000 ${b20}`, `16 40 0000 ${b20}`, `16 03 0100 ${b32}`, `16 a3 0000 ${b64}`],
    [`16 c3 0000 ${b32}`, `16 00 0100 ${b20}`, `16 00 0000 ${b32}`],
    ['40 01 0000', '40 20 0000', '40 04 1000', '40 14 0000', '40 10 0900', '40 08 ffff'],
    ['41 82 0000', '41 81 0000', '41 80 1000', '41 80 0000 00'],
    [`45 01 0900 ${b64}`, `45 04 0900 ${b64}`, `45 08 0900 ${b64}`, `45 02 0500 ${b64}${b64}`],
    [`45 00 1000 ${b64}`, `45 00 0900 ${b32}`, `45 03 0900 ${b64}`],
    [`43 10 0000 ${b64}`, `43 00 1000 ${b64}`, `43 00 0000 ${b32}`],
    ['47 05 0000', '47 08 0000', '47 40 0000', '47 00 0100', '47 04 1000', '47 03 1000'],
    [`47 07 2800 ${'00'.repeat(36)}01000000`, '47 82 0000', '47 06 0100'],
    [`51 02 0500 ${b16}`, `51 00 1000 ${b16}`, `51 00 0500 ${b32}`, `51 03 0000 ${b16}`],
    ['56 80 0000 02000001 00', '56 60 0000 02000001 00', '56 58 0000 02000001 00'],
    ['56 50 0000 02000002 00', '56 52 1000 02000001 00', '56 48 0010 02000001 00', '56 50 0000'],
    ['02 03 0000', '02 40 0000', '02 82 a800', '02 82 2802', '02 80 2000', '02 81 1000'],
    [`12 03 0000 00000000`, `12 20 0000 00000000`, `12 82 2800 ${b64}`, '12 42 2800 00000000'],
    ['17 03 0000', '17 40 0000', '17 04 0000', '17 00 0000 00', '24 02 0000', '24 00 0200'],
    ['15 06 0000', '15 00 0400', '15 01 0200', '15 02 1000', '15 04 0200', '15 05 1000'],
    [`08 08 0400 ${b32}`, `08 00 1000 ${b32}`, '08 00 0400', `08 01 0400 ${b32}`],
    [`28 40 0400 ${'00'.repeat(77)}`, `28 00 1000 ${'00'.repeat(77)}`, `28 00 0400 ${b64}`],
    [`46 01 0000 ${'00'.repeat(68)}`, `46 00 1000 ${'00'.repeat(68)}`, `46 00 0000 ${b64}`],
    ['1c 01 0500', '1c 00 1000', `1c 00 0500 ${b16}`],
    [
      `80 04 0000 ${b32}${b64}`,
      `80 0d 0000 ${b32}${b64}`,
      `80 05 0000 ${b32}`,
      `80 06 0100 ${b32}`,
    ],
    ['77 40 0000', '77 01 0100', '20 03 0000', '20 02 1000', '20 00 0001', '20 00 0100 00'],
  ]
  for (const command of commands.flat()) {
    ask(chip, `16 03 0000 ${numbers32}`)
    assert.equal(ask(chip, command), '03', command)
  }
  // Also where a block may go beyond the end of its slot: one that begins there.
  const open = chipOn(memory({ slots: { 5: ['0000', '1c00'] }, locks: 'config' }))
  assert.equal(ask(open, `12 82 2802 ${b32}`), '03')
})

test('the life of a part: configuration, lock, keys and data, lock, rules', () => {
  const eeprom = blank()
  const chip = chipOn(eeprom)
  assert.equal(ask(chip, '12 02 4000 00000000'), '0f', 'no data before')
  assert.equal(ask(chip, '17 01 0000'), '0f', 'nor its lock')
  assert.equal(exchange(chip, '07 17 00 0000 03 0a'), '04ff0142', 'a damaged packet')
  assert.equal(ask(chip, '17 00 0000'), '0f', 'not the CRC of what is there')
  assert.equal(exchange(chip, '07 17 00 69a6 7a78'), '04000340')
  assert.equal(eeprom.byte('config', 87), 0)
  assert.equal(ask(chip, '17 00 69a6'), '0f', 'once')
  assert.equal(ask(chip, '12 00 0600 8f8f8f8f'), '0f', 'no configuration after')
  assert.equal(ask(chip, '02 02 4000'), '0f', 'no data is read yet')
  assert.equal(ask(chip, '12 02 4000 ffffffff'), '0f', 'words come after the next lock')
  assert.equal(ask(chip, `12 82 4000 ${'ff'.repeat(32)}`), '00')
  // The last block of a slot of 36 bytes has 4 of its own.
  assert.equal(ask(chip, `12 82 1801 ${'ff'.repeat(32)}`), '00')
  assert.equal(ask(chip, '17 01 3554'), '0f')
  assert.equal(ask(chip, '17 01 3553'), '00')
  assert.equal(eeprom.byte('config', 86), 0)
  assert.equal(ask(chip, '02 02 4000'), 'ffffffff')
})

test('Lock of a single slot', () => {
  const eeprom = memory({
    slots: {
      8: ['0000', '3c00'],
      9: ['0000', '1c00'],
      0: ['8720', '3300'],
      1: ['8720', '3300'],
    },
  })
  const chip = chipOn(eeprom)
  assert.equal(ask(chip, '17 22 0000'), '00', 'a single slot has no CRC to compare')
  assert.equal(hex(eeprom.read('config', 88, 2)), 'fffe')
  assert.equal(ask(chip, '12 02 4000 00000000'), '0f')
  assert.equal(ask(chip, '17 a6 0000'), '0f', 'slot 9 is not lockable')
  assert.equal(ask(chip, '17 22 0000'), '0f', 'slot 8 is locked')
  assert.equal(ask(chip, '17 82 0000'), '00')
  assert.equal(hex(eeprom.read('config', 88, 2)), 'fefe')
  assert.equal(ask(chip, '17 86 0000'), '00')
  assert.equal(hex(eeprom.read('config', 88, 2)), 'fcfe', 'the others stay locked')
  assert.equal(ask(chip, '40 04 0000'), '0f')
})

test('Counter counts to its end, one bit less in the EEPROM each step', () => {
  const rows: readonly [cells: string, value: string][] = [
    ['ffffffff00000000', '00000000'],
    ['0001ffff00000000', '0f000000'],
    ['0000ffff00000000', '10000000'],
    ['0000000100000000', '1f000000'],
    ['ffff000000010000', '20000000'],
    // As in a public listing of a used part.
    ['0007000000010000', '2d000000'],
    ['0000ffff00010001', '30000000'],
    ['00000001ffffffff', 'ffff1f00'],
  ]
  for (const [cells, value] of rows) {
    const chip = chipOn(memory({ config: { 60: cells } }))
    assert.equal(ask(chip, '24 00 0100'), value, cells)
  }
  const eeprom = memory({})
  const chip = chipOn(eeprom)
  for (let count = 1; count <= 33; count++) {
    const text = count.toString(16).padStart(2, '0')
    assert.equal(ask(chip, '24 01 0000'), `${text}000000`)
    assert.equal(ask(chip, '24 00 0000'), `${text}000000`)
  }
  assert.equal(hex(eeprom.read('config', 52, 8)), '7fff000000010000')
  const last = chipOn(memory({ config: { 52: '00000003ffffffff' } }))
  assert.equal(ask(last, '24 01 0000'), 'ffff1f00')
  const full = chipOn(memory({ config: { 52: '00000001ffffffff' } }))
  assert.equal(ask(full, '24 01 0000'), '0f')
})
