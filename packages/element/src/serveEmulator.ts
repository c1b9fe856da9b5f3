/** An emulated part for programs of any language: its file, its bus, the relay in front of it. */
import { machineTime } from './bus/time.ts'
import { i2cWire } from './drivers/atecc608/i2cWire.ts'
import { openChipSession } from './drivers/atecc608/session.ts'
import { provideEmulated } from './emulatedChip.ts'
import { emulatedI2c } from './emulators/atecc608/i2cEndpoint.ts'
import { openEmulatedPart } from './emulators/atecc608/persistence.ts'
import { serveRelay } from './emulators/atecc608/relay.ts'

export interface ServeEmulatorOptions {
  readonly file: string
  readonly socket: string
  readonly times: 'real' | 'none'
  /** A part that is not there yet is made blank, and not set up. */
  readonly blank: boolean
  /** 7 bits, of a new part. */
  readonly address?: number
  /** Why a connection was ended from this side. */
  readonly onFault?: (fault: string) => void
}

export interface ServedEmulator {
  readonly socket: string
  readonly serial: string
  readonly address: number
  close(): Promise<void>
}

export async function serveEmulatedChip(options: ServeEmulatorOptions): Promise<ServedEmulator> {
  const { file, socket, times, address, onFault } = options
  const place = { kind: 'emulator', file, framing: 'i2c', times } as const
  await provideEmulated(place, options.blank ? 'blank' : 'set up', address)
  const opened = openEmulatedPart(file, { time: machineTime, times, framing: 'i2c' })
  try {
    const bus = emulatedI2c([opened.part])
    const at = opened.part.wiring.address
    // Its serial number is asked for as any host would; then it sleeps, as it is found.
    const chip = await openChipSession(i2cWire(bus, machineTime, at), machineTime)
    await chip.close()
    const server = await serveRelay({
      bus,
      path: socket,
      ...(onFault === undefined ? {} : { onFault: (error) => onFault(String(error)) }),
    })
    return {
      socket,
      serial: chip.serial,
      address: at,
      close: async () => {
        await server.close()
        opened.close()
      },
    }
  } catch (error) {
    opened.close()
    throw error
  }
}
