/**
 * Fuzzes the emulated ATECC608 with sequences of commands: every input is a lock state and a row of
 * packets, whose count and CRC are made right here, so that the commands behind them are reached.
 * Promised: an answer to each with its own count and CRC right; and what is locked stays locked and
 * equal. `node fuzz/atecc608.ts --seconds N --seed S`
 */
import { fromHex, hex } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import { Chip } from '../packages/element/src/emulators/atecc608/chip.ts'
import type { Eeprom } from '../packages/element/src/emulators/atecc608/eeprom.ts'
import {
  crcHex,
  fixedRandom,
  memory,
  packet,
} from '../packages/element/test/emulators/atecc608/packets.ts'
import { fuzz } from './fuzz.ts'

const packetsMax = 12
const lockStates = ['none', 'config', 'both'] as const

const numbers = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const point =
  '51a7580833898ea1b183cbd7350a4099078c6ef1c1e18e970cd7683035f25e7d' +
  '0110522712b0b5a7cff081685486984a94e6831edac46e7360fa9d834a7a81a1'
const fixedNonce = `16030000${numbers}`
const randomNonce = `16000000${'00'.repeat(20)}`

/** Sequences that lead somewhere, as hex of opcode, mode, param2 and data. */
const sequences: readonly (readonly [state: number, ...packets: string[]])[] = [
  [0, '12000500832033ff', `12800800${numbers}`, '17800000', '40040000', '17810000', '40000000'],
  [1, `4600020000000000${'33'.repeat(32)}${numbers}`, '12024000ffffffff', '17810000', '17a20000'],
  [2, fixedNonce, '40080000', '41400100', '30020000', '30010200'],
  [2, fixedNonce, '41800000', `16430000${numbers}`, '41a00000', '24010000', '24000100'],
  [2, fixedNonce, `45020400${point}${point}`, `430c0000${point}`, `43080000${point}`, '51000500'],
  [2, '4004ffff', `430d0000${point}`, `43040000${point}`, '17968000', '20000100', '20020000'],
  [2, randomNonce, '15020400', '02822800', randomNonce, '15020400', `12c22800${numbers}${numbers}`],
  [2, randomNonce, '15020400', `46400000${'11'.repeat(36)}${numbers}`, '1c000500', '1b000000'],
  [2, '47000000', `47014000${point}`, '47060000', '47c20300616263', '47040400', '47020000'],
  [2, `08000400${numbers}`, randomNonce, `28010400${numbers}${numbers}${'00'.repeat(13)}`],
  [2, fixedNonce, '56500000020000050102030405', '56480005020000050102030405', '5110ffff'],
  [2, `80050000${numbers}${point}`, `80070000${numbers}${point}`, '773b0000', '30040300'],
  [2, fixedNonce, '15000000', '15040100', `15030000${numbers}`, '40100900010203', '02810000'],
]

const corpus = sequences.map(([state, ...packets]) =>
  Uint8Array.of(state, ...packets.flatMap((text) => [text.length / 2, ...fromHex(text)])),
)

fuzz('atecc608', corpus, (input) => {
  const eeprom = device(input[0] ?? 0)
  const chip = new Chip(eeprom, { random: fixedRandom })
  let understood = false
  for (const inner of packetsOf(input)) {
    const before = lockedPart(eeprom)
    const { response } = chip.execute(packet(hex(inner)))
    checkAnswer(response)
    checkLocked(before, lockedPart(eeprom))
    if (response[1] !== 0x03 && response[1] !== 0xff) understood = true
  }
  if (!understood) throw new PeerError('ERR_FUZZ', 'not one packet was understood')
})

function device(state: number): Eeprom {
  return memory({
    locks: lockStates[state % 3] ?? 'both',
    slots: {
      0: ['8f64', '3300'],
      1: ['8220', '3300'],
      4: ['8020', '1c00'],
      5: ['c464', '3c00'],
      8: ['0000', '3c00'],
      9: ['0a10', '1200'],
      10: ['0000', '1000'],
    },
    data: { 0: `00000000${'11'.repeat(32)}`, 1: `00000000${'22'.repeat(32)}`, 4: numbers },
    config: { 18: '80', 69: '84', 70: '03ba', 90: '0640' },
    slotLocks: [8],
  })
}

/** A byte of length, then so many of opcode, mode, param2 and data. */
function* packetsOf(input: Uint8Array): Generator<Uint8Array> {
  for (let at = 1, count = 0; at < input.length && count < packetsMax; count++) {
    const length = Math.min(input[at] ?? 0, 148)
    yield input.subarray(at + 1, at + 1 + length)
    at += 1 + length
  }
}

function checkAnswer(response: Uint8Array): void {
  const crc = hex(response.subarray(-2))
  if (response.length < 4 || response[0] !== response.length) throw new Error('a wrong count')
  if (crc !== crcHex(response.subarray(0, -2))) throw new Error('a wrong CRC')
}

interface LockedPart {
  readonly config: Uint8Array
  readonly configLocked: boolean
  readonly dataLocked: boolean
  readonly slots: readonly (string | undefined)[]
}

/** Bytes of the configuration that nothing may change, and the slots that are locked. */
function lockedPart(eeprom: Eeprom): LockedPart {
  const config = eeprom.read('config', 0, 128)
  return {
    config,
    configLocked: config[87] === 0,
    dataLocked: config[86] === 0,
    slots: eeprom.snapshot().slots.map((text, slot) => {
      const isLocked = ((config[88 + (slot >> 3)] ?? 0) & (1 << (slot & 7))) === 0
      return isLocked ? text : undefined
    }),
  }
}

/** Of a locked configuration only these change: counters, lock bytes, the two of UpdateExtra. */
function mayChange(offset: number): boolean {
  return (offset >= 52 && offset < 68) || (offset >= 84 && offset < 90)
}

function checkLocked(before: LockedPart, after: LockedPart): void {
  if (before.configLocked && !after.configLocked) throw new Error('the configuration was unlocked')
  if (before.dataLocked && !after.dataLocked) throw new Error('the data was unlocked')
  for (const [offset, byte] of before.config.entries()) {
    const fixed = offset < 16 || (before.configLocked && !mayChange(offset))
    if (fixed && after.config[offset] !== byte) throw new Error(`byte ${offset} was changed`)
  }
  for (const [slot, text] of before.slots.entries()) {
    if (text !== undefined && after.slots[slot] !== text)
      throw new Error(`slot ${slot} was changed`)
  }
}
