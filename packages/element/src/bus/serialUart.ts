/**
 * A serial port through the optional library `serialport`: 7 data bits, no parity, 1 stop bit, as
 * the single wire of an ATECC608 wants it. Whether a given adapter is quick enough is unconfirmed on
 * silicon (U11).
 */
import { elementError } from '@countersign/core/ports'
import { errorCode } from '../shapes.ts'
import { loadOptional } from './optionalModule.ts'
import type { Uart } from './ports.ts'

type Done = (error?: Error | null) => void

/** What we use of a port; a test brings its own. */
export interface SerialDevice {
  open(done: Done): void
  update(options: { baudRate: number }, done: Done): void
  write(bytes: Buffer, done: Done): unknown
  drain(done: Done): void
  flush(done: Done): void
  close(done: Done): void
  on(event: 'data', listener: (bytes: Buffer) => void): unknown
  on(event: 'error' | 'close', listener: (error?: Error | null) => void): unknown
}

export interface SerialOptions {
  readonly path: string
  readonly baudRate: number
  readonly dataBits: 7
  readonly parity: 'none'
  readonly stopBits: 1
  readonly autoOpen: false
}

export type SerialLibrary = {
  readonly SerialPort: new (options: SerialOptions) => SerialDevice
}

const libraryVersion = '13.0.0'
const firstBaudRate = 230_400
/** What a host did not read. A whole answer has 102 bytes of 8 bits. */
const receivedBytesMax = 4096
/** A wait is counted in pieces of this, each for no more than it is: see `read`. */
const sliceMs = 5

export async function openSerialUart(
  path: string,
  load: () => Promise<SerialLibrary> = () => import('serialport'),
): Promise<Uart> {
  const { SerialPort } = await loadOptional('serialport', libraryVersion, load)
  const device = new SerialPort({
    path,
    baudRate: firstBaudRate,
    dataBits: 7,
    parity: 'none',
    stopBits: 1,
    autoOpen: false,
  })
  const uart = new SerialUart(path, device)
  await uart.open()
  return uart
}

class SerialUart implements Uart {
  readonly where: string
  readonly #device: SerialDevice
  #received: number[] = []
  #closed = false
  #failure: Error | undefined
  /** Whoever waits for bytes. */
  #wake: (() => void) | undefined

  constructor(where: string, device: SerialDevice) {
    this.where = where
    this.#device = device
    device.on('data', (bytes) => this.#take(bytes))
    device.on('error', (error) => this.#end(error))
    device.on('close', (error) => this.#end(error))
  }

  async open(): Promise<void> {
    await this.#do('cannot be opened', (done) => this.#device.open(done))
  }

  async setBaudRate(baudRate: number): Promise<void> {
    await this.#do('does not drain', (done) => this.#device.drain(done))
    await this.#do('does not take the rate', (done) => this.#device.update({ baudRate }, done))
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#do('does not write', (done) => this.#device.write(Buffer.from(bytes), done))
    await this.#do('does not drain', (done) => this.#device.drain(done))
  }

  /**
   * The time that counts is that in which we listened. When this process is held up, its timers are
   * over before it has looked at what came meanwhile.
   */
  async read(length: number, timeoutMs: number): Promise<Uint8Array> {
    let leftMs = timeoutMs
    while (this.#received.length < length && leftMs > 0 && !this.#closed) {
      const waitMs = Math.min(leftMs, sliceMs)
      const begun = performance.now()
      await this.#someBytes(waitMs)
      leftMs -= Math.min(waitMs, performance.now() - begun)
    }
    if (this.#closed && this.#received.length < length) throw this.#gone()
    return Uint8Array.from(this.#received.splice(0, length))
  }

  async discard(): Promise<void> {
    await this.#do('does not flush', (done) => this.#device.flush(done))
    this.#received = []
  }

  async close(): Promise<void> {
    if (this.#closed) return
    await this.#do('cannot be closed', (done) => this.#device.close(done))
  }

  #take(bytes: Uint8Array): void {
    const room = receivedBytesMax - this.#received.length
    this.#received.push(...bytes.subarray(0, room))
    this.#wake?.()
  }

  #end(error: Error | null | undefined): void {
    this.#closed = true
    this.#failure = error ?? undefined
    this.#wake?.()
  }

  /** Resolves with the next bytes, the end of the port, or the end of the time. */
  #someBytes(leftMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, leftMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #do(what: string, run: (done: Done) => void): Promise<void> {
    if (this.#closed) return Promise.reject(this.#gone())
    return new Promise((resolve, reject) => {
      run((error) => {
        if (error === undefined || error === null) resolve()
        else reject(this.#failed(what, error))
      })
    })
  }

  #failed(what: string, cause: Error): Error {
    return elementError(
      'ERR_ELEMENT_BUS',
      `the serial port ${what}`,
      { code: errorCode(cause) },
      {
        where: this.where,
        hint: 'Does it exist, may this user open it (group dialout), and does nothing else hold it?',
        cause,
      },
    )
  }

  #gone(): Error {
    return elementError(
      'ERR_ELEMENT_GONE',
      'the serial port is closed',
      {},
      { where: this.where, hint: 'Is the adapter still plugged in?', cause: this.#failure },
    )
  }
}
