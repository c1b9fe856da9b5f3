/**
 * An attacker on the path of datagrams, by a seeded plan and without keys: it records what goes by
 * and uses it later, also when both sides have been started anew meanwhile. What it keeps is
 * bounded. It stands in a network of virtual time (`network.through`) or between sockets
 * (../udpRelay.ts).
 *
 * @example
 * const { carry, rebind } = network
 * const hostile = new HostileDatagrams({ time, random, plan, carry, rebind })
 * network.through(hostile.pass)
 */
import type { Milliseconds } from '@countersign/core/ports'
import type { Seeded } from '../seeded.ts'
import type { Carry } from './datagramNetwork.ts'
import { type Forgery, forge } from './forgeries.ts'
import { withBitTurned } from './link.ts'
import type { Timeline } from './virtualTime.ts'

export type Attack =
  /** One that went by earlier is sent again, the way it went then. */
  | 'replay'
  /** It comes back to whoever sent it, as if the receiver had said it. */
  | 'reflect'
  /** It goes on in the name of another sender. */
  | 'swap source'
  /** One bit is turned over, on the way or in a second copy that comes first. */
  | 'flip'
  /** Cut at a random place, on the way or in a second copy that comes first. */
  | 'truncate'
  | 'duplicate'
  | 'drop'
  /** The next one overtakes it. */
  | 'reorder'
  /** It goes on much later. */
  | 'hold'
  /** The sender gets another address behind its NAT, where whoever carries can do that. */
  | 'rebind'
  | Forgery

export interface AttackPlan {
  /** Share of datagrams that are attacked, 0 … 1: each with one attack. */
  readonly share: number
  /** Attacks to draw from, all by default; one that stands here twice is twice as likely. */
  readonly attacks?: readonly Attack[]
  /** Longest time that something is held back or kept for a replay. */
  readonly lateMsMax: number
}

export const allAttacks: readonly Attack[] = [
  'replay',
  'reflect',
  'swap source',
  'flip',
  'truncate',
  'duplicate',
  'drop',
  'reorder',
  'hold',
  'rebind',
  'forged reset',
  'forged acknowledgement',
  'forged 4.01',
  'forged echo',
  'forged busy',
  'forged edhoc error',
  'forged edhoc error of the initiator',
]

export interface HostileParts {
  readonly time: Timeline
  readonly random: Seeded
  readonly plan: AttackPlan
  readonly carry: Carry
  /** False when nobody with that address is there. */
  readonly rebind?: (address: string) => boolean
}

export interface Recorded {
  readonly at: Milliseconds
  readonly from: string
  readonly to: string
  readonly datagram: Uint8Array
}

/** Beyond these the oldest is forgotten; what cannot be held goes on at once. */
export const hostileLimits: {
  readonly recordsMax: number
  readonly recordedBytesMax: number
  readonly heldMax: number
} = { recordsMax: 2048, recordedBytesMax: 4 * 1024 * 1024, heldMax: 512 }
/** Nothing overtakes what nothing follows: then it goes on late. */
const overtakeMsMax = 150

export class HostileDatagrams {
  readonly #parts: HostileParts
  readonly #recorded: Recorded[] = []
  readonly #counts: Map<Attack, number> = new Map()
  readonly #waiting: Set<{ cancel(): void }> = new Set()
  #recordedBytes = 0
  #plan: AttackPlan
  #passed = 0
  #carried = 0
  /** What waits to be overtaken by the next one that goes the same way. */
  #behind:
    | { readonly from: string; readonly to: string; readonly overtaken: () => void }
    | undefined

  constructor(parts: HostileParts) {
    this.#parts = parts
    this.#plan = parts.plan
  }

  setPlan(plan: AttackPlan): void {
    this.#plan = plan
  }

  /** Datagrams that came by. */
  get passed(): number {
    return this.#passed
  }

  /** How often each attack took place. */
  counts(): Readonly<Partial<Record<Attack, number>>> {
    return Object.fromEntries(this.#counts)
  }

  get attacked(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }

  /** The latest of what went by, oldest first. */
  recorded(): readonly Recorded[] {
    return this.#recorded
  }

  /** Sends a datagram again now, the way it went. */
  replay(record: Recorded): void {
    this.#count('replay')
    this.#carry(record)
  }

  /** Forgets what it holds back and will not replay what it meant to. */
  end(): void {
    for (const timer of this.#waiting) timer.cancel()
    this.#waiting.clear()
    this.#behind = undefined
  }

  readonly pass: Carry = (datagram, from, to) => {
    const number = this.#passed++
    // Each its own: what is drawn for one moves no other's luck.
    const random = this.#parts.random.fork(number)
    const attack = this.#attackOf(random)
    const record: Recorded = { at: this.#parts.time.now(), datagram, from, to }
    const before = this.#carried
    if (attack === undefined || !this.#perform(attack, record, random)) this.#carry(record)
    const behind = this.#behind
    if (this.#carried > before && behind?.from === from && behind.to === to) behind.overtaken()
    this.#record(record)
  }

  #carry({ datagram, from, to }: Omit<Recorded, 'at'>): void {
    this.#carried++
    this.#parts.carry(datagram, from, to)
  }

  #attackOf(random: Seeded): Attack | undefined {
    const attacks = this.#plan.attacks ?? allAttacks
    const attacked = random.chance(this.#plan.share)
    const attack = attacks[random.below(Math.max(1, attacks.length))]
    return attacked ? attack : undefined
  }

  /** Whether the datagram itself has been seen to: false, and it goes on as it is. */
  #perform(attack: Attack, record: Recorded, random: Seeded): boolean {
    const { datagram, from, to } = record
    switch (attack) {
      case 'drop':
        return this.#count(attack)
      case 'flip':
        if (datagram.length === 0) return false
        return this.#tamper(attack, withBitTurned(datagram, random.word()), record, random)
      case 'truncate':
        if (datagram.length === 0) return false
        return this.#tamper(
          attack,
          datagram.subarray(0, random.below(datagram.length)),
          record,
          random,
        )
      case 'hold':
        return this.#later(attack, random, () => this.#carry(record))
      case 'reorder':
        return this.#reorder(record)
      case 'swap source':
        return this.#swapSource(record, random)
      case 'replay':
        this.#replayOne(random)
        return false
      case 'reflect':
        this.#count(attack)
        this.#carry({ datagram, from: to, to: from })
        return false
      case 'duplicate':
        this.#count(attack)
        this.#carry(record)
        return false
      case 'rebind':
        // Over sockets this one has the new address already, in the network of virtual time not yet.
        if (this.#parts.rebind?.(from) === true) this.#count(attack)
        return false
      default:
        this.#forge(attack, record, random)
        return false
    }
  }

  /**
   * Instead of the true one, or in front of it: a receiver must not be spoiled for what follows.
   */
  #tamper(attack: Attack, changed: Uint8Array, record: Recorded, random: Seeded): boolean {
    this.#count(attack)
    this.#carry({ ...record, datagram: changed })
    return random.chance(0.5)
  }

  #forge(forgery: Forgery, { datagram, from, to }: Recorded, random: Seeded): void {
    const forged = forge(forgery, datagram, random)
    if (forged === undefined) return
    this.#count(forgery)
    const way = forged.to === 'its sender' ? { from: to, to: from } : { from, to }
    this.#carry({ datagram: forged.datagram, ...way })
  }

  #replayOne(random: Seeded): void {
    const old = this.#recorded[random.below(Math.max(1, this.#recorded.length))]
    if (old === undefined) return
    this.#later('replay', random, () => this.#carry(old))
  }

  #swapSource({ datagram, from, to }: Recorded, random: Seeded): boolean {
    const others = new Set(this.#recorded.map((each) => each.from))
    others.delete(from)
    others.delete(to)
    const other = [...others][random.below(Math.max(1, others.size))]
    if (other === undefined) return false
    this.#count('swap source')
    this.#carry({ datagram, from: other, to })
    return true
  }

  #reorder(record: Recorded): boolean {
    if (this.#behind !== undefined) return false
    const timer = this.#wait(overtakeMsMax, () => {
      this.#behind = undefined
      this.#carry(record)
    })
    if (timer === undefined) return false
    const overtaken = (): void => {
      timer.cancel()
      this.#behind = undefined
      this.#count('reorder')
      this.#carry(record)
    }
    this.#behind = { from: record.from, to: record.to, overtaken }
    return true
  }

  /** False when too much waits already. */
  #later(attack: Attack, random: Seeded, run: () => void): boolean {
    const timer = this.#wait(1 + random.below(Math.max(1, this.#plan.lateMsMax)), run)
    return timer !== undefined && this.#count(attack)
  }

  #wait(milliseconds: number, run: () => void): { cancel(): void } | undefined {
    if (this.#waiting.size >= hostileLimits.heldMax) return undefined
    const timer = this.#parts.time.after(milliseconds, () => {
      this.#waiting.delete(waiting)
      run()
    })
    const waiting = {
      cancel: () => {
        this.#waiting.delete(waiting)
        timer.cancel()
      },
    }
    this.#waiting.add(waiting)
    return waiting
  }

  #record(record: Recorded): void {
    this.#recorded.push(record)
    this.#recordedBytes += record.datagram.length
    while (
      this.#recorded.length > hostileLimits.recordsMax ||
      this.#recordedBytes > hostileLimits.recordedBytesMax
    ) {
      this.#recordedBytes -= this.#recorded.shift()?.datagram.length ?? 0
    }
  }

  #count(attack: Attack): true {
    this.#counts.set(attack, (this.#counts.get(attack) ?? 0) + 1)
    return true
  }
}
