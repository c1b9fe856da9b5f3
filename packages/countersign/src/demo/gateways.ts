/**
 * The hostile gateways: one for each road, each in a process of its own, reached by sockets only.
 */
import {
  type Attack,
  type AttackPlan,
  allAttacks,
  type HandshakeLengths,
  type HostileUdpRelay,
  hostileRelay,
  hostileUdpRelay,
  type PlanOptions,
  type RelayView,
} from '@countersign/testbed'
import { type DemoRoad, demoRoads } from './cast.ts'
import type { DemoServer } from './demoHouse.ts'
import type { GatewayObservation } from './report.ts'

export type Gateways = Readonly<Record<DemoRoad, RelayView>> & { readonly coap: HostileUdpRelay }

/** Half of all connections get a fault somewhere in their first chunks. */
const attacks: PlanOptions = { faultShare: 0.5, delayMsMax: 6 }

/** Of datagrams every fifth is lost, changed, doubled, late, overtaken, or answered by a forger. */
const datagramAttacks: AttackPlan = { share: 0.2, lateMsMax: 1500 }
/** Those that may cost a datagram: after three of them in a row seconds have gone. */
const losses: ReadonlySet<Attack> = new Set([
  'drop',
  'flip',
  'truncate',
  'hold',
  'reorder',
  'rebind',
  'swap source',
])

/** Each draws from a seed of its own, made of the one that is told. */
export async function openGateways(server: DemoServer, seed: number): Promise<Gateways> {
  const where = (road: DemoRoad): { target: { host: string; port: number }; seed: number } => ({
    target: { host: '127.0.0.1', port: Number(server[road].port) },
    seed: seed + demoRoads.indexOf(road),
  })
  const [https, mqtts, coap] = await Promise.all([
    hostileRelay({ ...where('https'), plan: attacks }),
    hostileRelay({ ...where('mqtts'), plan: attacks }),
    hostileUdpRelay({ ...where('coap'), plan: datagramAttacks }),
  ])
  return { https, mqtts, coap }
}

/** Meanwhile the gateway of coap loses nothing; everything else that it does goes on. */
export async function withoutLosses<T>({ coap }: Gateways, work: () => Promise<T>): Promise<T> {
  const harmless = allAttacks.filter((attack) => !losses.has(attack))
  await coap.setPlan({ ...datagramAttacks, attacks: harmless })
  try {
    return await work()
  } finally {
    await coap.setPlan(datagramAttacks)
  }
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
  const [https, mqtts, coap] = await Promise.all([one('https'), one('mqtts'), one('coap')])
  return { https, mqtts, coap }
}

/**
 * The messages of the shortest handshake that went by: both sides knew each other's certificate. In
 * the first one of a device the server's travels along.
 */
export async function observeHandshakes(
  gateways: Gateways | undefined,
): Promise<{ readonly coap: readonly number[] }> {
  const seen = (await gateways?.coap.handshakes()) ?? []
  return { coap: seen.toSorted((one, other) => total(one) - total(other))[0] ?? [] }
}

function total([first, second, third]: HandshakeLengths): number {
  return first + second + third
}
