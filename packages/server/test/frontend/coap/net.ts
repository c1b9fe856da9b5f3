/** Datagrams between a door and devices in one process: nothing is lost unless a test takes it away. */
import type {
  DatagramLink,
  DatagramLinkParts,
  OpenLink,
} from '../../../src/frontend/coap/udpSocket.ts'

export type Receiver = (datagram: Uint8Array) => void

/** What a device needs of a network. */
export interface Link {
  attach(address: string, receive: Receiver): void
  detach(address: string): void
  /** To the door, from whatever address. */
  deliver(datagram: Uint8Array, from: string): void
}

export class Net implements Link {
  /** What the door sent, to whom, in order. */
  readonly sent: { readonly datagram: Uint8Array; readonly to: string }[] = []
  /** What devices send does not arrive. */
  isDeaf = false
  readonly #receivers: Map<string, Receiver> = new Map()
  #door: DatagramLinkParts | undefined

  readonly open: OpenLink = (_door, _at, parts): Promise<DatagramLink> => {
    this.#door = parts
    return Promise.resolve({
      port: 5683,
      send: (datagram, to) => {
        this.sent.push({ datagram: datagram.slice(), to })
        this.#receivers.get(to)?.(datagram.slice())
      },
      close: () => {
        this.#door = undefined
        return Promise.resolve()
      },
    })
  }

  attach(address: string, receive: Receiver): void {
    this.#receivers.set(address, receive)
  }

  detach(address: string): void {
    this.#receivers.delete(address)
  }

  deliver(datagram: Uint8Array, from: string): void {
    if (!this.isDeaf) this.#door?.received(datagram.slice(), from)
  }
}
