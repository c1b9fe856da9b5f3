/** Datagrams between the coap door and a load in one process: each request is awaited with its answer. */
import type { DatagramLinkParts, OpenLink } from '../packages/server/src/frontend/coap/udpSocket.ts'

export interface Asked {
  readonly from: string
  readonly datagram: Uint8Array
}

export class MemoryLink {
  readonly #waiting: Map<string, (datagram: Uint8Array) => void> = new Map()
  #door: DatagramLinkParts | undefined

  readonly open: OpenLink = async (_door, _at, parts) => {
    this.#door = parts
    return {
      port: 5683,
      send: (datagram, to) => {
        this.#waiting.get(to)?.(datagram)
        this.#waiting.delete(to)
      },
      close: async () => undefined,
    }
  }

  /** Resolves when each has its answer. */
  exchange(asked: readonly Asked[]): Promise<readonly Uint8Array[]> {
    return Promise.all(asked.map((one) => this.#ask(one)))
  }

  #ask({ from, datagram }: Asked): Promise<Uint8Array> {
    return new Promise((resolve) => {
      this.#waiting.set(from, resolve)
      this.#door?.received(datagram, from)
    })
  }
}

/** Of the device with this number: each has an address of its own. */
export function addressOf(number: number): string {
  const host = [number >> 16, number >> 8, number].map((part) => part & 0xff).join('.')
  return `10.${host}:5683`
}
