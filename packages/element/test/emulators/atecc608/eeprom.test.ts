/** The memory of an emulated chip: its snapshot, which is parsed strictly, and power cuts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { isElementError } from '@countersign/core/ports'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { type EepromSnapshot, parseEepromSnapshot } from '../../../src/emulators/atecc608/eeprom.ts'
import { ask, blank, chipOn, memory, serialHex } from './packets.ts'

test('a snapshot through JSON is the same memory', () => {
  const eeprom = memory({ data: { 8: 'c3'.repeat(416), 0: '01'.repeat(36) } })
  const text = JSON.stringify(eeprom.snapshot())
  assert.deepEqual(parseEepromSnapshot(JSON.parse(text)).snapshot(), eeprom.snapshot())
})

test('anything else than a snapshot is refused, and the field named', () => {
  const good = blank().snapshot()
  const slots = (slot: number, value: unknown): readonly unknown[] =>
    good.slots.with(slot, String(value))
  const rows: readonly [where: string, value: unknown][] = [
    ['the snapshot', null],
    ['the snapshot', []],
    ['the snapshot', 'x'],
    ['the field more', { ...good, more: 1 }],
    ['version', { ...good, version: 2 }],
    ['version', { ...good, version: '1' }],
    ['kind', { ...good, kind: 'atecc508-eeprom' }],
    ['config', { ...good, config: good.config.slice(2) }],
    ['config', { ...good, config: `${good.config}00` }],
    ['config', { ...good, config: good.config.replace('ee', 'EE') }],
    ['config', { ...good, config: `zz${good.config.slice(2)}` }],
    ['config', without(good, 'config')],
    ['otp', { ...good, otp: 7 }],
    ['otp', without(good, 'otp')],
    ['slots', { ...good, slots: good.slots.slice(1) }],
    ['slots', { ...good, slots: [...good.slots, ''] }],
    ['slots', { ...good, slots: {} }],
    ['slots[3]', { ...good, slots: slots(3, 'ff'.repeat(35)) }],
    ['slots[8]', { ...good, slots: slots(8, 'ff'.repeat(72)) }],
    ['slots[15]', { ...good, slots: slots(15, 'f'.repeat(143)) }],
  ]
  for (const [where, value] of rows) {
    assert.throws(
      () => parseEepromSnapshot(value),
      (error: unknown) =>
        isElementError(error) && error.code === 'ERR_ELEMENT_DAMAGED' && error.where === where,
      where,
    )
  }
})

test('a blank part has the factory configuration, for either bus', () => {
  const swi = blankEeprom({ serial: fromHex(serialHex), revision: 3, swi: true })
  assert.equal(hex(swi.read('config', 0, 20)), '012345670000600389abcdefee013800c0000000')
  const moved = blankEeprom({ serial: fromHex(serialHex), revision: 2, i2cAddress: 0x35 })
  assert.equal(moved.byte('config', 16), 0x6a)
  assert.equal(
    hex(blank().read('config', 20, 108)),
    '832087208f20c48f8f8f8f8f9f8faf8f0000000000000000000000000000af8f' +
      'ffffffff00000000ffffffff00000000' +
      '000000000000000000000000000000000000' +
      '5555ffff000000000000' +
      '3300330033001c001c001c001c001c003c003c003c003c003c003c003c001c00',
  )
  assert.throws(() => blankEeprom({ serial: fromHex('0123'), revision: 2 }), RangeError)
})

test('a power cut before a write comes out of execute and leaves the memory as it was', () => {
  const eeprom = memory({
    slots: { 0: ['a720', '3300'] },
    data: { 0: `00000000${'11'.repeat(32)}` },
  })
  const chip = chipOn(eeprom)
  const seen: string[] = []
  const start = eeprom.snapshot()
  eeprom.onWrite = (region, offset, bytes) => {
    seen.push(`${region}+${offset}: ${hex(bytes)}`)
    throw new Error('the power is gone')
  }
  assert.throws(() => ask(chip, '40 04 0000'), /the power is gone/)
  assert.throws(() => ask(chip, '24 01 0100'), /the power is gone/)
  ask(chip, `16 03 0000 ${'00'.repeat(32)}`)
  assert.throws(() => ask(chip, '41 80 0000'), /the power is gone/)
  assert.deepEqual(seen, [
    `0+0: 00000000${'a5'.repeat(32)}`,
    'config+60: 7fffffff00000000',
    'config+52: 7fffffff00000000',
  ])
  assert.deepEqual(eeprom.snapshot(), start)
})

test('cells that are not there are a programming error', () => {
  const eeprom = blank()
  assert.throws(() => eeprom.read(16, 0, 1), RangeError)
  assert.throws(() => eeprom.read('otp', 60, 8), RangeError)
  assert.throws(() => eeprom.write(0, 36, Uint8Array.of(1)), RangeError)
  assert.throws(() => eeprom.byte('config', 128), RangeError)
})

function without(snapshot: EepromSnapshot, name: keyof EepromSnapshot): unknown {
  return Object.fromEntries(Object.entries(snapshot).filter(([field]) => field !== name))
}
