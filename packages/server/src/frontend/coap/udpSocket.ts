/** One UDP socket: opens it, or says which door could not be opened and why. */
import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import { type ListenAddress, listenError } from '../../listen.ts'
import { nameOf, peerOf } from './udpAddress.ts'

/** What carries datagrams: peers have names, and whatever is sent may be lost. */
export interface DatagramLink {
  readonly port: number
  send(datagram: Uint8Array, to: string): void
  close(): Promise<void>
}

export type OpenLink = (
  door: string,
  at: ListenAddress,
  parts: DatagramLinkParts,
) => Promise<DatagramLink>

export interface DatagramLinkParts {
  readonly received: (datagram: Uint8Array, from: string) => void
  /** An error of the socket, or of one datagram: the socket goes on. */
  readonly failed: (error: Error) => void
}

/** Datagrams that wait in the kernel while this process is busy. */
const bufferBytes = 4 * 1024 * 1024

export class UdpSocket implements DatagramLink {
  readonly port: number
  readonly #socket: Socket
  readonly #failed: (error: Error) => void

  private constructor(socket: Socket, failed: (error: Error) => void) {
    this.#socket = socket
    this.#failed = failed
    this.port = socket.address().port
  }

  static async open(door: string, at: ListenAddress, parts: DatagramLinkParts): Promise<UdpSocket> {
    const address = await resolved(door, at)
    const type = isIPv6(address) ? 'udp6' : 'udp4'
    const socket = createSocket({ type, recvBufferSize: bufferBytes })
    await new Promise<void>((resolve, reject) => {
      const refused = (error: NodeJS.ErrnoException): void => {
        socket.close()
        reject(listenError(door, at, error))
      }
      socket.once('error', refused)
      socket.bind({ address, port: at.port, exclusive: true }, () => {
        socket.off('error', refused)
        resolve()
      })
    })
    socket.on('error', parts.failed)
    socket.on('message', (datagram, { address: host, port }) =>
      parts.received(datagram, nameOf({ address: host, port })),
    )
    return new UdpSocket(socket, parts.failed)
  }

  /** Never throws: a datagram that cannot be sent is one that was lost. */
  send(datagram: Uint8Array, to: string): void {
    const { address, port } = peerOf(to)
    try {
      this.#socket.send(datagram, port, address, (error) => {
        if (error !== null) this.#failed(error)
      })
    } catch (error) {
      this.#failed(error instanceof Error ? error : new Error(String(error)))
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }
}

async function resolved(door: string, at: ListenAddress): Promise<string> {
  try {
    const { address } = await lookup(at.host)
    return address
  } catch (error) {
    throw listenError(door, at, error instanceof Error ? error : new Error(String(error)))
  }
}
