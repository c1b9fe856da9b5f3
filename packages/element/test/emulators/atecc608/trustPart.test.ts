/**
 * A part as the factory of TrustFLEX parts leaves it: its configuration by the bytes that host code
 * for them shows publicly, and what its slots let a host do.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { parseAtecc608Evidence } from '@countersign/core/attestation'
import { paperTime } from '../../../src/bus/time.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { coreOf, drawBytes } from '../../../src/emulators/atecc608/core.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { trustEeprom } from '../../../src/emulators/atecc608/trustPart.ts'
import type { SecureElement } from '../../../src/ports.ts'
import { ask, chipOn } from './packets.ts'

const serial = fromHex('0123456789abcdef01')
const eeprom = trustEeprom({ serial, random: drawBytes })

test('its configuration', () => {
  const rest = [
    ['6c000001', 16],
    ['85008200852085208520', 20],
    ['0d1f0f0f', 48],
    ['000003f7006976', 68],
    ['00000000ffff0e60', 84],
    ['53005300730073007300', 96],
    ['12003000', 124],
  ] as const
  assert.equal(hex(eeprom.read('config', 0, 13)), '012345670000600389abcdef01')
  for (const [bytes, at] of rest) {
    assert.equal(hex(eeprom.read('config', at, bytes.length / 2)), bytes, `byte ${at}`)
  }
  const keys = [0, 1, 2, 3, 4].map((slot) => hex(eeprom.read(slot, 4, 32)))
  assert.equal(new Set(keys).size, 5)
})

test('the identity key stays, the attestation key signs nothing of a host, the spare ones are made', () => {
  const chip = chipOn(eeprom)
  ask(chip, `16 03 0000 ${'5a'.repeat(32)}`)
  for (const [command, answer] of [
    ['40 04 0000', '0f'],
    ['40 04 0100', '0f'],
    ['41 80 0100', '0f'],
    ['17 02 0000', '0f'], // slot 0 is not lockable by itself
    ['40 08 0000', '0f'], // its digest wants a number of the chip
  ] as const) {
    assert.equal(ask(chip, command), answer, command)
  }
  assert.equal(ask(chip, '41 80 0000').length, 128)
  assert.equal(ask(chip, '40 04 0200').length, 128)
})

async function open(): Promise<SecureElement> {
  const time = paperTime()
  const part = new EmulatedPart(coreOf(eeprom), { time })
  return openAtecc608(i2cWire(emulatedI2c([part]), time, 0x36), time)
}

test('its statement is over 20 bytes of the verifier and a number of its own', async () => {
  const element = await open()
  const nonce = Uint8Array.from({ length: 32 }, (_, index) => index)
  const { evidence, chain } = (await element.attest?.(0, nonce)) ?? {}
  const { message, randOut, ...rest } = parseAtecc608Evidence(evidence ?? new Uint8Array())
  assert.deepEqual([rest.nonce, rest.slot, rest.attestationSlot], [nonce, 0, 1])
  assert.equal(randOut?.length, 32)
  // GenKey made TempKey, of a random nonce, for slot 0 with these rules.
  assert.equal(hex(message.subarray(36, 41)), '8500530040')
  assert.deepEqual(chain, [], 'who vouches for the key comes another way')
  await element.close()
})
