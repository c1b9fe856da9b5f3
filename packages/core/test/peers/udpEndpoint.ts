/** An endpoint on a socket of this machine, in real time, whose link may lose or double datagrams. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { randomBytes } from '@countersign/element/nodeCrypto'
import { CoapEndpoint, type EndpointParts } from '../../src/coap/index.ts'

/** How often each datagram is sent: 0 loses it. */
export type Copies = (datagram: Uint8Array) => number

export class UdpEndpoint {
  readonly endpoint: CoapEndpoint
  readonly port: number
  readonly #socket: Socket

  private constructor(socket: Socket, parts: Partial<EndpointParts>, copies: Copies) {
    this.#socket = socket
    this.port = socket.address().port
    this.endpoint = new CoapEndpoint({
      clock: { now: () => Date.now() },
      random: randomBytes,
      timers: { after: armed },
      send: (datagram, to) => {
        const [host, port] = to.split(':')
        for (let left = copies(datagram); left > 0; left--) {
          socket.send(datagram, Number(port), host)
        }
      },
      serve: (_, __, respond) => respond(undefined),
      ...parts,
    })
    socket.on('message', (datagram, { address, port }) => {
      this.endpoint.receive(datagram, `${address}:${port}`)
    })
  }

  /** Closed when the test is over. */
  static async open(
    t: TestContext,
    parts: Partial<EndpointParts> = {},
    copies: Copies = () => 1,
  ): Promise<UdpEndpoint> {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const opened = new UdpEndpoint(socket, parts, copies)
    t.after(() => opened.#close())
    return opened
  }

  #close(): void {
    this.endpoint.close()
    this.#socket.close()
  }
}

function armed(milliseconds: number, run: () => void): { cancel(): void } {
  const timer = setTimeout(run, milliseconds)
  return { cancel: () => clearTimeout(timer) }
}
