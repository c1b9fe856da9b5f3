/**
 * A part in a file, served to host programs of this machine until it is closed: by the relay when it
 * is one for I2C, as the bytes of a UART when it is one for the single wire.
 */
import { hex } from '@countersign/core/codec'
import { emulatedI2c } from './i2cEndpoint.ts'
import type { ExecutionTimes } from './part.ts'
import { openEmulatedPart } from './persistence.ts'
import { serveRelay } from './relay.ts'
import { serveSwi } from './swiEndpoint.ts'
import type { UnixServer } from './unixServer.ts'

export interface EmulateOptions {
  /** Of the part; a blank one is made when it is missing. */
  readonly file: string
  /** Path of the UNIX socket. */
  readonly socket: string
  /** As `openEmulatedPart` takes them. */
  readonly address?: number
  readonly framing?: 'i2c' | 'swi'
  readonly times?: ExecutionTimes
  /** Why a host's connection was ended from this side. */
  readonly onFault?: (error: unknown) => void
}

export interface Emulation {
  readonly socket: string
  /** There was no file. */
  readonly isNew: boolean
  readonly framing: 'i2c' | 'swi'
  /** 7 bits; on the single wire nobody asks for it. */
  readonly address: number
  /** Lower-case hex. */
  readonly serial: string
  /** Removes the socket and lets go of the file. */
  close(): Promise<void>
}

export async function emulate({ file, socket, ...options }: EmulateOptions): Promise<Emulation> {
  const opened = openEmulatedPart(file, { ...options, time: performance })
  const { part, isNew, serial } = opened
  const { framing, address } = part.wiring
  let server: UnixServer
  try {
    server =
      framing === 'i2c'
        ? await serveRelay({ ...options, bus: emulatedI2c([part]), path: socket })
        : await serveSwi({ part, time: performance, path: socket })
  } catch (error) {
    opened.close()
    throw error
  }
  const close = async (): Promise<void> => {
    await server.close()
    opened.close()
  }
  return { socket: server.path, isNew, framing, address, serial: hex(serial), close }
}
