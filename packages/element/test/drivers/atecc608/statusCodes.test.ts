/** Each status of an ATECC608 on its way from the emulated part through the driver to an error. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isElementError, isRetryable } from '@countersign/core/ports'
import { ecdh } from '../../../src/drivers/atecc608/agree.ts'
import * as basics from '../../../src/drivers/atecc608/basics.ts'
import { failedSelfTests, selfTest } from '../../../src/drivers/atecc608/boot.ts'
import * as keys from '../../../src/drivers/atecc608/keys.ts'
import type { Command } from '../../../src/drivers/atecc608/packet.ts'
import { statusOf } from '../../../src/drivers/atecc608/status.ts'
import { verifyExternal } from '../../../src/drivers/atecc608/verify.ts'
import { readZone } from '../../../src/drivers/atecc608/zones.ts'
import { flipBit } from '../../../src/emulators/atecc608/faults.ts'
import { fixedRandom, memory, type Setup } from '../../emulators/atecc608/packets.ts'
import { onEmulator } from './onEmulator.ts'
import { of } from './recorder.ts'
import { bytes, hexOf } from './scripted.ts'

const setup: Setup = {
  slots: { 0: ['8720', '3300'], 5: ['8020', '1c00'] },
  data: { 0: `00000000${'11'.repeat(32)}`, 5: '55'.repeat(32) },
}

/** The code, and the status that the chip said. */
function said(code: string, status: number): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isElementError(error), String(error))
    assert.deepEqual([error.code, statusOf(error)], [code, status])
    return true
  }
}

test('01: what does not verify is a verdict, and an error where no verdict was asked for', async () => {
  const { chip } = await onEmulator(memory(setup))
  const point = await keys.publicKeyOf(chip, 0)
  const verdict = await chip.sequence(async (line) => {
    await keys.loadNonce(line, of('5a', 32))
    return verifyExternal(line, of('11', 64), point)
  })
  assert.equal(verdict, false)
  const checkMac: Command = {
    name: 'CheckMac',
    param1: 0,
    param2: 5,
    data: new Uint8Array(77),
    answer: 'status',
    repeat: 'alone',
  }
  await assert.rejects(chip.run(checkMac), said('ERR_ELEMENT_VERIFY_FAILED', 0x01))
})

test('03: a mode that the part does not have', async () => {
  const { chip } = await onEmulator(memory(setup))
  const genKeyWithMac: Command = {
    name: 'GenKey',
    param1: 0x20,
    param2: 0,
    answer: 64,
    repeat: 'alone',
  }
  await assert.rejects(chip.run(genKeyWithMac), said('ERR_ELEMENT_PARSE', 0x03))
})

test('05: a point that is not on the curve', async () => {
  const { chip } = await onEmulator(memory(setup))
  await assert.rejects(ecdh(chip, 0, of('d4', 64)), said('ERR_ELEMENT_ECC', 0x05))
})

test('07: a self-test that failed, asked for or at the wake', async () => {
  const { chip } = await onEmulator(memory(setup), { selfTest: () => 0x12 })
  await chip.sequence(async (line) => {
    assert.deepEqual(await selfTest(line, ['rng', 'ecdsa', 'aes']), ['ecdsa', 'aes'])
    assert.deepEqual(await failedSelfTests(line), ['ecdsa', 'aes'])
    await assert.rejects(basics.random(line), said('ERR_ELEMENT_SELFTEST', 0x07))
    assert.equal((await readZone(line, { kind: 'config' }, 0, 4)).length, 4)
  })
  // The wake that begins the next command clears it.
  assert.equal(hexOf(await basics.revision(chip)), '00006002')
  const testsAtWake = { ...setup, config: { 90: '0100' } }
  await assert.rejects(onEmulator(memory(testsAtWake), { selfTest: () => 0x12 }), {
    code: 'ERR_ELEMENT_SELFTEST',
  })
})

test('08: a generator that fails its health test, once', async () => {
  let isHealthy = false
  const random = (length: number) => (isHealthy ? fixedRandom(length) : undefined)
  const { chip, eeprom } = await onEmulator(memory(setup), { random })
  for (const act of [basics.random(chip), keys.createKey(chip, 0)]) {
    await assert.rejects(act, said('ERR_ELEMENT_RNG_HEALTH', 0x08))
  }
  assert.ok(isRetryable('ERR_ELEMENT_RNG_HEALTH'))
  assert.equal(hexOf(eeprom.read(0, 4, 32)), '11'.repeat(32), 'the key that was there is there')
  isHealthy = true
  assert.equal(hexOf(await basics.random(chip)), 'a5'.repeat(32))
})

test('0F: what the rules of the slot forbid', async () => {
  const { chip } = await onEmulator(memory(setup))
  await assert.rejects(
    readZone(chip, { kind: 'data', slot: 5 }, 0, 32),
    said('ERR_ELEMENT_POLICY', 0x0f),
  )
})

const woken = (): Uint8Array => bytes('04 11 33 43')

test('11: the answer to a wake where one to a command should be', async () => {
  const { chip, part } = await onEmulator(memory(setup))
  part.faults.bendReplyTo(1, woken)
  assert.equal(hexOf(await basics.revision(chip)), '00006002', 'what harms nothing is sent again')
  // The reply of the wake by which the driver looks who is there is not counted.
  part.faults.bendReplyTo(1, woken)
  await assert.rejects(basics.incrementCounter(chip, 0), {
    code: 'ERR_ELEMENT_BUS',
    hint: /read the state before/,
  })
})

test('EE: too little time before the watchdog costs a wake and no second effect', async () => {
  const { chip, part, time } = await onEmulator(memory(setup))
  // The machine was busy elsewhere between the wake and the command.
  part.faults.before(1, () => void time.wait(1280))
  assert.equal(await basics.incrementCounter(chip, 0), 1)
  part.faults.before(1, () => void time.wait(1280))
  assert.equal(await basics.incrementCounter(chip, 0), 2)
})

test('EE: for a command that no watchdog of this part leaves time for', async () => {
  // ChipMode 68 is the slowest clock, with which all self-tests may take 2324 ms of 1300.
  const { chip } = await onEmulator(memory({ ...setup, config: { 19: '68' } }))
  await assert.rejects(selfTest(chip), said('ERR_ELEMENT_WATCHDOG', 0xee))
})

test('FF: a command that arrives damaged each time', async () => {
  const { chip, part } = await onEmulator(memory(setup))
  for (const nth of [1, 2, 3]) part.faults.flipCommandBit(nth, 9)
  await assert.rejects(basics.revision(chip), said('ERR_ELEMENT_CRC', 0xff))
  part.faults.bendReplyTo(1, flipBit(9))
  assert.equal(hexOf(await basics.revision(chip)), '00006002')
})
