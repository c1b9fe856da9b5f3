import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseChipConfig, writeChipConfig } from '../../../src/drivers/atecc608/config.ts'
import { privateUses } from '../../../src/drivers/atecc608/slotRules.ts'
import { bytes, hexOf } from './scripted.ts'

/** Written out field by field; slot 0 has the rules 0x2087, slot 8 is open data. */
const whole = bytes(`
  0123a1b2 00006003 c3d4e5f6ee 01 01 00
  c0 00 00 28
  8720 8220 8720 8420 0000 0000 0000 0000 0f0f 0000 0000 0000 0000 0000 0000 0000
  ffffffff00000000 ffffffff00000000
  00 8b 1bf4 00 0000 000000000000000000
  00 6a 55 00 feff 07 65 00000000
  3300 3300 3300 3300 3c00 3c00 3c00 3c00 3c00 3c00 3c00 3c00 3c00 3c00 3c00 3c00
`)

test('a configuration is read field by field', () => {
  assert.equal(whole.length, 128)
  const config = parseChipConfig(whole)
  assert.equal(hexOf(config.serial), '0123a1b2c3d4e5f6ee')
  assert.equal(hexOf(config.revision), '00006003')
  assert.deepEqual([config.aesEnabled, config.i2cEnabled, config.i2cAddress], [true, true, 0xc0])
  assert.deepEqual(config.chipMode, {
    addressOverride: false,
    ttlLevels: false,
    longWatchdog: false,
    clock: 1,
  })
  assert.deepEqual(config.slots[0], {
    readKey: 7,
    noMac: false,
    limitedUse: false,
    encryptRead: false,
    isSecret: true,
    writeKey: 0,
    writeConfig: 2,
  })
  assert.deepEqual(config.keys[0], {
    private: true,
    pubInfo: true,
    type: 4,
    lockable: true,
    reqRandom: false,
    reqAuth: false,
    authKey: 0,
    persistentDisable: false,
    x509Id: 0,
    reserved: false,
  })
  assert.deepEqual(config.volatileKeyPermission, { enabled: true, slot: 11 })
  assert.deepEqual(config.secureBoot, {
    mode: 3,
    persist: true,
    randomNonce: true,
    digestSlot: 4,
    publicKeySlot: 15,
  })
  assert.equal(config.userExtraAdd, 0x6a)
  assert.deepEqual([config.dataLocked, config.configLocked], [false, true])
  assert.deepEqual(config.slotLocked.slice(0, 2), [true, false])
  assert.deepEqual(config.options, {
    powerOnSelfTest: true,
    ioProtection: true,
    kdfAes: true,
    ecdhProtection: 1,
    kdfProtection: 1,
    ioProtectionSlot: 6,
  })
})

test('the rules of a private key are its uses', () => {
  const { slots } = parseChipConfig(whole)
  const uses = slots.slice(0, 4).map((rules) => {
    const { signExternal, signInternal, ecdh } = privateUses(rules)
    return [signExternal, signInternal, ecdh]
  })
  assert.deepEqual(uses, [
    [true, true, true],
    [false, true, false],
    [true, true, true],
    [false, false, true],
  ])
})

test('what was read is written back bit by bit, whatever each bit is', () => {
  assert.equal(hexOf(writeChipConfig(parseChipConfig(whole))), hexOf(whole))
  for (let bit = 0; bit < 1024; bit++) {
    const flipped = Uint8Array.from(whole)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const lock = bit >> 3 === 86 || bit >> 3 === 87
    if (lock) assert.throws(() => parseChipConfig(flipped), { code: 'ERR_ELEMENT_CONFIG' })
    else assert.equal(hexOf(writeChipConfig(parseChipConfig(flipped))), hexOf(flipped), `${bit}`)
  }
})

test('a field that is changed changes its own bits', () => {
  const config = parseChipConfig(whole)
  const [first, ...others] = config.slots
  assert.ok(first !== undefined)
  const changed = writeChipConfig({
    ...config,
    i2cEnabled: false,
    chipMode: { ...config.chipMode, clock: 2, longWatchdog: true },
    countMatchSlot: 9,
    slots: [{ ...first, readKey: 2, writeConfig: 0 }, ...others],
  })
  const expected = Uint8Array.from(whole)
  expected[14] = 0x00
  expected[18] = 0x91
  expected[19] = 0x6c
  expected[20] = 0x82
  expected[21] = 0x00
  assert.equal(hexOf(changed), hexOf(expected))
})

test('a value without room in its field is refused', () => {
  const config = parseChipConfig(whole)
  const [first, ...others] = config.slots
  assert.ok(first !== undefined)
  const wrong = { code: 'ERR_ELEMENT_CONFIG' }
  assert.throws(() => writeChipConfig({ ...config, i2cAddress: 256 }), wrong)
  assert.throws(() => writeChipConfig({ ...config, countMatchSlot: 16 }), wrong)
  assert.throws(() => writeChipConfig({ ...config, slots: others }), wrong)
  const slots = [{ ...first, writeKey: 16 }, ...others]
  assert.throws(() => writeChipConfig({ ...config, slots }), wrong)
  assert.throws(() => writeChipConfig({ ...config, x509Formats: new Uint8Array(3) }), wrong)
})

test('a configuration of any other length is none', () => {
  for (const length of [0, 1, 127]) {
    assert.throws(() => parseChipConfig(whole.subarray(0, length)), { code: 'ERR_ELEMENT_CONFIG' })
  }
  assert.throws(() => parseChipConfig(new Uint8Array(129)), { code: 'ERR_ELEMENT_CONFIG' })
})
