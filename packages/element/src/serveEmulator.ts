/**
 * An emulated part for programs of any language: its file, and its bus behind a socket. On I2C that
 * is a relay of transactions; on the single wire the bytes of a UART, of which socat makes a serial
 * port.
 */
import { machineTime } from './bus/time.ts'
import { i2cWire } from './drivers/atecc608/i2cWire.ts'
import { openChipSession } from './drivers/atecc608/session.ts'
import { swiWire } from './drivers/atecc608/swiWire.ts'
import type { ChipWire } from './drivers/atecc608/wire.ts'
import { provideEmulated, type WhenMissing } from './emulatedChip.ts'
import { emulatedI2c } from './emulators/atecc608/i2cEndpoint.ts'
import type { EmulatedPart } from './emulators/atecc608/part.ts'
import { openEmulatedPart } from './emulators/atecc608/persistence.ts'
import { serveRelay } from './emulators/atecc608/relay.ts'
import { emulatedSwi, serveSwi } from './emulators/atecc608/swiEndpoint.ts'
import type { UnixServer } from './emulators/atecc608/unixServer.ts'
import { elementError } from './ports.ts'

export interface ServeEmulatorOptions {
  readonly file: string
  readonly socket: string
  readonly times: 'real' | 'none'
  /** Of a new part; one that is there must be of that kind. `i2c` when it is absent. */
  readonly framing?: 'i2c' | 'swi'
  /** A part that is not there yet is made blank, and not set up. */
  readonly blank: boolean
  /** It is made as one that its factory has configured and locked (TrustFLEX). */
  readonly trustPart?: boolean
  /** 7 bits, of a new part on I2C. */
  readonly address?: number
  /** Why a connection was ended from this side. */
  readonly onFault?: (fault: string) => void
}

export interface ServedEmulator {
  readonly socket: string
  readonly serial: string
  /** 7 bits; undefined on the single wire. */
  readonly address: number | undefined
  /** What `--element` takes; on the single wire once the command of `serialPort` runs. */
  readonly url: string
  /** The command that makes a serial port of the socket; undefined on I2C. */
  readonly serialPort: string | undefined
  close(): Promise<void>
}

export async function serveEmulatedChip(options: ServeEmulatorOptions): Promise<ServedEmulator> {
  const { file, times, address, framing = 'i2c' } = options
  if (framing === 'swi' && address !== undefined) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'a part on the single wire has no address')
  }
  const place = { kind: 'emulator', file, framing, times } as const
  await provideEmulated(place, kindOf(options), address)
  const opened = openEmulatedPart(file, { time: machineTime, times, framing })
  try {
    const { server, ...served } = await onWire(opened.part, framing, options)
    return {
      ...served,
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

function kindOf({ blank, trustPart = false }: ServeEmulatorOptions): WhenMissing {
  if (blank && trustPart) {
    throw elementError('ERR_ELEMENT_ARGUMENT', 'a part is blank or configured by its factory')
  }
  if (trustPart) return 'trust part'
  return blank ? 'blank' : 'set up'
}

type Served = Omit<ServedEmulator, 'close'> & { readonly server: UnixServer }

async function onWire(
  part: EmulatedPart,
  framing: 'i2c' | 'swi',
  { socket, onFault }: ServeEmulatorOptions,
): Promise<Served> {
  if (framing === 'swi') {
    const serial = await serialOf(swiWire(emulatedSwi(part, machineTime), machineTime))
    const server = await serveSwi({ part, time: machineTime, path: socket })
    const port = `${socket}.tty`
    const serialPort = `socat PTY,link=${port},rawer UNIX-CONNECT:${socket}`
    return { server, socket, serial, address: undefined, url: `atecc608:swi:${port}`, serialPort }
  }
  const bus = emulatedI2c([part])
  const { address } = part.wiring
  const serial = await serialOf(i2cWire(bus, machineTime, address))
  const server = await serveRelay({
    bus,
    path: socket,
    ...(onFault === undefined ? {} : { onFault: (error) => onFault(String(error)) }),
  })
  const url = `atecc608:relay:${socket}?address=0x${address.toString(16)}`
  return { server, socket, serial, address, url, serialPort: undefined }
}

/** Asked for as any host would; then the part sleeps, as it is found. */
async function serialOf(wire: ChipWire): Promise<string> {
  const chip = await openChipSession(wire, machineTime)
  await chip.close()
  return chip.serial
}
