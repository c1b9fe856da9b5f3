/** Slots whose key is there and of no use any more: what the caller of the port hears. */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import { paperTime } from '../../../src/bus/time.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { isElementError, isRetryable, type SecureElement } from '../../../src/ports.ts'
import { spkiOfPoint } from '../../../src/signer.ts'
import { memory, type Setup } from '../../emulators/atecc608/packets.ts'

const digest = createHash('sha256').update('a reading').digest()

function open(setup: Setup): Promise<SecureElement> {
  const time = paperTime()
  const part = new EmulatedPart(coreOf(memory(setup)), { time })
  return openAtecc608(i2cWire(emulatedI2c([part]), time), time)
}

/** The caller's to solve, not worth another try, and no word that invites to one. */
async function dead(act: Promise<unknown> | undefined, code: string, words: RegExp): Promise<void> {
  await assert.rejects(
    async () => act,
    (error) => {
      assert.ok(isElementError(error) && error instanceof CallerError)
      assert.equal(error.code, code)
      assert.equal(isRetryable(error.code), false)
      assert.match(error.message, words)
      assert.doesNotMatch(`${error.message} ${error.hint}`, /again/i)
      assert.ok((error.hint ?? '').length > 0)
      return true
    },
  )
}

async function signs(element: SecureElement, slot: number): Promise<boolean> {
  const spki = Buffer.from(spkiOfPoint(await element.publicKey(slot)))
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  const signature = await element.sign(slot, digest)
  return verify('sha256', Buffer.from('a reading'), { key, dsaEncoding: 'ieee-p1363' }, signature)
}

/**
 * A7 20, 33 00: secret, LimitedUse, external signatures and ECDH, GenKey; P-256. CountMatch A1: the
 * number of uses stands in slot 10, twice.
 */
function counted(slot10: readonly [string, string], uses: string): Setup {
  return {
    slots: { 0: ['a720', '3300'], 2: ['8720', '3300'], 10: slot10 },
    data: {
      0: `00000000${'11'.repeat(32)}`,
      2: `00000000${'22'.repeat(32)}`,
      10: uses,
    },
    config: { 18: 'a1' },
  }
}

const open10 = ['0000', '1c00'] as const
const noUses = /^slot 0 of the element has no uses left/

test('a key whose uses are used up is at its limit, and the slots beside it serve', async () => {
  const element = await open(counted(open10, '0200000002000000'))
  assert.ok(await signs(element, 0))
  assert.ok(await signs(element, 0))
  for (let tries = 0; tries < 2; tries++) {
    await dead(element.sign(0, digest), 'ERR_ELEMENT_COUNTER_LIMIT', noUses)
  }
  const peer = await element.publicKey(2)
  await dead(element.ecdh?.(0, peer), 'ERR_ELEMENT_COUNTER_LIMIT', noUses)
  assert.equal(await element.counters?.read(0), 2, 'what was refused did not count')
  assert.ok(await signs(element, 2))
})

test('a number of uses that is damaged allows none', async () => {
  const element = await open(counted(open10, '0200000003000000'))
  await dead(element.sign(0, digest), 'ERR_ELEMENT_COUNTER_LIMIT', noUses)
})

test('where the number of uses is not told, its caller hears that it may be', async () => {
  const element = await open(counted(['8080', '1c00'], '0100000001000000'))
  assert.ok(await signs(element, 0))
  await dead(element.sign(0, digest), 'ERR_ELEMENT_POLICY', /uses of its key are counted/)
})

test('a counter at its end is the end of the keys that it counts', async () => {
  const { slots, data } = counted(open10, '00')
  // 2097151 in the cells of Counter0, as the emulated part keeps it.
  const element = await open({
    slots: slots ?? {},
    data: data ?? {},
    config: { 18: '00', 52: '00000001ffffffff' },
  })
  assert.equal(await element.counters?.read(0), 2_097_151)
  await dead(element.sign(0, digest), 'ERR_ELEMENT_COUNTER_LIMIT', noUses)
  await dead(element.counters?.increment(0), 'ERR_ELEMENT_COUNTER_LIMIT', /highest value/)
})

test('a key that is switched off says so, also when it is told that it is not for that', async () => {
  // 33 10: PersistentDisable. VolatileKeyPermission 84: on, by the key of slot 4.
  const element = await open({
    slots: { 0: ['8720', '3310'], 2: ['8120', '3310'], 4: ['8f80', '1c00'] },
    data: { 0: `00000000${'11'.repeat(32)}`, 2: `00000000${'22'.repeat(32)}` },
    config: { 69: '84' },
  })
  const off = /^slot 0 of the element is switched off/
  await dead(element.sign(0, digest), 'ERR_ELEMENT_POLICY', off)
  const peer = await element.publicKey(2)
  await dead(element.ecdh?.(0, peer), 'ERR_ELEMENT_POLICY', off)
  await dead(element.ecdh?.(2, peer), 'ERR_ELEMENT_POLICY', /does not allow this \(agree\)/)
  assert.equal((await element.publicKey(0)).length, 64)
})
