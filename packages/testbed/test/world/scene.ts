/** Two peers on a network in virtual time, and everything that happened between them. */
import { hex } from '@countersign/core/codec'
import {
  DatagramNetwork,
  type LinkPlans,
  type NetworkEndpoint,
  type NetworkEvent,
  seeded,
  VirtualTime,
} from '../../src/index.ts'

export const device = '10.0.0.7:5683'
export const server = '192.0.2.1:5683'

export interface Scene {
  readonly time: VirtualTime
  readonly network: DatagramNetwork
  readonly device: NetworkEndpoint
  readonly server: NetworkEndpoint
  readonly events: NetworkEvent[]
  /** What the server has, as `from bytes`. */
  readonly heard: string[]
  readonly heardByDevice: string[]
}

export function scene(seed: number, link: Partial<LinkPlans> = {}): Scene {
  const time = new VirtualTime(0)
  const network = new DatagramNetwork(time, seeded(seed))
  const events: NetworkEvent[] = []
  network.observe((event) => void events.push(event))
  const [heard, heardByDevice]: [string[], string[]] = [[], []]
  return {
    time,
    network,
    events,
    heard,
    heardByDevice,
    device: network.open(device, noteIn(heardByDevice), link),
    server: network.open(server, noteIn(heard)),
  }
}

function noteIn(where: string[]): (datagram: Uint8Array, from: string) => void {
  return (datagram, from) => void where.push(`${from} ${hex(datagram)}`)
}

/** Numbered datagrams from the device, ten milliseconds apart. */
export async function sendMany(it: Scene, count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    it.device.send(numbered(number), server)
    await it.time.advance(10)
  }
  await it.time.run()
}

export function numbered(number: number): Uint8Array {
  return Uint8Array.of(0x40, number >> 8, number & 255)
}

export function countOf(events: readonly NetworkEvent[], act: NetworkEvent['act']): number {
  return events.filter((event) => event.act === act).length
}
