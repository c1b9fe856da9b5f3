/** From blank to locked: what is sent, what is not, and a setup that breaks off anywhere. */
import assert from 'node:assert/strict'
import { createECDH, createHash, createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import type { BusTime, I2cBus } from '../../../src/bus/ports.ts'
import { paperTime } from '../../../src/bus/time.ts'
import { crc16 } from '../../../src/drivers/atecc608/crc.ts'
import { openAtecc608 } from '../../../src/drivers/atecc608/element.ts'
import { i2cWire } from '../../../src/drivers/atecc608/i2cWire.ts'
import { publicKeyOf } from '../../../src/drivers/atecc608/keys.ts'
import { writePrivateKey } from '../../../src/drivers/atecc608/secured.ts'
import { type ChipSession, openChipSession } from '../../../src/drivers/atecc608/session.ts'
import { planSetup, setUp, stepLine } from '../../../src/drivers/atecc608/setup.ts'
import {
  lockConfig as sendLock,
  lockSlot,
  readConfig,
} from '../../../src/drivers/atecc608/zones.ts'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { Eeprom } from '../../../src/emulators/atecc608/eeprom.ts'
import { PowerCut } from '../../../src/emulators/atecc608/faults.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { lockWords } from '../../../src/ports.ts'
import { spkiOfPoint } from '../../../src/signer.ts'
import { refused } from '../../elementCompliance.ts'

const serial = Uint8Array.of(0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xee)
const certificate = Uint8Array.from({ length: 300 }, (_, i) => (i === 0 ? 0x30 : i & 0xff))
const everything = { confirm: lockWords, certify: async () => certificate } as const

const tooLong = async (): Promise<Uint8Array> => new Uint8Array(417)

interface Bench {
  readonly eeprom: Eeprom
  readonly part: EmulatedPart
  readonly time: BusTime
  /** Every packet that went to the chip, hex, without the word address. */
  readonly sent: string[]
  readonly open: () => Promise<ChipSession>
}

function bench(eeprom: Eeprom = blankEeprom({ serial, revision: 3 })): Bench {
  const time = paperTime()
  const part = new EmulatedPart(coreOf(eeprom), { time, times: 'none' })
  const sent: string[] = []
  const bus: I2cBus = emulatedI2c([part])
  const watched: I2cBus = {
    ...bus,
    write: async (address, bytes) => {
      const heard = await bus.write(address, bytes)
      if (address !== 0 && bytes[0] === 3 && heard) sent.push(hex(bytes.subarray(1)))
      return heard
    },
  }
  return { eeprom, part, time, sent, open: () => openChipSession(i2cWire(watched, time), time) }
}

/** Of GenKey the mode too: 04 creates. */
const opcodes = { write: '12', lock: '17', genKey: '4004' } as const
const isOne = (packet: string, opcode: string): boolean => packet.slice(2).startsWith(opcode)
const changing = (sent: readonly string[]): readonly string[] =>
  sent.filter((packet) => Object.values(opcodes).some((opcode) => isOne(packet, opcode)))

test('a plan sends no Write, no Lock and no GenKey, and shows every packet that would go', async () => {
  const { eeprom, sent, open } = bench()
  const before = JSON.stringify(eeprom.snapshot())
  const chip = await open()
  const { steps } = await planSetup(chip)
  assert.deepEqual(changing(sent), [])
  assert.equal(JSON.stringify(eeprom.snapshot()), before)
  const planned = steps.flatMap(({ packet }) => (packet === undefined ? [] : [hex(packet)]))
  sent.length = 0
  await setUp(chip, { confirm: lockWords })
  assert.deepEqual(changing(sent), planned)
  assert.deepEqual((await planSetup(chip)).steps, [])
  await chip.close()
})

test('no secret of the layout is released by a CheckMac: ReadKey of each is F', async () => {
  const { eeprom, open } = bench()
  const chip = await open()
  await setUp(chip, everything)
  // SlotConfig of slots 5, 6 and 7: never written, secret.
  assert.equal(hex(eeprom.read('config', 30, 6)), '8f808f808f80')
  await chip.close()
})

// The packets of the lock and of GenKey as the reference has them, CRCs by a program of its own.
test('the last packets of a setup are those of GenKey in slot 1 and of Lock', async () => {
  const { sent, open } = bench()
  const chip = await open()
  await setUp(chip, everything)
  const [lockConfig, generate, ...rest] = changing(sent).slice(-16)
  assert.match(lockConfig ?? '', /^071700.{8}$/)
  assert.equal(generate, '07400401008a07')
  assert.equal(rest.length, 14)
  assert.equal(rest[0], '07178100003a07')
  for (const block of rest.slice(1)) assert.match(block, /^271282/)
  await chip.close()
})

test('without the words the configuration is written and compared, and can still be changed', async () => {
  const { eeprom, sent, open } = bench()
  const chip = await open()
  const result = await setUp(chip)
  assert.equal(result.locked, false)
  assert.equal(result.attestationKey, undefined)
  assert.ok(!sent.some((packet) => isOne(packet, opcodes.lock) || isOne(packet, opcodes.genKey)))
  assert.equal(hex(eeprom.read('config', 86, 2)), '5555')
  assert.equal(hex(eeprom.read('config', 20, 4)), '85208200')
  await chip.close()
})

test('what is set up holds identities, attests them, and keeps its certificate', async () => {
  const { eeprom, part, time, open } = bench()
  const chip = await open()
  const { attestationKey } = await setUp(chip, everything)
  await chip.close()
  assert.equal(hex(eeprom.read('config', 86, 2)), '0000')
  const element = await openAtecc608(i2cWire(emulatedI2c([part]), time), time)
  assert.deepEqual(await element.publicKey(1), attestationKey)
  assert.deepEqual(await element.data?.read(8, 0, 300), certificate)
  const point = await element.generateKey(0)
  const digest = createHash('sha256').update('reading').digest()
  const signature = await element.sign(0, digest)
  const key = createPublicKey({ key: Buffer.from(spkiOfPoint(point)), format: 'der', type: 'spki' })
  assert.ok(verify('sha256', Buffer.from('reading'), { key, dsaEncoding: 'ieee-p1363' }, signature))
  // The key that attests signs nothing that comes from outside, and is never replaced.
  await refused(element.sign(1, digest), 'ERR_ELEMENT_POLICY')
  await refused(element.generateKey(1), 'ERR_ELEMENT_POLICY')
  await element.close()
})

test('before the locks nothing is random, signed or read, and each says why', async () => {
  const { eeprom, part, time } = bench()
  const element = await openAtecc608(i2cWire(emulatedI2c([part]), time), time)
  await refused(element.random(32), 'ERR_ELEMENT_NOT_LOCKED')
  await refused(element.generateKey(0), 'ERR_ELEMENT_NOT_LOCKED')
  await refused(element.sign(0, new Uint8Array(32)), 'ERR_ELEMENT_NOT_LOCKED')
  assert.deepEqual(await element.state(), { config: 'open', data: 'open' })
  const digest = await element.lockDigest?.({ kind: 'config' })
  assert.equal(digest?.length, 2)
  await element.lock?.({ kind: 'config' }, { confirm: lockWords, expected: digest })
  assert.equal(hex(eeprom.read('config', 87, 1)), '00')
  await element.generateKey(0)
  // Reads and signatures wait for the data lock.
  await refused(element.sign(0, new Uint8Array(32)), 'ERR_ELEMENT_NOT_LOCKED')
  await refused(element.data?.read(8, 0, 4) ?? Promise.resolve(), 'ERR_ELEMENT_NOT_LOCKED')
  await element.close()
})

test('a part that is locked with another configuration is told by the byte that differs', async () => {
  const { eeprom, sent, open } = bench()
  eeprom.write('config', 87, Uint8Array.of(0))
  const chip = await open()
  for (const attempt of [planSetup(chip), setUp(chip), setUp(chip, everything)]) {
    await assert.rejects(attempt, { code: 'ERR_ELEMENT_CONFIG', message: /byte 20 is 83, not 85/ })
  }
  assert.deepEqual(changing(sent), [])
  await chip.close()
})

test('a byte that does not keep what was written stops the setup before anything is locked', async () => {
  const { eeprom, open } = bench()
  const chip = await open()
  const guard = eeprom.onWrite
  eeprom.onWrite = (region, offset, bytes) => {
    guard?.(region, offset, bytes)
    if (region === 'config' && offset === 32) bytes[0] = (bytes[0] ?? 0) ^ 0x10
  }
  await assert.rejects(setUp(chip, everything), {
    code: 'ERR_ELEMENT_CONFIG',
    hint: /Nothing was locked/,
  })
  assert.equal(hex(eeprom.read('config', 86, 2)), '5555')
  await chip.close()
})

test('a certificate that does not fit is refused, and none is asked for a second time', async () => {
  const { eeprom, open } = bench()
  const chip = await open()
  await refused(setUp(chip, { confirm: lockWords, certify: tooLong }), 'ERR_ELEMENT_ARGUMENT')
  assert.equal(hex(eeprom.read('config', 86, 1)), '00')
  // Locked by somebody, as far as this setup knows.
  const result = await setUp(chip, {
    confirm: lockWords,
    certify: async () => assert.fail('asked'),
  })
  assert.equal(result.isCertified, false)
  await chip.close()
})

test('a setup whose power is cut before or after any write is taken up where it was', async () => {
  const whole = bench()
  const chip = await whole.open()
  const writesBefore = whole.eeprom.writeCount
  await setUp(chip, everything)
  await chip.close()
  const writes = whole.eeprom.writeCount - writesBefore
  assert.ok(writes > 25)
  for (let cut = 0; cut <= writes; cut++) {
    const broken = bench()
    const first = await broken.open()
    dieAfter(broken.eeprom, cut)
    if (cut < writes) await assert.rejects(setUp(first, everything))
    // The part comes back with what was written, and nothing volatile.
    const again = bench(parse(broken.eeprom.snapshot()))
    const second = await again.open()
    const result = await setUp(second, everything)
    assert.equal(result.locked, true, `cut ${cut}`)
    assert.deepEqual((await planSetup(second)).steps, [], `cut ${cut}`)
    // Only a setup that locked the data zone itself has the key certified.
    const isThere = hex(again.eeprom.read(8, 0, 300)) === hex(certificate)
    const wasLocked = broken.eeprom.byte('config', 86) === 0
    if (!wasLocked || cut === writes) assert.ok(isThere, `cut ${cut}`)
    assert.equal(result.isCertified, !wasLocked, `cut ${cut}`)
    await second.close()
  }
})

/** So many writes more, and the power is gone at the next. */
function dieAfter(eeprom: Eeprom, writes: number): void {
  let left = writes
  eeprom.onWrite = () => {
    if (left-- <= 0) throw new PowerCut()
  }
}

function parse({ config, otp, slots }: ReturnType<Eeprom['snapshot']>): Eeprom {
  return new Eeprom({ config: fromHex(config), otp: fromHex(otp), slots: slots.map(fromHex) })
}

test('a step reads as what is done and the packet that does it', async () => {
  const { open } = bench()
  const chip = await open()
  const { steps } = await planSetup(chip)
  const [first] = steps
  assert.ok(first !== undefined)
  assert.equal(
    stepLine(first),
    'write     configuration bytes 20 to 23: 85208200\n          0b12000500852082006bdd',
  )
  await chip.close()
})

/** Whoever had the part before: the layout and its lock as ours, and keys that he knows. */
async function prepared(eeprom: Eeprom, slots: readonly number[]): Promise<void> {
  const { open } = bench(eeprom)
  const chip = await open()
  await setUp(chip)
  await sendLock(chip, crc16(await readConfig(chip)))
  for (const slot of slots) {
    const scalar = new Uint8Array(32).fill(slot + 1)
    await writePrivateKey(chip, slot, scalar)
  }
  await chip.close()
}

/** Points of the scalars above, by OpenSSL. */
function pointOf(slot: number): string {
  const key = createECDH('prime256v1')
  key.setPrivateKey(new Uint8Array(32).fill(slot + 1))
  return key.getPublicKey('hex').slice(2)
}

test('keys that somebody put into a part before its lock do not outlive the setup', async () => {
  const known = [0, 1, 2, 3, 4]
  const eeprom = blankEeprom({ serial, revision: 3 })
  await prepared(eeprom, known)
  const { sent, open } = bench(eeprom)
  const chip = await open()
  for (const slot of known) assert.equal(hex(await publicKeyOf(chip, slot)), pointOf(slot))
  sent.length = 0
  const planned = (await planSetup(chip)).steps.flatMap(({ act, packet }) =>
    act === 'generate' && packet !== undefined ? [hex(packet)] : [],
  )
  let certified = ''
  const { attestationKey } = await setUp(chip, {
    confirm: lockWords,
    certify: async (_, point) => {
      certified = hex(point)
      return certificate
    },
  })
  assert.deepEqual(
    sent.filter((packet) => isOne(packet, opcodes.genKey) && packet.slice(4, 6) === '04'),
    planned,
  )
  for (const slot of known) assert.notEqual(hex(await publicKeyOf(chip, slot)), pointOf(slot))
  assert.equal(certified, hex(attestationKey ?? new Uint8Array()))
  assert.equal(certified, hex(await publicKeyOf(chip, 1)))
  await chip.close()
})

test('a slot that somebody locked before the setup, with a key that he knows, stops it', async () => {
  const eeprom = blankEeprom({ serial, revision: 3 })
  await prepared(eeprom, [2])
  const { sent, open } = bench(eeprom)
  const chip = await open()
  await lockSlot(chip, 2)
  sent.length = 0
  for (const attempt of [planSetup(chip), setUp(chip, everything)]) {
    await assert.rejects(attempt, { code: 'ERR_ELEMENT_CONFIG', message: /slot 2/ })
  }
  assert.deepEqual(changing(sent), [])
  assert.equal(hex(eeprom.read('config', 86, 1)), '55')
  await chip.close()
})
