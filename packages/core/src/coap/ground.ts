/** What both sides of an endpoint share: ports, limits, parameters, Message IDs. */
import type { Clock, Random, Timers } from '../ports.ts'
import { type EndpointLimits, type EndpointParts, endpointLimits } from './endpointParts.ts'
import { MessageIds } from './messageIds.ts'
import {
  defaultTransmission,
  type Lifetimes,
  lifetimesOf,
  type Transmission,
} from './transmission.ts'

export interface Ground {
  readonly clock: Clock
  readonly random: Random
  readonly timers: Timers
  readonly send: (datagram: Uint8Array, to: string) => void
  readonly limits: EndpointLimits
  readonly transmission: Transmission
  readonly lifetimes: Lifetimes
  readonly messageIds: MessageIds
}

export function groundOf({ clock, random, timers, send, ...given }: EndpointParts): Ground {
  const limits = { ...endpointLimits, ...given.limits }
  const transmission = { ...defaultTransmission, ...given.transmission }
  const lifetimes = lifetimesOf(transmission)
  const ids = new MessageIds(clock, random, lifetimes.exchangeMs, limits.messageIdCounters)
  return { clock, random, timers, send, limits, transmission, lifetimes, messageIds: ids }
}

/** Names a message of ours, or a request by its token, at one peer. */
export function keyAt(peer: string, name: string | number): string {
  return `${name} ${peer}`
}
