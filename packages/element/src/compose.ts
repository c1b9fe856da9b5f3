/**
 * From an element URL to an open element: the one place of this package that names the concrete
 * drivers and buses. Drivers are loaded when their kind is asked for, and not before.
 */
import { isAbsolute, join } from 'node:path'
import type { I2cBus } from './bus/ports.ts'
import { machineTime } from './bus/time.ts'
import type { ChipSession } from './drivers/atecc608/session.ts'
import type { SetupOptions } from './drivers/atecc608/setup.ts'
import type { TimedWire, WhenMissing } from './emulatedChip.ts'
import { type ElementError, elementError, type SecureElement } from './ports.ts'
import { openSoftwareElement } from './software.ts'
import { type ChipPlace, parseElementUrl } from './url.ts'

export interface OpenElementOptions {
  /** Where twins live, and what a relative path is meant from. */
  readonly folder: string
  /** Make no new twin or emulated chip where there is none. */
  readonly mustExist?: boolean
  /** Asks a person for the PIN of a token, where no file has it. */
  readonly askPin?: ((token: string) => Promise<string>) | undefined
}

export async function openElement(
  url: string,
  { folder, mustExist = false, askPin }: OpenElementOptions,
): Promise<SecureElement> {
  const parsed = parseElementUrl(url)
  switch (parsed.kind) {
    case 'software':
      return openSoftwareElement(join(folder, parsed.file), { mustExist })
    case 'atecc608': {
      const whenMissing = mustExist ? 'refuse' : 'set up'
      const { wire, time } = await chipWire(placeIn(folder, parsed.at), whenMissing)
      const { openAtecc608 } = await import('./drivers/atecc608/element.ts')
      return openAtecc608(wire, time)
    }
    case 'pkcs11': {
      const { openPkcs11Element } = await import('./drivers/pkcs11/index.ts')
      return openPkcs11Element(parsed.uri, askPin === undefined ? {} : { askPin })
    }
  }
}

/** What a setup needs beside the chip: who certifies its attestation key, where there is one. */
export interface ChipOnBench {
  readonly chip: ChipSession
  /** Made when it is asked for. */
  readonly certifier: (() => Promise<SetupOptions['certify']>) | undefined
}

/** The chip itself, for what is beyond the port: its setup. A new emulated part is blank. */
export async function openChip(url: string, folder: string): Promise<ChipOnBench> {
  const parsed = parseElementUrl(url)
  if (parsed.kind !== 'atecc608') throw noChip(url)
  const place = placeIn(folder, parsed.at)
  const { wire, time } = await chipWire(place, 'blank')
  const { openChipSession } = await import('./drivers/atecc608/session.ts')
  const chip = await openChipSession(wire, time)
  if (place.kind !== 'emulator') return { chip, certifier: undefined }
  const { certifierOf } = await import('./emulatedChip.ts')
  return { chip, certifier: () => certifierOf(place) }
}

async function chipWire(place: ChipPlace, whenMissing: WhenMissing): Promise<TimedWire> {
  switch (place.kind) {
    case 'emulator': {
      const { emulatedWire } = await import('./emulatedChip.ts')
      return emulatedWire(place, whenMissing)
    }
    case 'i2c': {
      const { openLinuxI2c } = await import('./bus/linuxI2c.ts')
      return onI2c(await openLinuxI2c(place.device), place.address)
    }
    case 'relay': {
      const { openRelayI2c } = await import('./bus/relayI2c.ts')
      return onI2c(await openRelayI2c(place.socket), place.address)
    }
    case 'swi': {
      const { openSerialUart } = await import('./bus/serialUart.ts')
      const { swiWire } = await import('./drivers/atecc608/swiWire.ts')
      return { wire: swiWire(await openSerialUart(place.device), machineTime), time: machineTime }
    }
  }
}

async function onI2c(bus: I2cBus, address: number): Promise<TimedWire> {
  const { i2cWire } = await import('./drivers/atecc608/i2cWire.ts')
  return { wire: i2cWire(bus, machineTime, address), time: machineTime }
}

function placeIn(folder: string, place: ChipPlace): ChipPlace {
  if (place.kind === 'emulator') return { ...place, file: from(folder, place.file) }
  return place.kind === 'relay' ? { ...place, socket: from(folder, place.socket) } : place
}

function from(folder: string, path: string): string {
  return isAbsolute(path) ? path : join(folder, path)
}

function noChip(url: string): ElementError {
  return elementError(
    'ERR_ELEMENT_UNSUPPORTED',
    'only a chip has a configuration to set up',
    {},
    { where: url, hint: 'Twins and tokens are ready as they are.' },
  )
}
