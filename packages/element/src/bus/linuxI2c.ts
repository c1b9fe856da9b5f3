/**
 * A Linux I2C bus (/dev/i2c-N) through the optional library `i2c-bus`. Tested against its interface
 * only: unconfirmed on silicon (U12).
 */
import { elementError } from '@countersign/core/ports'
import { errorCode } from '../shapes.ts'
import { loadOptional } from './optionalModule.ts'
import type { I2cBus } from './ports.ts'

/** What we use of the library; a test brings its own. Buffers must be Buffers. */
export interface I2cLibrary {
  openPromisified(busNumber: number): Promise<I2cHandle>
}

export interface I2cHandle {
  i2cRead(address: number, length: number, buffer: Uint8Array): Promise<{ bytesRead: number }>
  i2cWrite(address: number, length: number, buffer: Uint8Array): Promise<{ bytesWritten: number }>
  close(): Promise<void>
}

const libraryVersion = '5.2.3'
/** How the drivers of adapters say that nobody acknowledged (Linux, i2c/fault-codes). */
const nobody: ReadonlySet<string | undefined> = new Set(['ENXIO', 'EREMOTEIO'])

export async function openLinuxI2c(
  device: string,
  load: () => Promise<I2cLibrary> = () => import('i2c-bus'),
): Promise<I2cBus> {
  const number = /^\/dev\/i2c-(\d{1,4})$/.exec(device)?.[1]
  if (number === undefined) {
    throw elementError(
      'ERR_ELEMENT_URL',
      'an I2C bus of Linux is /dev/i2c-N',
      {},
      { where: device, hint: '"ls /dev/i2c-*" shows those of this machine.' },
    )
  }
  const library = await loadOptional('i2c-bus', libraryVersion, load)
  return new LinuxI2c(device, await library.openPromisified(Number(number)))
}

class LinuxI2c implements I2cBus {
  readonly where: string
  readonly #handle: I2cHandle

  constructor(where: string, handle: I2cHandle) {
    this.where = where
    this.#handle = handle
  }

  async write(address: number, bytes: Uint8Array): Promise<boolean> {
    const written = await this.#transfer(() =>
      this.#handle.i2cWrite(address, bytes.length, Buffer.from(bytes)),
    )
    return written !== undefined && written.bytesWritten === bytes.length
  }

  async read(address: number, length: number): Promise<Uint8Array | undefined> {
    const buffer = Buffer.alloc(length)
    const read = await this.#transfer(() => this.#handle.i2cRead(address, length, buffer))
    // Less than was asked for is not what was asked for.
    return read === undefined || read.bytesRead !== length ? undefined : new Uint8Array(buffer)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  async #transfer<T>(run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run()
    } catch (cause) {
      const code = errorCode(cause)
      if (nobody.has(code)) return undefined
      const gone = code === 'ENODEV'
      throw elementError(
        gone ? 'ERR_ELEMENT_GONE' : 'ERR_ELEMENT_BUS',
        gone ? 'the bus is gone' : `a transfer failed${code === undefined ? '' : ` (${code})`}`,
        { code },
        { where: this.where, hint: hints.get(code ?? '') ?? wiresHint, cause },
      )
    }
  }
}

const wiresHint = 'Check wires and pull-ups: SDA and SCL must be high when nobody talks.'
const hints: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'Enable I2C on this machine: docs/device-maker/raspberry-pi.md.'],
  [
    'EACCES',
    'Add this user to the group of the device: sudo usermod -aG i2c $USER, then log in anew.',
  ],
  ['EBUSY', 'A driver of the kernel holds this address; unbind it.'],
  ['ENODEV', 'Is the adapter still plugged in?'],
])
