/**
 * Raw I2C transactions over a UNIX socket, for host programs in any language: what they would do
 * with an adapter, they do with the emulator. docs/element/emulator.md has the format and an
 * example.
 *
 *   request  op(1: 'W' 57 or 'R' 52) address(1, 7 bits) length(2, little-endian), data when writing
 *   answer   status(1: 0 acknowledged, 1 not), then the bytes of an acknowledged read
 *
 * Requests of a connection are answered in order and may be sent ahead. Transfers of several
 * connections do not mix. Anything else than a request ends its connection. A transfer may have any
 * length of the format, as on a real bus: a part answers FF past its reply. So a connection holds
 * 64 KiB that come and 64 KiB that go, at most.
 */
import type { Socket } from 'node:net'
import { concat } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type { I2cBus } from '../../bus/ports.ts'
import { serveUnix, type UnixServer } from './unixServer.ts'

const opWrite = 0x57
const opRead = 0x52
const headerBytes = 4
/** Hosts of one bus on one machine, and room. */
const connectionsMax = 16
const ack = 0
const nack = 1

export type RelayErrorCode = 'ERR_RELAY_REQUEST'

export type RelayRequest =
  | { readonly op: 'write'; readonly address: number; readonly data: Uint8Array }
  | { readonly op: 'read'; readonly address: number; readonly length: number }

export interface RelayOptions {
  readonly bus: I2cBus
  /** Of the socket, which is made with mode 0600 and removed on `close`. */
  readonly path: string
  /** Why a connection was ended from this side. */
  readonly onFault?: (error: unknown) => void
}

/** The bus stays open when the relay closes. */
export async function serveRelay({ bus, path, onFault }: RelayOptions): Promise<UnixServer> {
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = async (request: RelayRequest): Promise<Uint8Array> => {
    const answer = turn.then(() => perform(bus, request))
    turn = answer.catch(() => undefined)
    return await answer
  }
  return await serveUnix(path, connectionsMax, (socket) => converse(socket, inTurn), onFault)
}

async function converse(
  socket: Socket,
  inTurn: (request: RelayRequest) => Promise<Uint8Array>,
): Promise<void> {
  const reader = new RelayReader()
  // Whoever breaks off from this loop still owns the socket.
  const chunks: AsyncIterable<Buffer> = socket.iterator({ destroyOnReturn: false })
  for await (const chunk of chunks) {
    for (const request of reader.push(chunk)) {
      const answer = await inTurn(request)
      // Who asks and does not read is not asked for more.
      if (!socket.write(answer)) await drained(socket)
      if (socket.destroyed) return
    }
  }
  reader.end()
}

async function drained(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}

async function perform(bus: I2cBus, request: RelayRequest): Promise<Uint8Array> {
  if (request.op === 'write') {
    return Uint8Array.of((await bus.write(request.address, request.data)) ? ack : nack)
  }
  const bytes = await bus.read(request.address, request.length)
  return bytes === undefined ? Uint8Array.of(nack) : concat(Uint8Array.of(ack), bytes)
}

/** Requests out of a stream of bytes, however it is cut. */
export class RelayReader {
  #header: number[] = []
  /** Of a write: room for all of it, once its length is known. */
  #data: Uint8Array | undefined
  #filled = 0;

  /** The requests that are complete with this chunk, one by one: one that is wrong comes after them. */
  *push(chunk: Uint8Array): Generator<RelayRequest> {
    let rest = chunk
    while (rest.length > 0) {
      rest = rest.subarray(this.#take(rest))
      const request = this.#complete()
      if (request !== undefined) yield request
    }
  }

  end(): void {
    if (this.#header.length > 0) throw wrong('the stream ends inside a request')
  }

  /** How much of it. */
  #take(bytes: Uint8Array): number {
    if (this.#data === undefined) {
      this.#header.push(bytes[0] ?? 0)
      checkHeader(this.#header)
      return 1
    }
    const part = bytes.subarray(0, this.#data.length - this.#filled)
    this.#data.set(part, this.#filled)
    this.#filled += part.length
    return part.length
  }

  #complete(): RelayRequest | undefined {
    const [op, address = 0, low = 0, high = 0] = this.#header
    if (this.#header.length < headerBytes) return undefined
    const length = low | (high << 8)
    if (op === opRead) {
      this.#header = []
      return { op: 'read', address, length }
    }
    const data = (this.#data ??= new Uint8Array(length))
    if (this.#filled < length) return undefined
    this.#header = []
    this.#data = undefined
    this.#filled = 0
    return { op: 'write', address, data }
  }
}

/** As far as it is there. */
function checkHeader([op, address = 0]: readonly number[]): void {
  if (op !== opWrite && op !== opRead) throw wrong('it begins with neither W nor R')
  if (address > 0x7f) throw wrong('its address has more than 7 bits')
}

function wrong(what: string): PeerError<RelayErrorCode> {
  return new PeerError('ERR_RELAY_REQUEST', `a request to the relay is wrong: ${what}`)
}
