/**
 * A part that fails: its self-tests (07), the health test of its generator (08), and too little time
 * before the watchdog (EE). Whole replies where the CRC is in the reference.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import { Chip } from '../../../src/emulators/atecc608/chip.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { type Core, EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { ask, blank, fixedRandom, memory, packet } from './packets.ts'
import { ManualTime } from './support.ts'

/** ECDSA and AES, as bits of SelfTest's mode. */
const broken = 0x12

test('a failed self-test leaves SelfTest and reads of the configuration', () => {
  let failing = broken
  const chip = new Chip(memory({ slots: { 8: ['0000', '1c00'] } }), {
    random: fixedRandom,
    selfTest: () => failing,
  })
  assert.equal(ask(chip, '77 29 0000'), '00', 'what was not asked for is not tested')
  assert.equal(ask(chip, '30 00 0000'), '00006002')
  assert.equal(ask(chip, '77 3b 0000'), '12')
  for (const command of ['30 00 0000', '1b 00 0000', '02 82 4000', '02 80 2000', '40 04 0000']) {
    const expected = command.startsWith('02 80') ? '03' : '07'
    assert.equal(ask(chip, command), expected, command)
  }
  assert.equal(ask(chip, '02 00 0000'), '01234567')
  assert.equal(ask(chip, '77 00 0000'), '12', 'which failed')
  failing = 0x10
  assert.equal(ask(chip, '77 02 0000'), '00')
  assert.equal(ask(chip, '30 00 0000'), '07', 'AES is still failed')
  failing = 0
  assert.equal(ask(chip, '77 10 0000'), '00')
  assert.equal(ask(chip, '30 00 0000'), '00006002')
})

test('a wake clears the failure, unless the part tests itself then', () => {
  const options = { random: fixedRandom, selfTest: () => broken }
  const chip = new Chip(memory({}), options)
  ask(chip, '77 3b 0000')
  assert.equal(hex(chip.wake()), '04113343')
  assert.equal(ask(chip, '30 00 0000'), '00006002')
  const silent = new Chip(memory({ config: { 90: 'feff' } }), options)
  assert.equal(hex(silent.wake()), '04113343', 'every bit of ChipOptions but that one')
  const testing = new Chip(memory({ config: { 90: '0100' } }), options)
  assert.equal(hex(testing.wake()), '040740c2')
  assert.equal(ask(testing, '30 00 0000'), '07')
})

test('a generator that fails its health test is answered 08, and what it did is undone', () => {
  let healthy = false
  const eeprom = memory({
    slots: { 0: ['8720', '3300'] },
    data: { 0: `00000000${'11'.repeat(32)}` },
  })
  const chip = new Chip(eeprom, { random: (length) => (healthy ? fixedRandom(length) : undefined) })
  assert.equal(ask(chip, '1b 00 0000'), '08')
  assert.equal(ask(chip, `16 00 0000 ${'00'.repeat(20)}`), '08')
  assert.equal(ask(chip, '40 04 0000'), '08')
  assert.equal(hex(eeprom.read(0, 4, 32)), '11'.repeat(32))
  ask(chip, `16 03 0000 ${'00'.repeat(32)}`)
  assert.equal(ask(chip, '41 80 0000'), '08')
  healthy = true
  assert.equal(ask(chip, '1b 00 0000'), 'a5'.repeat(32), 'the next time it may be well')
  const open = new Chip(blank(), { random: () => undefined })
  assert.equal(ask(open, '1b 00 0000'), 'ffff0000'.repeat(8), 'an open part draws nothing')
})

/** What is said at this time after the wake. */
function replyAt(core: Core, milliseconds: number, command: string): string {
  const time = new ManualTime()
  const part = new EmulatedPart(core, { time })
  part.wake()
  time.pass(milliseconds)
  part.run(packet(command))
  return hex(part.reply)
}

test('a command that may need more time than the watchdog leaves is not carried out', () => {
  const eeprom = memory({})
  const core = coreOf(eeprom)
  const counting = '24 01 0000'
  // Counter takes up to 25 ms of 1300.
  assert.equal(replyAt(core, 1276, counting).slice(2, 4), 'ee')
  assert.equal(replyAt(core, 1275, counting).slice(2, 10), '01000000')
  assert.equal(replyAt(core, 1276, '30 00 0000').slice(2, 10), '00006002', 'Info has the time')
  assert.equal(hex(eeprom.read('config', 52, 2)), '7fff', 'counted once')
  // Mode bit 2 of ChipMode: 13 s.
  const long = coreOf(memory({ config: { 19: '04' } }))
  assert.equal(replyAt(long, 12_975, counting).slice(2, 10), '01000000')
  assert.equal(replyAt(long, 12_976, counting).slice(2, 4), 'ee')
})

test('a damaged packet is told before the time is looked at', () => {
  const time = new ManualTime()
  const part = new EmulatedPart(coreOf(memory({})), { time })
  part.wake()
  time.pass(1299)
  part.run(Uint8Array.from([7, 0x24, 1, 0, 0, 0, 0]))
  assert.equal(hex(part.reply), '04ff0142')
})
