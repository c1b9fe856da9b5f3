/**
 * Datagrams to one server and back, on a socket of its own, over IPv4 or IPv6 as its name says. The
 * socket is bound to no address of this machine: that may change while the socket is open. What
 * cannot be sent is lost, as on the way; the reason is kept for whoever waits in vain.
 */
import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { unreachable } from './failures.ts'
import type { ServerTarget } from './target.ts'

export interface UdpLink {
  send(datagram: Uint8Array): void
  /** Why the last datagram did not go out; undefined: it did. */
  readonly fault: unknown
  close(): void
}

/**
 * `attempt`: of several addresses the next one each time. Throws AdapterError ERR_SERVER_UNREACHABLE
 * when the server's name or a socket is not to be had.
 */
export async function openUdpLink(
  target: ServerTarget,
  receive: (datagram: Uint8Array) => void,
  attempt = 0,
): Promise<UdpLink> {
  try {
    const addresses = await lookup(target.host, { all: true })
    const { address, family } = addresses[attempt % addresses.length] ?? noAddress
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
    await bound(socket)
    return new DatagramLink(socket, { address, port: target.port }, receive)
  } catch (error) {
    throw unreachable(target, error)
  }
}

/** Lookup gives one at least, or fails. */
const noAddress = { address: '0.0.0.0', family: 4 } as const

function bound(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(0, () => {
      socket.off('error', reject)
      resolve()
    })
  })
}

interface Peer {
  readonly address: string
  readonly port: number
}

class DatagramLink implements UdpLink {
  readonly #socket: Socket
  readonly #peer: Peer
  #fault: unknown
  #isClosed = false

  constructor(socket: Socket, peer: Peer, receive: (datagram: Uint8Array) => void) {
    this.#socket = socket
    this.#peer = peer
    socket.on('message', (datagram, { address, port }) => {
      // Nothing is proven by an address; it keeps out what is plainly not for us.
      if (port === peer.port && sameAddress(address, peer.address)) receive(datagram)
    })
    socket.on('error', (error) => {
      this.#fault = error
    })
  }

  get fault(): unknown {
    return this.#fault
  }

  send(datagram: Uint8Array): void {
    if (this.#isClosed) return
    const { address, port } = this.#peer
    this.#socket.send(datagram, port, address, (error) => {
      this.#fault = error ?? undefined
    })
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.close()
  }
}

/** A zone (`fe80::1%eth0`) says by which interface, not who. */
function sameAddress(one: string, other: string): boolean {
  return one.split('%')[0] === other.split('%')[0]
}
