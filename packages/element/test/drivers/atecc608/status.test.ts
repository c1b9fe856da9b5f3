import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AnswerShape, Command } from '../../../src/drivers/atecc608/packet.ts'
import { readAnswer, readWakeAnswer, statusError } from '../../../src/drivers/atecc608/status.ts'
import { bytes, hexOf } from './scripted.ts'

const meanings: readonly (readonly [number, string])[] = [
  [0x01, 'ERR_ELEMENT_VERIFY_FAILED'],
  [0x03, 'ERR_ELEMENT_PARSE'],
  [0x05, 'ERR_ELEMENT_ECC'],
  [0x07, 'ERR_ELEMENT_SELFTEST'],
  [0x08, 'ERR_ELEMENT_RNG_HEALTH'],
  [0x0f, 'ERR_ELEMENT_POLICY'],
  [0x11, 'ERR_ELEMENT_BUS'],
  [0xee, 'ERR_ELEMENT_WATCHDOG'],
  [0xff, 'ERR_ELEMENT_CRC'],
]

test('each status has its error, and any other byte is not understood', () => {
  const known = new Map(meanings)
  for (let byte = 0; byte <= 0xff; byte++) {
    const error = statusError('Sign', byte)
    assert.equal(error.code, known.get(byte) ?? 'ERR_ELEMENT_PARSE', `status ${byte}`)
    assert.deepEqual(error.details, { command: 'Sign', status: byte })
  }
})

function command(answer: AnswerShape): Command {
  return { name: 'Verify', param1: 0x21, param2: 0, answer, repeat: 'alone' }
}

test('a status in the place of data is never data', () => {
  for (let byte = 0; byte <= 0xff; byte++) {
    assert.throws(() => readAnswer(command(64), Uint8Array.of(byte)))
    assert.throws(() => readAnswer(command({ lengthMax: 99 }), Uint8Array.of(byte)))
  }
})

test('data in the place of a status, and data of another length, are refused', () => {
  for (const shape of ['status', 'verdict', 'map', 32] as const) {
    assert.throws(() => readAnswer(command(shape), new Uint8Array(31)), {
      code: 'ERR_ELEMENT_PARSE',
    })
  }
  assert.throws(() => readAnswer(command({ lengthMax: 3 }), new Uint8Array(4)))
})

test('each shape takes its own bytes', () => {
  assert.equal(hexOf(readAnswer(command('status'), bytes('00'))), '')
  assert.equal(hexOf(readAnswer(command('verdict'), bytes('01'))), '01')
  assert.equal(hexOf(readAnswer(command('map'), bytes('21'))), '21')
  assert.throws(() => readAnswer(command('map'), bytes('22')))
  const either = command({ length: 2, orStatus: 1 })
  assert.equal(hexOf(readAnswer(either, bytes('01'))), '01')
  assert.equal(hexOf(readAnswer(either, bytes('aabb'))), 'aabb')
  assert.throws(() => readAnswer(either, bytes('00')), { code: 'ERR_ELEMENT_PARSE' })
})

test('a wake answer is told from silence, damage and the words of someone else', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['04 11 33 43', 'awake'],
    ['', 'silent'],
    ['04 11 33 42', 'damaged'],
    ['04 07 40 c2', 'selftest'],
    ['04 07 c4 40', 'selftest'],
    ['ff ff ff ff', 'foreign'],
    // A status of success, and the begin of 32 bytes.
    ['04 00 03 40', 'foreign'],
    ['23 a7 a7 a7', 'foreign'],
    ['04 11 33', 'foreign'],
  ]
  for (const [said, meaning] of cases) assert.equal(readWakeAnswer(bytes(said)), meaning, said)
})
