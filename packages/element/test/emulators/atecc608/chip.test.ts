/**
 * Packets and replies of the emulated ATECC608, byte for byte. The CRCs of wake, Info and Read are
 * those of the vendor's public host code; the others and all digests were computed with Python.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { fromHex, hex } from '@countersign/core/codec'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { ask, blank, chipOn, crcHex, exchange, memory, packet } from './packets.ts'

const numbers32 = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'

test('a chip that was woken says 11', () => {
  assert.equal(hex(chipOn(blank()).wake()), '04113343')
})

test('Info answers the revision', () => {
  const { response, opcode, executionMs } = chipOn(blank()).execute(fromHex('0730000000035d'))
  assert.equal(hex(response), '07000060028038')
  assert.equal(opcode, 0x30)
  assert.equal(executionMs, 5)
  const b = blankEeprom({ serial: fromHex('0123456789abcdefee'), revision: 3 })
  assert.equal(ask(chipOn(b), '30 00 0000'), '00006003')
})

test('Read of the first block of the configuration, bytes as they came', () => {
  const reply = exchange(chipOn(blank()), '07 02 80 00 00 09 ad')
  assert.equal(
    reply.slice(2, -4),
    '012345670000600289abcdefee013900c0000000832087208f20c48f8f8f8f8f',
  )
})

test('the generator of an open chip answers its fixed pattern', () => {
  const pattern = '23 ffff0000 ffff0000 ffff0000 ffff0000 ffff0000 ffff0000 ffff0000 ffff0000 411a'
  assert.equal(exchange(chipOn(blank()), '07 1b 00 0000 24cd'), pattern.replaceAll(' ', ''))
  assert.equal(ask(chipOn(memory({ locks: 'config' })), '1b 00 0000'), 'a5'.repeat(32))
})

test('Nonce with randomness: TempKey is the digest of number, input, opcode and mode', () => {
  const chip = chipOn(memory({}))
  const input = '000102030405060708090a0b0c0d0e0f10111213'
  assert.equal(exchange(chip, `1b 16 00 0000 ${input} 53b5`).slice(2, -4), 'a5'.repeat(32))
  // TempKey is 9f71ff25…3864a54 now, and takes the place of a number.
  assert.equal(
    ask(chip, `16 00 0080 ${input}`),
    'd8418c088d31c7226521024adbfdde3a4baeb59a1bf7a78323191055371c6fc2',
  )
  assert.equal(ask(chip, '30 02 0000'), '00800000')
})

test('Nonce as the host gives it sets the source flag, sleep forgets it and idle does not', () => {
  const chip = chipOn(memory({}))
  assert.equal(exchange(chip, `27 16 03 0000 ${numbers32} 04ee`), '04000340')
  assert.equal(ask(chip, '30 02 0000'), '10800000')
  chip.idle()
  assert.equal(ask(chip, '30 02 0000'), '10800000')
  chip.sleep()
  assert.equal(ask(chip, '30 02 0000'), '00000000')
})

test('a wrong count or CRC is a communication error, an unknown opcode a parse error', () => {
  const chip = chipOn(blank())
  for (const text of ['', '07', '0730000000035e', '0730000000025d', '0830000000035d', '04113343']) {
    const { response, opcode } = chip.execute(fromHex(text))
    assert.equal(hex(response), '04ff0142', text)
    assert.equal(opcode, undefined)
  }
  assert.equal(ask(chip, '11 00 0000'), '03')
  // A count that is wrong under a CRC that is right.
  const counted = fromHex('0830000000')
  assert.equal(hex(chip.execute(fromHex(hex(counted) + crcHex(counted))).response), '04ff0142')
})

test('a command has at most 151 bytes', () => {
  const chip = chipOn(blank())
  const ofLength = (length: number): string =>
    hex(chip.execute(packet(`30 00 0000 ${'00'.repeat(length - 7)}`)).response)
  assert.equal(ofLength(151).slice(2, 4), '03')
  assert.equal(ofLength(152), '04ff0142')
})

test('the two ways to a CRC agree with the literals', () => {
  assert.equal(hex(packet('30 00 0000')), '0730000000035d')
  assert.equal(hex(packet('02 80 0000')), '070280000009ad')
})

test('no inspection of a chip shows what is in its slots', () => {
  const eeprom = memory({ data: { 0: `00000000${'c3'.repeat(32)}` } })
  const shown = `${inspect(chipOn(eeprom), { depth: 9, showHidden: true })}${JSON.stringify(eeprom)}`
  assert.doesNotMatch(shown, /c3c3|195/)
  assert.match(JSON.stringify(eeprom.snapshot()), /c3c3/)
})

test('the pin of a part for the single wire is low when the power comes, and survives sleep', () => {
  // I2C_Enable is bit 0 of byte 14.
  const chip = chipOn(memory({ config: { 14: '38' } }))
  assert.equal(ask(chip, '30 03 0000'), '00000000')
  assert.equal(ask(chip, '30 03 0300'), '01000000')
  chip.sleep()
  assert.equal(ask(chip, '30 03 0000'), '01000000')
  assert.equal(ask(chip, '30 03 0200'), '00000000')
  assert.equal(ask(chip, '30 03 0400'), '03')
  assert.equal(ask(chipOn(memory({})), '30 03 0300'), '0f', 'an I2C part has none')
})
