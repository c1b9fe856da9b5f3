/**
 * The hostile gateways: one for each road, each in a process of its own, reached by sockets only.
 */
import { type HostileRelay, hostileRelay, type PlanOptions } from '@countersign/testbed'
import { type DemoRoad, demoRoads } from './cast.ts'
import type { DemoServer } from './demoHouse.ts'
import type { GatewayObservation } from './report.ts'

export type Gateways = Readonly<Record<DemoRoad, HostileRelay>>

/** Half of all connections get a fault somewhere in their first chunks. */
const attacks: PlanOptions = { faultShare: 0.5, delayMsMax: 6 }

/** Each draws from a seed of its own, made of the one that is told. */
export async function openGateways(server: DemoServer, seed: number): Promise<Gateways> {
  const open = (road: DemoRoad): Promise<HostileRelay> => {
    const target = { host: '127.0.0.1', port: Number(server[road].port) }
    return hostileRelay({ target, seed: seed + demoRoads.indexOf(road), plan: attacks })
  }
  const [https, mqtts] = await Promise.all([open('https'), open('mqtts')])
  return { https, mqtts }
}

export async function closeGateways(gateways: Gateways): Promise<void> {
  await Promise.all(demoRoads.map((road) => gateways[road].close()))
}

/** Without a gateway nothing was carried. */
export async function observe(
  gateways: Gateways | undefined,
  plaintext: Readonly<Partial<Record<DemoRoad, number>>>,
): Promise<Readonly<Record<DemoRoad, GatewayObservation>>> {
  const one = async (road: DemoRoad): Promise<GatewayObservation> => {
    const { frames = 0, tampered = 0 } = (await gateways?.[road].stats()) ?? {}
    return { frames, tampered, plaintext: plaintext[road] ?? 0 }
  }
  const [https, mqtts] = await Promise.all([one('https'), one('mqtts')])
  return { https, mqtts }
}
