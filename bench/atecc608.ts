/**
 * The driver of the ATECC608 on the emulated part in this process, command by command, with no
 * execution times: what driver, wire and emulator cost beside a chip that takes milliseconds. The
 * anchor is the same packet on the emulated chip alone, without wire and driver.
 */
import { randomBytes } from 'node:crypto'
import { paperTime } from '../packages/element/src/bus/time.ts'
import { ecdhCompatible } from '../packages/element/src/drivers/atecc608/agree.ts'
import {
  incrementCounter,
  random,
  readCounter,
  revision,
} from '../packages/element/src/drivers/atecc608/basics.ts'
import { sha256Inside } from '../packages/element/src/drivers/atecc608/digests.ts'
import { i2cWire } from '../packages/element/src/drivers/atecc608/i2cWire.ts'
import {
  createKey,
  loadNonce,
  publicKeyOf,
  signExternal,
} from '../packages/element/src/drivers/atecc608/keys.ts'
import {
  type ChipSession,
  openChipSession,
} from '../packages/element/src/drivers/atecc608/session.ts'
import { setUp } from '../packages/element/src/drivers/atecc608/setup.ts'
import { verifyExternal } from '../packages/element/src/drivers/atecc608/verify.ts'
import { readConfig, readZone, writeZone } from '../packages/element/src/drivers/atecc608/zones.ts'
import { blankEeprom } from '../packages/element/src/emulators/atecc608/blank.ts'
import { coreOf } from '../packages/element/src/emulators/atecc608/core.ts'
import { emulatedI2c } from '../packages/element/src/emulators/atecc608/i2cEndpoint.ts'
import { type Core, EmulatedPart } from '../packages/element/src/emulators/atecc608/part.ts'
import { lockWords } from '../packages/element/src/ports.ts'
import { type Case, forAbout, measure } from './measure.ts'
import { atLeast, type Report, rateTable } from './report.ts'

const digest = randomBytes(32)
const word = randomBytes(4)
/** Info, as it goes over the wire. */
const infoPacket = Uint8Array.from(Buffer.from('0730000000035d', 'hex'))

export async function run(): Promise<Report> {
  const { chip, core } = await open()
  try {
    const figures = await measure(await casesOf(chip, core), { rounds: 3, milliseconds: 500 })
    const [anchor, info] = figures.map(({ perCpuSecond }) => perCpuSecond)
    const slowest = Math.min(...figures.map(({ perCpuSecond }) => perCpuSecond))
    return {
      tables: [rateTable(figures, 'commands')],
      goals: [
        {
          what: 'the slowest of them, each time',
          ratio: 1000 / slowest,
          wanted: 0.15,
          sense: 'at most',
          unit: 'ms',
        },
        ...atLeast('Info through driver and wire, to the chip alone', info, anchor, 0.02),
      ],
      notes: [
        'Verify is the one that misses: no verifier of Node takes a digest, so the emulator moves the public key and has OpenSSL verify a message whose digest is known.',
        'Emulated, without execution times: silicon takes from 5 ms (Info) to 115 ms (Sign), so ' +
          'all of this is small beside it.',
      ],
    }
  } finally {
    await chip.close()
  }
}

async function open(): Promise<{ chip: ChipSession; core: Core }> {
  const time = paperTime()
  const serial = Uint8Array.of(0x01, 0x23, 1, 2, 3, 4, 5, 6, 0xee)
  const core = coreOf(blankEeprom({ serial, revision: 3 }))
  const part = new EmulatedPart(core, { time, times: 'none' })
  const chip = await openChipSession(i2cWire(emulatedI2c([part]), time), time)
  await setUp(chip, { confirm: lockWords })
  return { chip, core }
}

function signed(chip: ChipSession, slot: number): Promise<Uint8Array> {
  return chip.sequence(async (line) => {
    await loadNonce(line, digest)
    return signExternal(line, slot)
  })
}

async function casesOf(chip: ChipSession, core: Core): Promise<readonly Case[]> {
  const peer = await createKey(chip, 0)
  const signer = await createKey(chip, 2)
  const signature = await signed(chip, 2)
  const works: Readonly<Record<string, () => Promise<unknown>>> = {
    Info: () => revision(chip),
    'Read of 32 bytes': () => readZone(chip, { kind: 'config' }, 0, 32),
    'Read of the configuration': () => readConfig(chip),
    'Write of a word': () => writeZone(chip, { kind: 'data', slot: 9 }, 0, word),
    Random: () => random(chip),
    'Counter read': () => readCounter(chip, 0),
    'Counter increment': () => incrementCounter(chip, 0),
    'GenKey create': () => createKey(chip, 0),
    'GenKey public': () => publicKeyOf(chip, 0),
    'Nonce and Sign': () => signed(chip, 0),
    'Nonce and Verify': () =>
      chip.sequence(async (line) => {
        await loadNonce(line, digest)
        return verifyExternal(line, signature, signer)
      }),
    ECDH: () => ecdhCompatible(chip, 0, peer),
    'SHA of 32 bytes': () => chip.sequence((line) => sha256Inside(line, digest)),
  }
  return [
    {
      name: 'Info, the chip alone',
      run: (milliseconds) => forAbout(milliseconds, () => void core.chip.execute(infoPacket)),
    },
    ...Object.entries(works).map(([name, work]) => ({
      name: `**countersign**, ${name}`,
      run: (milliseconds: number) => forAbout(milliseconds, async () => void (await work())),
    })),
  ]
}
