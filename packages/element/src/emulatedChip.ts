/**
 * An emulated ATECC608 as it comes from the shop: the file is made when it is not there, and what is
 * in it is made by the driver over the emulated wire, as a factory would. Parts of one folder come
 * from the same works, whose root certificate lies beside them.
 */
import { randomBytes } from 'node:crypto'
import { link, open, readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { BusTime } from './bus/ports.ts'
import { machineTime, paperTime } from './bus/time.ts'
import { i2cWire } from './drivers/atecc608/i2cWire.ts'
import { openChipSession } from './drivers/atecc608/session.ts'
import { type SetupOptions, setUp } from './drivers/atecc608/setup.ts'
import { swiWire } from './drivers/atecc608/swiWire.ts'
import type { ChipWire } from './drivers/atecc608/wire.ts'
import { syncFolder } from './durable.ts'
import { emulatedI2c } from './emulators/atecc608/i2cEndpoint.ts'
import { openEmulatedPart } from './emulators/atecc608/persistence.ts'
import { emulatedSwi } from './emulators/atecc608/swiEndpoint.ts'
import { openWorks, worksFile } from './emulators/atecc608/works.ts'
import { elementError, lockWords } from './ports.ts'
import { errorCode } from './shapes.ts'
import type { ChipPlace } from './url.ts'

export type EmulatedPlace = Extract<ChipPlace, { readonly kind: 'emulator' }>

/** What to do when there is no such file. */
export type WhenMissing = 'refuse' | 'blank' | 'set up' | 'trust part'

/** A wire with the time that its driver goes by. */
export interface TimedWire {
  readonly wire: ChipWire
  readonly time: BusTime
}

/** The works of this part, made when they are first needed. */
export async function certifierOf(
  place: Pick<EmulatedPlace, 'file'>,
): Promise<NonNullable<SetupOptions['certify']>> {
  const works = await openWorks(worksFile(dirname(place.file)))
  return (serial, point) => works.certify(serial, point)
}

export async function emulatedWire(
  place: EmulatedPlace,
  whenMissing: WhenMissing,
): Promise<TimedWire> {
  await provideEmulated(place, whenMissing)
  const time = place.times === 'real' ? machineTime : paperTime()
  return wireOf(place, time, { flush: true })
}

/** Sees to it that there is such a part; one that is there stays as it is. */
export async function provideEmulated(
  place: EmulatedPlace,
  whenMissing: WhenMissing,
  address?: number,
): Promise<void> {
  const there = await stat(place.file).catch(() => undefined)
  if (there?.isFile() === true) return
  if (there !== undefined) {
    throw elementError(
      'ERR_ELEMENT_DAMAGED',
      'what is there is no file of an emulated part',
      {},
      { where: place.file, hint: 'Name a file.' },
    )
  }
  if (whenMissing === 'refuse') {
    throw elementError(
      'ERR_ELEMENT_GONE',
      'there is no emulated part in this file',
      {},
      { where: place.file, hint: '"device enroll" and "element setup" make one.' },
    )
  }
  await manufacture(place, whenMissing, address)
}

/**
 * Made beside and linked into place when it is whole: a part that is half set up is never seen, and
 * of two that begin at once both take the first.
 */
async function manufacture(
  { file, framing }: EmulatedPlace,
  as: Exclude<WhenMissing, 'refuse'>,
  address: number | undefined,
): Promise<void> {
  await removeLeft(file)
  const beside = `${file}.${randomBytes(8).toString('hex')}.making`
  try {
    await makePart({ kind: 'emulator', file: beside, framing, times: 'none' }, as, address)
    await putInPlace(beside, file)
  } finally {
    for (const name of [beside, `${beside}.lock`]) await rm(name, { force: true })
  }
}

/** Making takes a second; what is older was left by a process that died, with keys in it. */
const madeWithinMs = 60_000

async function removeLeft(file: string): Promise<void> {
  const [folder, name] = [dirname(file), basename(file)]
  for (const each of await readdir(folder)) {
    if (!each.startsWith(`${name}.`) || !/\.[0-9a-f]{16}\.making/.test(each)) continue
    const path = join(folder, each)
    const { mtimeMs } = await stat(path)
    if (Date.now() - mtimeMs > madeWithinMs) await rm(path, { force: true })
  }
}

async function makePart(
  place: EmulatedPlace,
  as: Exclude<WhenMissing, 'refuse'>,
  address: number | undefined,
): Promise<void> {
  const { wire, time } = wireOf(place, paperTime(), {
    flush: false,
    isTrustPart: as === 'trust part',
    ...(address === undefined ? {} : { address }),
  })
  const chip = await openChipSession(wire, time)
  try {
    if (as === 'set up') {
      await setUp(chip, { confirm: lockWords, certify: await certifierOf(place) })
    }
  } finally {
    await chip.close()
  }
}

async function putInPlace(beside: string, file: string): Promise<void> {
  const made = await open(beside, 'r+')
  try {
    await made.sync()
  } finally {
    await made.close()
  }
  try {
    await link(beside, file)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
  await syncFolder(dirname(file))
}

function wireOf(
  { file, framing, times }: EmulatedPlace,
  time: BusTime,
  how: { readonly flush: boolean; readonly address?: number; readonly isTrustPart?: boolean },
): TimedWire {
  const opened = openEmulatedPart(file, { time, times, framing, ...how })
  const onClose = (): void => opened.close()
  try {
    const { part } = opened
    const wire =
      framing === 'i2c'
        ? i2cWire(emulatedI2c([part], { onClose }), time, part.wiring.address)
        : swiWire(emulatedSwi(part, time, { onClose }), time)
    return { wire, time }
  } catch (error) {
    opened.close()
    throw error
  }
}
