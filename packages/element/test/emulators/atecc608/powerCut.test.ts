/** The real chip behind its wires, its power cut at each point of the commands that write. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blankEeprom } from '../../../src/emulators/atecc608/blank.ts'
import { coreOf } from '../../../src/emulators/atecc608/core.ts'
import { type Eeprom, parseEepromSnapshot } from '../../../src/emulators/atecc608/eeprom.ts'
import { emulatedI2c } from '../../../src/emulators/atecc608/i2cEndpoint.ts'
import { EmulatedPart } from '../../../src/emulators/atecc608/part.ts'
import { bytes, ManualTime, text } from './support.ts'

const serial = bytes('01 23 45 67 89 AB CD EF EE')
/** Reference §1.3; the CRCs by another program. */
const lockConfig = '07 17 80 00 00 39 8D'
const lockData = '07 17 81 00 00 3A 07'
const genKey = '07 40 04 00 00 83 87'
const publicKey = '07 40 00 00 00 00 05'
const readCounter = '07 24 00 00 00 0C FD'
const increment = '07 24 01 00 00 0F 77'

interface Host {
  readonly part: EmulatedPart
  /** The data of the reply; undefined when none came. */
  readonly ask: (command: string) => Promise<string | undefined>
}

function hostOf(eeprom: Eeprom): Host {
  const time = new ManualTime()
  const part = new EmulatedPart(coreOf(eeprom), { time, times: 'none' })
  const bus = emulatedI2c([part])
  const ask = async (command: string): Promise<string | undefined> => {
    await bus.write(0x60, bytes('01'))
    await bus.write(0, bytes('01'))
    time.pass(1.5)
    if (!(await bus.write(0x60, bytes(`03 ${command}`)))) return undefined
    const count = await bus.read(0x60, 1)
    if (count?.[0] === undefined) return undefined
    const rest = (await bus.read(0x60, count[0] - 1)) ?? new Uint8Array()
    return text(rest.slice(0, -2))
  }
  return { part, ask }
}

async function lockedPart(): Promise<Eeprom> {
  const eeprom = blankEeprom({ serial, revision: 3 })
  const { ask } = hostOf(eeprom)
  assert.equal(await ask(lockConfig), '00')
  assert.equal(await ask(lockData), '00')
  return eeprom
}

function copyOf(eeprom: Eeprom): Eeprom {
  return parseEepromSnapshot(JSON.parse(JSON.stringify(eeprom.snapshot())))
}

test('a lock that was cut off is open or locked, and can be made again when it is open', async () => {
  const blank = blankEeprom({ serial, revision: 3 })
  for (const writes of [0, 1]) {
    const eeprom = copyOf(blank)
    const { part, ask } = hostOf(eeprom)
    part.faults.cutPower(1, writes)
    assert.equal(await ask(lockConfig), undefined)
    assert.equal(part.power, 'asleep')
    assert.equal(eeprom.byte('config', 87), writes === 0 ? 0x55 : 0x00)
    assert.equal(await ask(lockConfig), writes === 0 ? '00' : '0F')
  }
})

test('a key that was being made is the old one or a new one, never half of one', async () => {
  const locked = await lockedPart()
  const before = await hostOf(locked).ask(genKey)
  for (let writes = 0; writes < 8; writes++) {
    const { part, ask } = hostOf(copyOf(locked))
    part.faults.cutPower(1, writes)
    const reply = await ask(genKey)
    const after = await ask(publicKey)
    assert.match(after ?? '', /^([0-9A-F]{2} ){63}[0-9A-F]{2}$/)
    if (writes === 0) assert.equal(after, before)
    // The command has fewer writes than that: no cut.
    if (reply !== undefined) return assert.equal(after, reply)
  }
  throw new Error('GenKey has no end')
})

test('a counter that was cut off has counted once or not at all, and never goes back', async () => {
  const eeprom = await lockedPart()
  const { part, ask } = hostOf(eeprom)
  const value = async (): Promise<number> =>
    Buffer.from(((await ask(readCounter)) ?? '').replaceAll(' ', ''), 'hex').readUInt32LE()
  for (let round = 0; round < 20; round++) {
    const before = await value()
    part.faults.cutPower(1, round % 4)
    const reply = await ask(increment)
    const after = await value()
    assert.ok(after === before + 1 || (reply === undefined && after === before))
    if (round % 4 === 0) assert.equal(after, before)
  }
  assert.ok((await value()) >= 15)
})
