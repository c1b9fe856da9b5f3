import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc16 } from '../../../src/drivers/atecc608/crc.ts'
import { type Command, decodeAnswer, encodeCommand } from '../../../src/drivers/atecc608/packet.ts'
import { bytes, hexOf } from './scripted.ts'

const info: Command = { name: 'Info', param1: 0, param2: 0, answer: 4, repeat: 'alone' }

test('the CRC of a wake answer and of two commands is as published', () => {
  assert.equal(crc16(bytes('04 11')), 0x4333)
  assert.equal(crc16(bytes('07 30 00 00 00')), 0x5d03)
  assert.equal(crc16(bytes('07 02 80 00 00')), 0xad09)
  assert.equal(crc16(bytes('04 07')), 0xc240)
})

test('a command is count, opcode, two parameters, data and CRC', () => {
  assert.equal(hexOf(encodeCommand(info)), '0730000000035d')
  const read: Command = { name: 'Read', param1: 0x80, param2: 0, answer: 32, repeat: 'alone' }
  assert.equal(hexOf(encodeCommand(read)), '070280000009ad')
})

test('what does not fit a packet is refused before it is sent', () => {
  const wrong: readonly Partial<Command>[] = [
    { data: new Uint8Array(145) },
    { param1: 256 },
    { param1: -1 },
    { param2: 65_536 },
    { param2: 0.5 },
  ]
  for (const change of wrong) {
    assert.throws(() => encodeCommand({ ...info, ...change }), { code: 'ERR_ELEMENT_ARGUMENT' })
  }
  assert.equal(encodeCommand({ ...info, data: new Uint8Array(144) }).length, 151)
})

test('an answer gives its data', () => {
  assert.equal(hexOf(decodeAnswer(bytes('04 11 33 43')) ?? new Uint8Array()), '11')
})

test('an answer with any bit flipped is no answer', () => {
  const whole = bytes('04 11 33 43')
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = Uint8Array.from(whole)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(decodeAnswer(flipped), undefined, `bit ${bit}`)
  }
})

test('an answer of any other length is no answer', () => {
  const whole = bytes('04 11 33 43')
  for (let length = 0; length < whole.length; length++) {
    assert.equal(decodeAnswer(whole.subarray(0, length)), undefined)
  }
  assert.equal(decodeAnswer(bytes('04 11 33 43 00')), undefined)
  // A count of 3 and its CRC; a count beyond the longest.
  assert.equal(decodeAnswer(bytes('03 0a 80')), undefined)
  assert.equal(decodeAnswer(new Uint8Array(103).fill(103, 0, 1)), undefined)
})
