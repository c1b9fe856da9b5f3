/**
 * Damaged, cut and random packets: the chip answers each, and what its CRC refuses changes nothing.
 * Random ones have a right CRC, so that every parser is reached; their seed is fixed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import type { Chip } from '../../../src/emulators/atecc608/chip.ts'
import type { Eeprom } from '../../../src/emulators/atecc608/eeprom.ts'
import { ask, chipOn, crcHex, memory, packet } from './packets.ts'

const numbers32 = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const signed = '41'.repeat(64)

/** One of each command that a part with everything locked understands. */
const commands = [
  '02 82 4000',
  `08 00 0400 ${numbers32}`,
  '12 02 4000 00000000',
  '15 02 0400',
  `16 03 0000 ${numbers32}`,
  '17 a2 0000',
  '1b 00 0000',
  '1c 00 0400',
  '20 00 0100',
  '24 01 0000',
  `28 00 0400 ${numbers32}${numbers32}${'00'.repeat(13)}`,
  '30 00 0000',
  '40 04 0000',
  '41 80 0000',
  `43 0c 0000 ${signed}`,
  `45 02 0400 ${signed}${signed}`,
  `46 40 0000 ${'11'.repeat(36)}${numbers32}`,
  `47 01 4000 ${signed}`,
  '51 00 0600 00112233445566778899aabbccddeeff',
  '56 50 0000 02000001 00',
  '77 3b 0000',
  `80 05 0000 ${numbers32}${signed}`,
]

function device(): Eeprom {
  return memory({
    slots: {
      0: ['8764', '3300'],
      1: ['8220', '3300'],
      4: ['8020', '1c00'],
      6: ['8020', '1800'],
      8: ['0000', '3c00'],
      9: ['0000', '1000'],
    },
    data: { 0: `00000000${'11'.repeat(32)}`, 4: '44'.repeat(32) },
    config: { 70: '0190' },
  })
}

test('every bit flipped in every packet is a communication error and changes nothing', () => {
  for (const text of commands) {
    const { eeprom, chip, whole } = before(text)
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const bent = whole.slice()
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.equal(hex(chip.execute(bent).response), '04ff0142', `${text}, bit ${bit}`)
    }
    assert.deepEqual(eeprom.snapshot(), device().snapshot(), text)
    assert.equal(ask(chip, '30 02 0000'), '10800000', text)
  }
})

test('every packet cut short or with a byte too many is one too', () => {
  for (const text of commands) {
    const { eeprom, chip, whole } = before(text)
    for (let length = 0; length < whole.length; length++) {
      assert.equal(hex(chip.execute(whole.subarray(0, length)).response), '04ff0142', text)
    }
    assert.equal(hex(chip.execute(Uint8Array.of(...whole, 0)).response), '04ff0142', text)
    assert.deepEqual(eeprom.snapshot(), device().snapshot(), text)
  }
})

test('a packet of another length, with its CRC right, is not understood', () => {
  for (const text of commands) {
    const inner = text.replaceAll(' ', '')
    for (const bent of [`${inner}00`, inner.length > 8 ? inner.slice(0, -2) : `${inner}ff`]) {
      const { chip, eeprom } = before(text)
      assert.equal(ask(chip, bent), '03', bent)
      assert.deepEqual(eeprom.snapshot(), device().snapshot(), bent)
    }
  }
})

test('random packets with a right CRC are all answered', () => {
  let state = 0x608a
  const below = (limit: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
  const opcodes = commands.map((text) => text.slice(0, 2))
  const lengths = [0, 3, 4, 20, 32, 36, 37, 40, 63, 64, 68, 77, 83, 96, 128]
  const modes = [0, 1, 2, 3, 4, 8, 0x0c, 0x10, 0x20, 0x40, 0x43, 0x80, 0x82, 0xa0, 0xc2]
  for (const locks of ['none', 'config', 'both'] as const) {
    const eeprom = memory({ locks })
    const chip = chipOn(eeprom)
    for (let round = 0; round < 4000; round++) {
      const opcode = opcodes[below(opcodes.length)] ?? ''
      const mode = below(4) === 0 ? below(256) : (modes[below(modes.length)] ?? 0)
      const low = below(3) === 0 ? below(256) : below(16)
      const high = below(3) === 0 ? below(256) : 0
      const length = lengths[below(lengths.length)] ?? 0
      const data = Uint8Array.from({ length }, () => below(256))
      const text = `${opcode}${hex(Uint8Array.of(mode, low, high))}${hex(data)}`
      checkResponse(chip, text)
    }
  }
})

function before(text: string): { eeprom: Eeprom; chip: Chip; whole: Uint8Array } {
  const eeprom = device()
  const chip = chipOn(eeprom)
  assert.equal(ask(chip, `16 03 0000 ${numbers32}`), '00')
  return { eeprom, chip, whole: packet(text) }
}

function checkResponse(chip: Chip, text: string): void {
  const { response, executionMs } = chip.execute(packet(text))
  assert.equal(response[0], response.length, text)
  assert.ok(response.length >= 4, text)
  assert.equal(hex(response.subarray(-2)), crcHex(response.subarray(0, -2)), text)
  assert.ok(executionMs > 0, text)
}
