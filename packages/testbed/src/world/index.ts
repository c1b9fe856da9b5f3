/** The world in virtual time: its clock, its datagrams, and who attacks them. */
export {
  type Carry,
  DatagramNetwork,
  type LinkPlans,
  type NetworkAct,
  type NetworkEndpoint,
  type NetworkEvent,
  type Receive,
} from './datagramNetwork.ts'
export { type Caused, DeedWitness } from './deedWitness.ts'
export { type Forgery, type Forged, forge } from './forgeries.ts'
export {
  type Attack,
  type AttackPlan,
  allAttacks,
  HostileDatagrams,
  hostileLimits,
  type Recorded,
} from './hostileDatagrams.ts'
export { datagramBytesMax, type LinkPlan, perfectLink } from './link.ts'
export { Mortal, type MortalOptions } from './mortal.ts'
export { type Reuse, SealWitness } from './sealWitness.ts'
export { type Life, type Timeline, VirtualTime } from './virtualTime.ts'
export { type WireReuse, WireWitness } from './wireWitness.ts'
