/**
 * An emulated ATECC608 as it comes from the shop: the file is made when it is not there, and what is
 * in it is made by the driver over the emulated wire, as a factory would. Parts of one folder come
 * from the same works, whose root certificate lies beside them.
 */
import { rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BusTime } from './bus/ports.ts'
import { machineTime, paperTime } from './bus/time.ts'
import { i2cWire } from './drivers/atecc608/i2cWire.ts'
import { openChipSession } from './drivers/atecc608/session.ts'
import { setUp } from './drivers/atecc608/setup.ts'
import type { ChipWire } from './drivers/atecc608/wire.ts'
import { emulatedI2c } from './emulators/atecc608/i2cEndpoint.ts'
import { openEmulatedPart } from './emulators/atecc608/persistence.ts'
import { openWorks } from './emulators/atecc608/works.ts'
import { elementError, lockWords } from './ports.ts'
import type { ChipPlace } from './url.ts'

export type EmulatedPlace = Extract<ChipPlace, { readonly kind: 'emulator' }>

/** What to do when there is no such file. */
export type WhenMissing = 'refuse' | 'blank' | 'set up'

export interface EmulatedWire {
  readonly wire: ChipWire
  readonly time: BusTime
}

/** Beside the parts: who makes them. */
export function worksFile(part: string): string {
  return join(dirname(part), 'emulator-works.json')
}

export async function emulatedWire(
  place: EmulatedPlace,
  whenMissing: WhenMissing,
): Promise<EmulatedWire> {
  const isThere = await stat(place.file).then(
    () => true,
    () => false,
  )
  if (!isThere && whenMissing === 'refuse') {
    throw elementError(
      'ERR_ELEMENT_GONE',
      'there is no emulated part in this file',
      {},
      { where: place.file, hint: '"device enroll" and "element setup" make one.' },
    )
  }
  if (!isThere && whenMissing === 'set up') await manufacture(place)
  return wireOf(place, place.times === 'real' ? machineTime : paperTime(), true)
}

/** Made beside and put in place when it is whole: a part that is half set up is never seen. */
async function manufacture({ file, framing }: EmulatedPlace): Promise<void> {
  const beside: EmulatedPlace = { kind: 'emulator', file: `${file}.making`, framing, times: 'none' }
  // What an attempt before left.
  await rm(beside.file, { force: true })
  const works = await openWorks(worksFile(file))
  const { wire, time } = wireOf(beside, paperTime(), false)
  const chip = await openChipSession(wire, time)
  try {
    await setUp(chip, {
      confirm: lockWords,
      certify: (serial, point) => works.certify(serial, point),
    })
  } finally {
    await chip.close()
  }
  await rename(beside.file, file)
  await rm(`${beside.file}.lock`, { force: true })
}

function wireOf(
  { file, framing, times }: EmulatedPlace,
  time: BusTime,
  flush: boolean,
): EmulatedWire {
  const opened = openEmulatedPart(file, { time, times, framing, flush })
  const onClose = (): void => opened.close()
  try {
    const { address } = opened.part.wiring
    return { wire: i2cWire(emulatedI2c([opened.part], { onClose }), time, address), time }
  } catch (error) {
    opened.close()
    throw error
  }
}
