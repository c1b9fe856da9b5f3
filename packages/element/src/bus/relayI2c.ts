/**
 * An I2C bus behind a relay on a unix socket: an emulator, or a bus that another process holds. One
 * transfer, one request, one answer:
 *
 *     request   op (W 57, R 52), address (7-bit), length (2, low byte first), data of a W
 *     answer    status (0 acknowledged, 1 not), then exactly `length` bytes of a R that was
 */
import { connect, type Socket } from 'node:net'
import { concat } from '@countersign/core/codec'
import { elementError } from '@countersign/core/ports'
import type { I2cBus } from './ports.ts'

const opWrite = 0x57
const opRead = 0x52
const acknowledged = 0
const notAcknowledged = 1
/** More than any command or answer of a chip. */
const transferLengthMax = 256
const timeoutMsDefault = 2000

export interface RelayOptions {
  /** For the connection, and for each answer. */
  readonly timeoutMs?: number
}

export async function openRelayI2c(path: string, options: RelayOptions = {}): Promise<I2cBus> {
  const timeoutMs = options.timeoutMs ?? timeoutMsDefault
  const relay = new RelayI2c(path, timeoutMs)
  await relay.open()
  return relay
}

interface Waiting {
  /** Bytes behind an acknowledge. */
  readonly length: number
  readonly resolve: (bytes: Uint8Array | undefined) => void
  readonly reject: (error: Error) => void
}

class RelayI2c implements I2cBus {
  readonly where: string
  readonly #timeoutMs: number
  #socket: Socket | undefined
  #received: Uint8Array = new Uint8Array()
  #waiting: Waiting | undefined
  #failure: Error | undefined
  #queue: Promise<unknown> = Promise.resolve()

  constructor(where: string, timeoutMs: number) {
    this.where = where
    this.#timeoutMs = timeoutMs
  }

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.where)
      this.#socket = socket
      const timer = setTimeout(
        () => this.#fail(this.#broken('does not let us in')),
        this.#timeoutMs,
      )
      socket.once('connect', () => {
        clearTimeout(timer)
        resolve()
      })
      socket.on('data', (bytes) => this.#take(bytes))
      socket.on('error', (cause) => this.#fail(this.#noRelay(cause)))
      socket.on('close', () => {
        clearTimeout(timer)
        this.#fail(this.#gone())
        if (this.#failure !== undefined) reject(this.#failure)
      })
    })
  }

  async write(address: number, bytes: Uint8Array): Promise<boolean> {
    const request = concat(header(opWrite, address, bytes.length), bytes)
    return (await this.#ask(request, 0)) !== undefined
  }

  read(address: number, length: number): Promise<Uint8Array | undefined> {
    return this.#ask(header(opRead, address, length), length)
  }

  async close(): Promise<void> {
    const socket = this.#socket
    this.#failure ??= this.#gone()
    if (socket === undefined || socket.destroyed) return
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
      socket.destroy()
    })
  }

  /** One after the other: an answer has no number. */
  #ask(request: Uint8Array, length: number): Promise<Uint8Array | undefined> {
    const done = this.#queue.then(() => this.#askNow(request, length))
    this.#queue = done.catch(() => undefined)
    return done
  }

  #askNow(request: Uint8Array, length: number): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(this.#broken('does not answer')), this.#timeoutMs)
      this.#waiting = {
        length,
        resolve: (bytes) => {
          clearTimeout(timer)
          resolve(bytes)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      }
      this.#socket?.write(request)
    })
  }

  #take(bytes: Uint8Array): void {
    const waiting = this.#waiting
    if (waiting === undefined) return this.#fail(this.#broken('speaks without being asked'))
    this.#received = concat(this.#received, bytes)
    const status = this.#received[0]
    if (status !== acknowledged && status !== notAcknowledged) {
      return this.#fail(this.#broken('answers with a status that has no meaning'))
    }
    const wanted = status === acknowledged ? waiting.length + 1 : 1
    if (this.#received.length < wanted) return
    if (this.#received.length > wanted) return this.#fail(this.#broken('says more than was asked'))
    const data = this.#received.slice(1)
    this.#received = new Uint8Array()
    this.#waiting = undefined
    waiting.resolve(status === acknowledged ? data : undefined)
  }

  /** Once: the first reason is the reason. */
  #fail(error: Error): void {
    this.#failure ??= error
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(this.#failure)
    this.#socket?.destroy()
  }

  #broken(what: string): Error {
    return elementError(
      'ERR_ELEMENT_BUS',
      `the relay ${what}`,
      {},
      { where: this.where, hint: 'Is it a relay of I2C transfers that listens there?' },
    )
  }

  #noRelay(cause: Error): Error {
    return elementError(
      'ERR_ELEMENT_BUS',
      'there is no relay',
      {},
      { where: this.where, hint: 'Start it, and see whether this user may use its socket.', cause },
    )
  }

  #gone(): Error {
    return elementError('ERR_ELEMENT_GONE', 'the relay has gone', {}, { where: this.where })
  }
}

function header(op: number, address: number, length: number): Uint8Array {
  const isAddress = Number.isInteger(address) && address >= 0 && address <= 0x7f
  if (isAddress && Number.isInteger(length) && length >= 0 && length <= transferLengthMax) {
    return Uint8Array.of(op, address, length & 0xff, length >> 8)
  }
  throw elementError('ERR_ELEMENT_ARGUMENT', 'no such I2C transfer', { address, length })
}
