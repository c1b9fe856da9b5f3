/**
 * Memory per idle authenticated connection: resident bytes of the server with many devices
 * connected and silent, less those of the server alone, both after a forced collection. Every
 * connection is another device's, so that what is kept of each device is in the figure.
 */
import { startBareNode } from './anchors.ts'
import { Arena } from './arena.ts'
import { collectGarbage } from './inspector.ts'
import { median, sorted } from './measure.ts'
import { type Running, residentBytes, sleep } from './processes.ts'
import { atMost, type Report } from './report.ts'
import type { Options } from './run.ts'
import { serveHouse } from './servedHouse.ts'

const inspect = ['--inspect=127.0.0.1:0']
const rounds = 3
/** The first connections bring code and caches that every later one shares. */
const warmUp = 200

interface Door {
  readonly name: string
  /** A server of its own for each round: memory once taken is not given back. */
  start(arena: Arena): Promise<Running & { readonly port: number }>
  readonly isOurs: boolean
  readonly isMqtt?: boolean
}

const bareDoor = (server: 'tls' | 'https'): Door => ({
  name: `bare Node ${server}, issuing CA pinned`,
  start: ({ house }) => startBareNode(house, { trust: 'issuingCa', server, nodeFlags: inspect }),
  isOurs: false,
})
const bare = bareDoor('tls')
const doors: readonly Door[] = [
  {
    name: '**countersign, https door**',
    start: async ({ house }) => {
      const served = await serveHouse(house.dir, inspect)
      return { ...served, port: served.httpsPort }
    },
    isOurs: true,
  },
  {
    name: '**countersign, mqtts door**, with an MQTT session',
    start: async ({ house }) => {
      const served = await serveHouse(house.dir, inspect)
      return { ...served, port: served.mqttsPort }
    },
    isOurs: true,
    isMqtt: true,
  },
  bare,
  bareDoor('https'),
]

export async function run({ connections }: Options): Promise<Report> {
  const arena = await Arena.open(connections + warmUp)
  try {
    const kibibytes = new Map<Door, number[]>(doors.map((door) => [door, []]))
    for (let round = 0; round < rounds; round++) {
      for (const door of doors)
        kibibytes.get(door)?.push(await measureDoor(arena, door, connections))
    }
    const middle = (door: Door): number => median(sorted(kibibytes.get(door) ?? []))
    return {
      tables: [
        {
          columns: ['case', 'KiB per connection', 'rounds'],
          rows: doors.map((door) => [
            door.name,
            middle(door).toFixed(1),
            (kibibytes.get(door) ?? []).map((one) => one.toFixed(1)).join(', '),
          ]),
        },
      ],
      goals: doors
        .filter(({ isOurs }) => isOurs)
        .flatMap((door) =>
          atMost(`${plain(door.name)} to bare Node`, middle(door), middle(bare), 1.15),
        ),
      notes: [
        `${connections.toLocaleString('en')} connections, each of another device; memory of the kernel's sockets is not in it.`,
      ],
    }
  } finally {
    await arena.close()
  }
}

async function measureDoor(arena: Arena, door: Door, connections: number): Promise<number> {
  const server = await door.start(arena)
  try {
    const target = { port: server.port, withIssuer: false, isMqtt: door.isMqtt === true }
    await arena.client.hold({ ...target, connections: warmUp })
    const before = await settledBytes(server)
    await arena.client.hold({ ...target, connections: connections + warmUp, from: warmUp })
    const after = await settledBytes(server)
    if (arena.client.closedCount > 0)
      throw new Error(`${door.name} has closed ${arena.client.closedCount} connections`)
    return (after - before) / connections / 1024
  } finally {
    await arena.client.letGo()
    await server.stop()
  }
}

/** What was written behind the handshakes is through, and what nobody holds is collected. */
async function settledBytes(server: Running): Promise<number> {
  await sleep(1500)
  await collectGarbage(server)
  await sleep(200)
  return residentBytes(server.pid)
}

function plain(name: string): string {
  return name.replaceAll('**', '')
}
