/**
 * From the operator's word to the end of the device's connection: many devices are connected, and
 * some are revoked one after another over the control socket, as `countersign identity revoke` does
 * it. The time runs from the moment the order is written to the moment the client sees its socket
 * closed.
 */
import { Arena, type Operator } from './arena.ts'
import { fsyncNote } from './fsync.ts'
import { quantile, sorted } from './measure.ts'
import { monotonicMs, sleep } from './processes.ts'
import type { Report } from './report.ts'
import type { Options } from './run.ts'
import { serveHouse } from './servedHouse.ts'

const revocations = 500

export async function run({ connections }: Options): Promise<Report> {
  const arena = await Arena.open(connections + revocations)
  try {
    const server = await arena.started(serveHouse(arena.house.dir))
    const doors = [
      { name: 'https', port: server.httpsPort, isMqtt: false },
      { name: 'mqtts', port: server.mqttsPort, isMqtt: true },
    ]
    const times = new Map<string, readonly number[]>()
    const operator = await arena.operator()
    let from = 0
    for (const { name, port, isMqtt } of doors) {
      // Those that were revoked at the door before do not come in any more.
      await arena.client.hold({
        port,
        withIssuer: false,
        isMqtt,
        from,
        connections: from + connections,
      })
      await sleep(1000)
      times.set(name, await revokeSome(arena, operator, from, Math.min(revocations, connections)))
      from += revocations
      await arena.client.letGo()
    }
    await operator.close()
    return {
      tables: [
        {
          columns: ['door', 'revoked of connected', 'p50', 'p99', 'longest'],
          rows: [...times].map(([name, list]) => [
            name,
            `${list.length} of ${connections.toLocaleString('en')}`,
            ...[0.5, 0.99, 1].map((share) => `${quantile(list, share).toFixed(1)} ms`),
          ]),
        },
      ],
      goals: [...times].map(([name, list]) => ({
        what: `${name}: p99 of the time to the closed socket`,
        ratio: quantile(list, 0.99) / 1000,
        wanted: 1,
        sense: 'at most',
        unit: ' s',
      })),
      notes: [fsyncNote(arena.house.dir)],
    }
  } finally {
    await arena.close()
  }
}

/** One after another; the connections of the others must stay. */
async function revokeSome(
  arena: Arena,
  operator: Operator,
  from: number,
  count: number,
): Promise<readonly number[]> {
  const { client, house } = arena
  const times: number[] = []
  for (let index = from; index < from + count; index++) {
    const begin = monotonicMs()
    const id = house.devices[index]?.serial ?? ''
    await operator.call('identity.revoke', { id, reason: 'keyCompromise' })
    times.push((await client.closedAt(index)) - begin)
  }
  if (client.closedCount !== count)
    throw new Error(`${client.closedCount} connections were closed for ${count} revocations`)
  return sorted(times)
}
