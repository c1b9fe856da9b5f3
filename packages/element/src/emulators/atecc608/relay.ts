/**
 * Raw I2C transactions over a UNIX socket, for host programs in any language: what they would do
 * with an adapter, they do with the emulator. docs/element/emulator.md has the format and an
 * example.
 *
 *   request  op(1: 'W' 57 or 'R' 52) address(1, 7 bits) length(2, little-endian), data when writing
 *   answer   status(1: 0 acknowledged, 1 not), then the bytes of an acknowledged read
 *
 * Requests of a connection are answered in order and may be sent ahead. Transfers of several
 * connections do not mix. Anything else than a request ends its connection.
 */
import type { Socket } from 'node:net'
import { PeerError } from '@countersign/core/errors'
import type { I2cBus } from '../../bus/ports.ts'
import { serveUnix, type UnixServer } from './unixServer.ts'

/** A command with its word address has 152 bytes, a reply 75; more is a mistake. */
export const transferBytesMax = 256
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
  return bytes === undefined ? Uint8Array.of(nack) : Uint8Array.of(ack, ...bytes)
}

/** Requests out of a stream of bytes, however it is cut. */
export class RelayReader {
  #rest: Uint8Array = new Uint8Array();

  /** The requests that are complete with this chunk, one by one: one that is wrong comes after them. */
  *push(chunk: Uint8Array): Generator<RelayRequest> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (;;) {
      const parsed = parseRequest(bytes)
      if (parsed === undefined) break
      bytes = bytes.subarray(parsed.size)
      yield parsed.request
    }
    this.#rest = Uint8Array.from(bytes)
  }

  end(): void {
    if (this.#rest.length > 0) throw wrong('the stream ends inside a request')
  }
}

function parseRequest(bytes: Uint8Array): { request: RelayRequest; size: number } | undefined {
  const [op, address] = bytes
  if (op !== undefined && op !== 0x57 && op !== 0x52) throw wrong('it begins with neither W nor R')
  if (address !== undefined && address > 0x7f) throw wrong('its address has more than 7 bits')
  if (op === undefined || address === undefined || bytes.length < headerBytes) return undefined
  const length = (bytes[2] ?? 0) | ((bytes[3] ?? 0) << 8)
  if (length > transferBytesMax) throw wrong(`its length is above ${transferBytesMax}`)
  if (op === 0x52) return { request: { op: 'read', address, length }, size: headerBytes }
  const size = headerBytes + length
  if (bytes.length < size) return undefined
  return {
    request: { op: 'write', address, data: Uint8Array.from(bytes.subarray(headerBytes, size)) },
    size,
  }
}

function wrong(what: string): PeerError<RelayErrorCode> {
  return new PeerError('ERR_RELAY_REQUEST', `a request to the relay is wrong: ${what}`)
}
