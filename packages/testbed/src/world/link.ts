/**
 * What a link does to datagrams by chance: it loses, doubles, delays and damages them, and takes
 * none above its MTU. Delays that differ put them out of order.
 */
import type { Seeded } from '../seeded.ts'

export interface LinkPlan {
  /** Chances for each datagram, 0 … 1. */
  readonly loss: number
  readonly duplication: number
  /** One bit of it is turned over. */
  readonly corruption: number
  /** Each delay between these is as likely as another. */
  readonly delayMsMin: number
  readonly delayMsMax: number
  readonly mtuBytes: number
}

/** Whole datagrams of UDP over IPv4. */
export const datagramBytesMax = 65_507

export const perfectLink: LinkPlan = {
  loss: 0,
  duplication: 0,
  corruption: 0,
  delayMsMin: 0,
  delayMsMax: 0,
  mtuBytes: datagramBytesMax,
}

/** One datagram that a link gives out at its other end. */
export interface Copy {
  readonly delayMs: number
  readonly datagram: Uint8Array
  readonly corrupted: boolean
}

/** What comes out of the link: nothing when it was lost, two copies when it was doubled. */
export function cross(plan: LinkPlan, random: Seeded, datagram: Uint8Array): readonly Copy[] {
  // All are drawn for each datagram: one number of the plan changed leaves the other draws as they
  // were.
  const lost = random.chance(plan.loss)
  const doubled = random.chance(plan.duplication)
  const copies = [copyOf(plan, random, datagram), copyOf(plan, random, datagram)]
  return lost ? [] : copies.slice(0, doubled ? 2 : 1)
}

function copyOf(plan: LinkPlan, random: Seeded, datagram: Uint8Array): Copy {
  const delayMs = plan.delayMsMin + random.below(plan.delayMsMax - plan.delayMsMin + 1)
  const hit = random.chance(plan.corruption)
  const bit = random.word()
  const corrupted = hit && datagram.length > 0
  return { delayMs, datagram: corrupted ? withBitTurned(datagram, bit) : datagram, corrupted }
}

/** A copy in which one bit is another one; `bit` is taken modulo their number. */
export function withBitTurned(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes)
  const at = bit % (8 * changed.length)
  changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7))
  return changed
}
