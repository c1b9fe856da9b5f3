/**
 * A key that lives in TempKey: what is sent for it, how long it lasts, what ends it, and what its
 * owner hears then. Shared secrets are judged by OpenSSL.
 */
import assert from 'node:assert/strict'
import { createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { paperTime } from '../../../src/bus/time.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { type Eeprom, parseEepromSnapshot } from '../../../src/emulators/atecc608/eeprom.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { type ElementEphemeral, isElementError, isRetryable } from '../../../src/ports.ts'
import { pointOfSpki, spkiOfPoint } from '../../../src/signer.ts'
import { partsFor } from './livesWorld.ts'
import { of, r } from './recorder.ts'
import {
  answer,
  bytes,
  hexOf,
  ManualTime,
  opening,
  ScriptedChip,
  serialHex,
  type Step,
} from './scripted.ts'

const genKey = '07 40 04 ff ff 8e 07'
const ecdh = `47 43 0d 00 00 ${r('d4', 64)} d5 ec`
const point = of('d4', 64)

async function scripted(...steps: readonly Step[]) {
  const time = new ManualTime()
  const chip = new ScriptedChip(time, [opening(), ...steps])
  const element = await openAtecc608(i2cWire(chip, time), time)
  chip.log.length = 0
  const key = (await element.ephemeral?.()) ?? assert.fail('no ephemeral keys')
  return { chip, key }
}

test('GenKey of FFFF and ECDH of TempKey are all that is sent, idle in between', async () => {
  const { chip, key } = await scripted([genKey, answer(r('a7', 64))], [ecdh, answer(r('5c', 32))])
  assert.equal(hexOf(key.point), r('a7', 64))
  assert.equal(hexOf(await key.agree(point)), r('5c', 32))
  assert.deepEqual(chip.log, ['wake', '4004', 'idle', 'wake', '430d', 'idle'])
  chip.done()
})

const cut = (given: Uint8Array): Uint8Array => given.slice(0, 9)

test('an ECDH whose answer is lost is not sent again: the key is gone', async () => {
  for (const lost of [
    [ecdh, undefined],
    [ecdh, answer(r('5c', 32)), { damage: [cut, cut, cut] }],
  ] satisfies Step[]) {
    const { chip, key } = await scripted([genKey, answer(r('a7', 64))], lost)
    await assert.rejects(key.agree(point), mayPass)
    await assert.rejects(key.agree(point), { code: 'ERR_ELEMENT_ARGUMENT' })
    chip.done()
  }
})

test('a chip that is away at the agreement is named, and costs the key', async () => {
  const { chip, key } = await scripted([genKey, answer(r('a7', 64))])
  chip.gone = true
  await assert.rejects(key.agree(point), { code: 'ERR_ELEMENT_GONE' })
  chip.gone = false
  await assert.rejects(key.agree(point), { code: 'ERR_ELEMENT_ARGUMENT' })
  chip.done()
})

async function emulated(eeprom?: Eeprom) {
  const time = paperTime()
  const { own } = await partsFor('i2c')
  const memory = eeprom ?? parseEepromSnapshot(own)
  const part = new EmulatedPart(coreOf(memory), { time })
  const bus = emulatedI2c([part])
  const element = await openAtecc608(i2cWire(bus, time), time)
  const make = (agreements?: number): Promise<ElementEphemeral> =>
    element.ephemeral?.(agreements) ?? assert.fail('no ephemeral keys')
  return { time, part, bus, element, make, memory }
}

const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const peerPoint = pointOfSpki(peer.publicKey.export({ type: 'spki', format: 'der' }))

function secretWith(own: Uint8Array): string {
  const key = Buffer.from(spkiOfPoint(own))
  const publicKey = createPublicKey({ key, format: 'der', type: 'spki' })
  return hexOf(diffieHellman({ privateKey: peer.privateKey, publicKey }))
}

test('it lasts as long as the chip is idle, and reads and random numbers do not touch it', async () => {
  const { time, element, make } = await emulated()
  const key = await make()
  await time.wait(93_000)
  await element.random(32)
  await element.slots()
  assert.equal(hexOf(await key.agree(peerPoint)), secretWith(key.point))
})

test('it wears no memory: the EEPROM is the same after it', async () => {
  const { make, memory } = await emulated()
  const before = JSON.stringify(memory.snapshot())
  await (await make()).agree(peerPoint)
  assert.equal(JSON.stringify(memory.snapshot()), before)
})

const ends: Readonly<Record<string, (world: Awaited<ReturnType<typeof emulated>>) => unknown>> = {
  'a signature': async ({ element }) => {
    await element.generateKey(0)
    await element.sign(0, new Uint8Array(32))
  },
  'an attestation': async ({ element }) => {
    await element.generateKey(0)
    await element.attest?.(0, new Uint8Array(32))
  },
  'another such key': ({ make }) => make(),
  'another such key that was used': async ({ make }) => (await make()).agree(peerPoint),
  sleep: ({ part }) => {
    part.sleep()
  },
  // The pulse that wakes a part wakes all of them, and this one's driver does not know.
  'the watchdog, after a wake that was meant for another part of the bus': async ({
    bus,
    time,
  }) => {
    await bus.write(0, Uint8Array.of(0))
    await time.wait(1_500)
  },
}

for (const [what, end] of Object.entries(ends))
  test(`it is ended by ${what}: an error that passes, never another secret`, async () => {
    const world = await emulated()
    const key = await world.make()
    await end(world)
    await assert.rejects(key.agree(peerPoint), { code: 'ERR_ELEMENT_WATCHDOG' })
    await assert.rejects(key.agree(peerPoint), { code: 'ERR_ELEMENT_ARGUMENT' })
    const next = await world.make()
    assert.equal(hexOf(await next.agree(peerPoint)), secretWith(next.point))
  })

test('it agrees once, also where the point was wrong, and more is not promised', async () => {
  const { make } = await emulated()
  const key = await make()
  await assert.rejects(key.agree(new Uint8Array(64)), { code: 'ERR_ELEMENT_ECC' })
  await assert.rejects(key.agree(peerPoint), { code: 'ERR_ELEMENT_ARGUMENT' })
  await assert.rejects(make(2), { code: 'ERR_ELEMENT_UNSUPPORTED' })
})

test('a configuration that lets no secret out is said to do so', async () => {
  const { own } = await partsFor('i2c')
  const memory = parseEepromSnapshot(own)
  // ChipOptions, bits 8 and 9: ECDH is protected.
  memory.write('config', 90, Uint8Array.of(0x00, 0x01))
  const key = await (await emulated(memory)).make()
  await assert.rejects(key.agree(peerPoint), { code: 'ERR_ELEMENT_POLICY' })
})

test('a blank part makes none', async () => {
  const { make } = await emulated(blankEeprom({ serial: bytes(serialHex), revision: 3 }))
  await assert.rejects(make(), { code: 'ERR_ELEMENT_NOT_LOCKED' })
})

function mayPass(error: unknown): boolean {
  return isElementError(error) && isRetryable(error.code)
}
