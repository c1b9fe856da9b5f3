/**
 * Rules of an ATECC608 that take several commands, from the driver to the emulated part: validated
 * public keys, the latch of volatile keys, keys of limited use, secrets that are wrong. Signatures
 * and digests by OpenSSL (through Node).
 */
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import * as basics from '../../../src/drivers/atecc608/basics.ts'
import { decrementUses, writeExtra } from '../../../src/drivers/atecc608/boot.ts'
import { deriveKeyMac } from '../../../src/drivers/atecc608/hostMath.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import * as keys from '../../../src/drivers/atecc608/keys.ts'
import * as macs from '../../../src/drivers/atecc608/macs.ts'
import * as secured from '../../../src/drivers/atecc608/secured.ts'
import { type CommandLine, openChipSession } from '../../../src/drivers/atecc608/session.ts'
import * as verifying from '../../../src/drivers/atecc608/verify.ts'
import { writeZone } from '../../../src/drivers/atecc608/zones.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { pointOfSpki } from '../../../src/signer.ts'
import { memory, type Setup } from '../../emulators/atecc608/packets.ts'
import { type OnEmulator, onEmulator } from './onEmulator.ts'
import { of } from './recorder.ts'
import { bytes, hexOf } from './scripted.ts'

const serial = bytes('0123456789abcdefee')
const refused = { code: 'ERR_ELEMENT_POLICY' }
const hostNonce = of('21', 20)
const nonce = of('5a', 32)

function pair() {
  const made = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    point: pointOfSpki(made.publicKey.export({ type: 'spki', format: 'der' })),
    sign: (message: Uint8Array): Uint8Array =>
      sign('sha256', message, { key: made.privateKey, dsaEncoding: 'ieee-p1363' }),
  }
}

/** As a public key stands in its slot: 4 bytes, X, 4 bytes, Y. */
function stored(point: Uint8Array): string {
  return `00000000${hexOf(point.subarray(0, 32))}00000000${hexOf(point.subarray(32))}`
}

const [parent, child] = [pair(), pair()]

/** Slot 14 as TrustFLEX parts have it: valid by a signature of slot 13, written while it is not. */
const validated: Setup = {
  slots: { 13: ['0f0f', '3000'], 14: ['0d1f', '1200'] },
  data: { 13: stored(parent.point), 14: stored(child.point) },
}

/**
 * The 19 bytes of the signer that the chip does not know: mode, its slot, rules of the slot with the
 * key, flags of TempKey, SN[4:8], SN[2:4], lock, Invalidate, zero.
 */
function otherData(invalidate: boolean): Uint8Array {
  const mark = invalidate ? '01' : '00'
  return bytes(`${mark} 0100 0d1f 1200 5e 0000 00000000 0000 01 ${mark} 00`)
}

/** What GenKey makes of nonce and key, and what an internal signature over that is over. */
function signedByParent(invalidate: boolean): Uint8Array {
  const tempKey = createHash('sha256')
    .update(nonce)
    .update(bytes('40 10 0e00 ee 0123'))
    .update(new Uint8Array(25))
    .update(child.point)
    .digest()
  const other = otherData(invalidate)
  const message = Buffer.concat([
    tempKey,
    bytes('41'),
    other.subarray(0, 10),
    bytes('ee'),
    other.subarray(10, 14),
    bytes('0123'),
    other.subarray(14),
  ])
  assert.equal(message.length, 55)
  return parent.sign(message)
}

/** Nonce and the digest of the key in slot 14, and then `act`. */
async function overItsDigest<T>(
  { chip }: OnEmulator,
  act: (line: CommandLine) => Promise<T>,
): Promise<T> {
  return chip.sequence(async (line) => {
    await keys.loadNonce(line, nonce)
    await keys.digestPublicSlot(line, 14, bytes('10 0e 00'))
    return act(line)
  })
}

test('a stored public key is validated by its parent, serves, and is invalidated again', async () => {
  const on = await onEmulator(memory(validated))
  const message = Buffer.from('what the child signed')
  const useKey = (): Promise<boolean> =>
    on.chip.sequence(async (line) => {
      await keys.loadNonce(line, createHash('sha256').update(message).digest())
      return verifying.verifyStored(line, 14, child.sign(message))
    })
  const write = () => writeZone(on.chip, { kind: 'data', slot: 14 }, 4, of('77', 4))

  assert.equal(await basics.keyValid(on.chip, 14), false)
  await assert.rejects(useKey(), refused)
  const [good, bad] = [signedByParent(false), child.sign(message)]
  const validate = (signature: Uint8Array) =>
    overItsDigest(on, (line) => verifying.validateKey(line, 14, signature, otherData(false)))
  assert.equal(await validate(bad), false)
  await assert.rejects(useKey(), refused)
  assert.equal(await validate(good), true)
  assert.equal(hexOf(on.eeprom.read(14, 0, 1)), '50')
  assert.equal(await basics.keyValid(on.chip, 14), true)
  assert.equal(await useKey(), true)
  await assert.rejects(write(), refused, 'a validated key is not written')

  const wrongAct = overItsDigest(on, (line) =>
    verifying.invalidateKey(line, 14, good, otherData(false)),
  )
  await assert.rejects(wrongAct, refused, 'the signer said validate')
  const invalidated = await overItsDigest(on, (line) =>
    verifying.invalidateKey(line, 14, signedByParent(true), otherData(true)),
  )
  assert.equal(invalidated, true)
  assert.equal(hexOf(on.eeprom.read(14, 0, 1)), 'a0')
  await assert.rejects(useKey(), refused)
  await write()
})

test('a validation over another nonce, or of a host that loaded the digest itself, is refused', async () => {
  const on = await onEmulator(memory(validated))
  const verdict = await on.chip.sequence(async (line) => {
    await keys.loadNonce(line, of('5b', 32))
    await keys.digestPublicSlot(line, 14, bytes('10 0e 00'))
    return verifying.validateKey(line, 14, signedByParent(false), otherData(false))
  })
  assert.equal(verdict, false)
  const forged = on.chip.sequence(async (line) => {
    await keys.loadNonce(line, nonce)
    return verifying.validateKey(line, 14, signedByParent(false), otherData(false))
  })
  await assert.rejects(forged, refused)
  const external = on.chip.sequence(async (line) => {
    await keys.loadNonce(line, nonce)
    return verifying.validateExternal(line, 14, child.sign(nonce))
  })
  await assert.rejects(external, { code: 'ERR_ELEMENT_PARSE' }, 'not there, and said so')
})

/** Slot 0 waits for the latch, which the key of slot 4 sets. */
const volatile: Setup = {
  slots: { 0: ['8720', '3310'], 4: ['8f80', '1c00'] },
  data: { 0: `00000000${'11'.repeat(32)}`, 4: '44'.repeat(32) },
  config: { 69: '84' },
}

async function signs({ chip }: OnEmulator, slot = 0): Promise<Uint8Array> {
  return chip.sequence(async (line) => {
    await keys.loadNonce(line, nonce)
    return keys.signExternal(line, slot)
  })
}

/** CheckMac over a nonce of the chip: who can make the response knows the key. */
async function showKey(line: CommandLine, slot: number, key: Uint8Array): Promise<boolean> {
  const randOut = await keys.randomNonce(line, hostNonce)
  const tempKey = createHash('sha256').update(randOut).update(hostNonce).update(bytes('160000'))
  const other = bytes('08 01 0400 000000 00000000 0000')
  const response = createHash('sha256')
    .update(key)
    .update(tempKey.digest())
    .update(other.subarray(0, 4))
    .update(new Uint8Array(8))
    .update(other.subarray(4, 7))
    .update(bytes('ee 00000000 0123 0000'))
    .digest()
  const challenge = new Uint8Array(32)
  return macs.checkMac(line, { mode: 1, slot, challenge, response, other })
}

test('a password that was shown releases the key above it into TempKey, where ReadKey is 0', async () => {
  const above = '6b'.repeat(32)
  const macOfReleased = async (slot4: string): Promise<string> => {
    const { chip } = await onEmulator(
      memory({
        slots: { 4: [slot4, '1c00'], 5: ['8080', '1c00'] },
        data: { 4: '44'.repeat(32), 5: above },
      }),
    )
    const answer = await chip.sequence(async (line) => {
      assert.equal(await showKey(line, 4, of('44', 32)), true)
      // Mode 6: TempKey, as a host gave it, stands where the key would.
      return macs.mac(line, 0x06, 0, nonce)
    })
    return hexOf(answer)
  }
  // 88 bytes: key, challenge, 08 06 and the slot, 11 zeros, SN[8], 4 zeros, SN[0:1], 2 zeros.
  const message = `${above} ${hexOf(nonce)} 08060000 ${'00'.repeat(11)} ee 00000000 0123 0000`
  const expected = createHash('sha256').update(bytes(message)).digest('hex')
  assert.equal(await macOfReleased('8080'), expected)
  await assert.rejects(macOfReleased('8f80'), refused)
})

test('a volatile key serves once its permission was given, until it is taken or the power goes', async () => {
  const on = await onEmulator(memory(volatile))
  await assert.rejects(signs(on), refused)
  await assert.rejects(basics.volatileKeyPermit(on.chip, true), refused, 'nobody showed the key')
  const wrong = on.chip.sequence(async (line) => {
    assert.equal(await showKey(line, 4, of('45', 32)), false)
    return basics.volatileKeyPermit(line, true)
  })
  await assert.rejects(wrong, refused)
  await on.chip.sequence(async (line) => {
    assert.equal(await showKey(line, 4, of('44', 32)), true)
    assert.equal(hexOf(await basics.volatileKeyPermit(line, true)), '00000000', 'written')
  })
  assert.equal(hexOf(await basics.volatileKeyPermit(on.chip)), '01000000')
  on.part.sleep()
  assert.equal((await signs(on)).length, 64)
  on.powerCycle()
  await assert.rejects(signs(on), refused)
  assert.equal(hexOf(await basics.volatileKeyPermit(on.chip)), '00000000')
  await on.chip.sequence(async (line) => {
    await showKey(line, 4, of('44', 32))
    await basics.volatileKeyPermit(line, true)
  })
  await basics.volatileKeyPermit(on.chip, false)
  await assert.rejects(signs(on), refused)
})

test('a key of limited use is used as often as CountMatch says, and no more after a power cycle', async () => {
  const on = await onEmulator(
    memory({
      slots: { 0: ['a720', '3300'], 2: ['8720', '3300'], 10: ['0000', '1c00'] },
      data: {
        0: `00000000${'11'.repeat(32)}`,
        2: `00000000${'22'.repeat(32)}`,
        10: '0300000003000000',
      },
      config: { 18: 'a1' },
    }),
  )
  await signs(on)
  await decrementUses(on.chip, 0)
  await assert.rejects(decrementUses(on.chip, 2), refused, 'not of limited use')
  on.powerCycle()
  await signs(on)
  await assert.rejects(signs(on), refused)
  await assert.rejects(decrementUses(on.chip, 0), refused)
  assert.equal((await signs(on, 2)).length, 64, 'the other key knows no limit')
  assert.equal(await basics.readCounter(on.chip, 0), 3)
})

test('UpdateExtra gives a part another address, from its next wake', async () => {
  const { chip, part, time } = await onEmulator(memory({ config: { 19: '01' } }))
  await writeExtra(chip, 'userExtraAdd', 0x6a)
  await assert.rejects(writeExtra(chip, 'userExtraAdd', 0x6c), { code: /ERR_ELEMENT_/ })
  const there = await openChipSession(i2cWire(emulatedI2c([part]), time, 0x35), time)
  assert.equal(hexOf(await basics.revision(there)), '00006002')
  await assert.rejects(writeExtra(there, 'userExtraAdd', 0x6c), refused, 'once')
  await assert.rejects(basics.revision(chip), { code: 'ERR_ELEMENT_GONE' })
})

const secretSetup: Setup = {
  slots: {
    3: ['8744', '3300'],
    4: ['8f80', '1c00'],
    5: ['c444', '3c00'],
    6: ['8fa4', '1c00'],
    7: ['8fb4', '1c00'],
  },
  data: {
    3: `00000000${'33'.repeat(32)}`,
    4: '44'.repeat(32),
    5: '55'.repeat(32),
    6: '66'.repeat(32),
    7: '77'.repeat(32),
  },
}
const right: secured.SharedSecret = { key: of('44', 32), slot: 4, hostNonce, serial }
const wrong: secured.SharedSecret = { ...right, key: of('45', 32) }
const unverified = { code: 'ERR_ELEMENT_VERIFY_FAILED' }

test('under the wrong secret nothing is read, written or put in', async () => {
  const { chip, eeprom } = await onEmulator(memory(secretSetup))
  const read = (secret: secured.SharedSecret): Promise<Uint8Array> =>
    chip.sequence((line) => secured.readEncrypted(line, 5, 0, secret))
  assert.equal(hexOf(await read(right)), '55'.repeat(32))
  assert.notEqual(hexOf(await read(wrong)), '55'.repeat(32))
  await assert.rejects(read({ ...right, slot: 6, key: of('66', 32) }), refused, 'another key')

  const block = of('5e', 32)
  const write = (secret: secured.SharedSecret) =>
    chip.sequence((line) => secured.writeEncrypted(line, 5, 0, block, secret))
  await assert.rejects(write(wrong), unverified)
  assert.equal(hexOf(eeprom.read(5, 0, 32)), '55'.repeat(32))
  await write(right)
  assert.equal(hexOf(eeprom.read(5, 0, 32)), '5e'.repeat(32))

  const put = (secret?: secured.SharedSecret) =>
    chip.sequence((line) => secured.writePrivateKey(line, 3, of('21', 32), secret))
  await assert.rejects(put(), refused, 'in clear')
  await assert.rejects(put(wrong), unverified)
  assert.equal(hexOf(eeprom.read(3, 4, 32)), '33'.repeat(32))
  await put(right)
  assert.equal(hexOf(eeprom.read(3, 4, 32)), '21'.repeat(32))
})

/** SHA-256 of the key, 1C 04 and the slot, the mark of the family, 25 zeros, TempKey. */
function derived(key: string, slot: string): string {
  return createHash('sha256')
    .update(bytes(key.repeat(32)))
    .update(bytes(`1c 04 ${slot}00 ee 0123`))
    .update(new Uint8Array(25))
    .update(nonce)
    .digest('hex')
}

test('DeriveKey rolls slot 6 and makes slot 7 of its parent, each with the MAC of its parent', async () => {
  const { chip, eeprom } = await onEmulator(memory(secretSetup))
  const derive = (slot: number, mac?: Uint8Array) =>
    chip.sequence(async (line) => {
      await keys.loadNonce(line, nonce)
      await macs.deriveKey(line, 4, slot, mac)
    })
  for (const [slot, old, source] of [
    [6, '66', '66'],
    [7, '77', '44'],
  ] as const) {
    const under = (key: string): Uint8Array => deriveKeyMac(of(key, 32), 4, slot, serial)
    await assert.rejects(derive(slot), refused, 'no MAC')
    await assert.rejects(derive(slot, under('45')), unverified)
    await assert.rejects(derive(slot, under(old)), unverified, 'its own key is not its parent')
    assert.equal(hexOf(eeprom.read(slot, 0, 32)), old.repeat(32))
    await derive(slot, under('44'))
    assert.equal(hexOf(eeprom.read(slot, 0, 32)), derived(source, `0${slot}`))
  }
})
