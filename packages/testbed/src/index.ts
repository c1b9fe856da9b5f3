/** A seeded, hostile world for tests, the demo, and firmware without hardware. */
export type { HandshakeLengths } from './handshakesSeen.ts'
export {
  type HostileRelay,
  type HostileRelayOptions,
  type HostileUdpRelay,
  type HostileUdpRelayOptions,
  hostileRelay,
  hostileUdpRelay,
  type RelayView,
} from './hostileRelay.ts'
export { allFaults, type Fault, type PlanOptions } from './plan.ts'
export type { RelayStats } from './relay.ts'
export { type Seeded, seeded, seededRandom } from './seeded.ts'
export type { UdpRelayStats } from './udpRelay.ts'
export * from './world/index.ts'
