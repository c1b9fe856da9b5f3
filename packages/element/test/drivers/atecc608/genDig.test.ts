/**
 * GenDig from the driver to the emulated ATECC608, zone by zone. TempKey is never shown, so a Nonce
 * over it shows its digest; the layouts are written out from the public descriptions.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { gpio, incrementCounter } from '../../../src/drivers/atecc608/basics.ts'
import * as keys from '../../../src/drivers/atecc608/keys.ts'
import { type GenDigZone, genDig } from '../../../src/drivers/atecc608/macs.ts'
import { swiWire } from '../../../src/drivers/atecc608/swiWire.ts'
import { openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { paperTime } from '../../../src/bus/time.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { emulatedSwi } from '../../../src/emulators/atecc608/swiEndpoint.ts'
import { memory, type Setup } from '../../emulators/atecc608/packets.ts'
import { onEmulator } from './onEmulator.ts'
import { of } from './recorder.ts'
import { bytes, hexOf } from './scripted.ts'

const setup: Setup = {
  slots: { 4: ['8f80', '1c00'], 7: ['9f80', '1c00'] },
  data: { 4: '44'.repeat(32), 7: '77'.repeat(32) },
}
const nonce = '5a'.repeat(32)
const zeros = (count: number): string => '00'.repeat(count)
/** SN[8], SN[0:1]. */
const mark = 'ee 0123'
const shared = 'd2'.repeat(32)
const input = of('21', 20)

type Case = readonly [
  what: string,
  zone: GenDigZone,
  number: number,
  other: string,
  message: string,
]

const cases: readonly Case[] = [
  ['a slot', 'slot', 4, '', `${'44'.repeat(32)} 15020400 ${mark} ${zeros(25)} ${nonce}`],
  [
    'a slot with NoMac: the host says opcode and parameters',
    'slot',
    7,
    '08010700',
    `${'77'.repeat(32)} 08010700 ${mark} ${zeros(25)} ${nonce}`,
  ],
  ['the one-time zone', 'otp', 1, '', `${'ff'.repeat(32)} 15010100 ${mark} ${zeros(25)} ${nonce}`],
  [
    'a shared nonce: what comes along first',
    'sharedNonce',
    0,
    shared,
    `${shared} 15030000 ${mark} ${zeros(25)} ${nonce}`,
  ],
  [
    'a shared nonce: TempKey first',
    'sharedNonce',
    0x8000,
    shared,
    `${nonce} 15030000 ${mark} ${zeros(25)} ${shared}`,
  ],
  [
    'a counter',
    'counter',
    1,
    '',
    `${zeros(32)} 15040100 ${mark} 00 02000000 ${zeros(20)} ${nonce}`,
  ],
  [
    'the rules of a slot',
    'keyConfig',
    4,
    '',
    `${zeros(32)} 15050400 ${mark} 00 8f80 1c00 01 ${zeros(19)} ${nonce}`,
  ],
]

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  createHash('sha256').update(Buffer.concat(parts)).digest()

test('GenDig of each zone', async () => {
  const { chip, eeprom } = await onEmulator(memory(setup))
  await incrementCounter(chip, 1)
  await incrementCounter(chip, 1)
  const config = hexOf(eeprom.read('config', 32, 32))
  const block: Case = [
    'the configuration',
    'config',
    1,
    '',
    `${config} 15000100 ${mark} ${zeros(25)} ${nonce}`,
  ]
  for (const [what, zone, number, other, message] of [...cases, block]) {
    const shown = await chip.sequence(async (line) => {
      await keys.loadNonce(line, bytes(nonce))
      await genDig(line, zone, number, bytes(other))
      return keys.randomNonce(line, input, { fromTempKey: true })
    })
    const tempKey = sha256(bytes(message))
    assert.equal(hexOf(shown), hexOf(sha256(tempKey, input, bytes('160000'))), what)
  }
})

test('the pin of a part on the single wire is set and read', async () => {
  const time = paperTime()
  const part = new EmulatedPart(coreOf(memory({ config: { 14: '38' } })), { time })
  const chip = await openChipSession(swiWire(emulatedSwi(part, time), time), time)
  assert.equal(hexOf(await gpio(chip)), '00000000')
  assert.equal(hexOf(await gpio(chip, true)), '01000000')
  assert.equal(hexOf(await gpio(chip)), '01000000')
  assert.equal(hexOf(await gpio(chip, false)), '00000000')
  const { chip: onI2c } = await onEmulator(memory({}))
  await assert.rejects(gpio(onI2c, true), { code: 'ERR_ELEMENT_POLICY' })
})
