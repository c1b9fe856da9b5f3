/**
 * A network of datagrams in virtual time. Endpoints have names such as `10.0.0.7:5683`; each hangs
 * on the network by a link of its own, with a plan for each way, which can be cut for a while and
 * whose address can change as behind a NAT. A datagram crosses the link of its sender, then the one
 * of its receiver; somebody may stand between them (hostileDatagrams.ts). All chance comes from the
 * seed, and every link draws its own: what one device sends moves no other device's luck.
 *
 * @example
 * const network = new DatagramNetwork(time, seeded(7))
 * const device = network.open('10.0.0.7:5683', (datagram, from) => coap.receive(datagram, from))
 * device.send(datagram, '192.0.2.1:5683')
 */
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import type { Seeded } from '../seeded.ts'
import { type Copy, cross, type LinkPlan, perfectLink } from './link.ts'
import type { Timeline } from './virtualTime.ts'

export type NetworkErrorCode = 'ERR_ADDRESS_TAKEN'

export type Receive = (datagram: Uint8Array, from: string) => void

/** One datagram on its way between two names. */
export type Carry = (datagram: Uint8Array, from: string, to: string) => void

/**
 * `sent` is seen once for each datagram that an endpoint gave to its link, before anything is done
 * to it. The others are what became of it; `delivered` has the bytes that arrived.
 */
export type NetworkAct =
  | 'sent'
  | 'lost'
  | 'duplicated'
  | 'corrupted'
  | 'too long'
  | 'cut'
  | 'crowded out'
  | 'nobody there'
  | 'delivered'

export interface NetworkEvent {
  readonly act: NetworkAct
  readonly at: Milliseconds
  readonly from: string
  readonly to: string
  readonly datagram: Uint8Array
}

export interface LinkPlans {
  /** From the endpoint into the network. */
  readonly up: LinkPlan
  readonly down: LinkPlan
}

export interface NetworkEndpoint {
  /** As the others see it now. */
  readonly address: string
  send(datagram: Uint8Array, to: string): void
  /** For so long nothing goes through, either way; 0 ends a cut. */
  cut(milliseconds: number): void
  /** Another address from now on; what is on its way to the old one finds nobody. */
  rebind(address: string): void
  close(): void
}

/** RFC 6335 §6. */
const dynamicPorts = { first: 49_152, count: 16_384 } as const
/** What is on its way at one time; a flood beyond it is lost, as in a router's queue. */
const underWayMax = 65_536

interface Attached {
  address: string
  readonly receive: Receive
  readonly random: { readonly up: Seeded; readonly down: Seeded }
  readonly plans: LinkPlans
  cutUntil: Milliseconds
}

export class DatagramNetwork {
  readonly #time: Timeline
  readonly #random: Seeded
  readonly #attached: Map<string, Attached> = new Map()
  readonly #observers: ((event: NetworkEvent) => void)[] = []
  #middle: Carry | undefined
  #opened = 0
  #rebound = 0
  #underWay = 0

  constructor(time: Timeline, random: Seeded) {
    this.#time = time
    this.#random = random
  }

  open(address: string, receive: Receive, plans: Partial<LinkPlans> = {}): NetworkEndpoint {
    const random = this.#random.fork(this.#opened++)
    const attached: Attached = {
      address,
      receive,
      random: { up: random.fork(1), down: random.fork(2) },
      plans: { up: perfectLink, down: perfectLink, ...plans },
      cutUntil: Number.NEGATIVE_INFINITY,
    }
    this.#attach(attached, address)
    return this.#endpointOf(attached)
  }

  /** Sees every event from now on. */
  observe(observer: (event: NetworkEvent) => void): void {
    this.#observers.push(observer)
  }

  /**
   * Whoever stands between all senders and all receivers, and hands on by `carry` what it likes.
   */
  through(middle: Carry | undefined): void {
    this.#middle = middle
  }

  /** Carries a datagram from a name to a name, whoever made it. */
  readonly carry: Carry = (datagram, from, to) => {
    const sender = this.#attached.get(from)
    if (sender === undefined) {
      this.#arrive({ datagram, delayMs: 0, corrupted: false }, from, to)
      return
    }
    if (this.#isCut(sender)) {
      this.#tell('cut', datagram, from, to)
      return
    }
    this.#cross(sender, 'up', datagram, from, to, (copy) => this.#arrive(copy, from, to))
  }

  /** A NAT that forgot: the endpoint has another port of its host. False when nobody is there. */
  readonly rebind = (address: string): boolean => {
    const attached = this.#attached.get(address)
    if (attached === undefined) return false
    const host = address.slice(0, Math.max(0, address.lastIndexOf(':')))
    let next: string
    do next = `${host}:${dynamicPorts.first + (this.#rebound++ % dynamicPorts.count)}`
    while (this.#attached.has(next))
    this.#move(attached, next)
    return true
  }

  #endpointOf(attached: Attached): NetworkEndpoint {
    return {
      get address(): string {
        return attached.address
      },
      send: (datagram, to) => this.#send(attached, Uint8Array.from(datagram), to),
      cut: (milliseconds) => {
        attached.cutUntil = this.#time.now() + milliseconds
      },
      rebind: (address) => this.#move(attached, address),
      close: () => this.#detach(attached),
    }
  }

  #send(sender: Attached, datagram: Uint8Array, to: string): void {
    // Closed: the process that sends is dead.
    if (this.#attached.get(sender.address) !== sender) return
    this.#tell('sent', datagram, sender.address, to)
    const next = this.#middle ?? this.carry
    next(datagram, sender.address, to)
  }

  #arrive(copy: Copy, from: string, to: string): void {
    if (this.#underWay >= underWayMax) {
      this.#tell('crowded out', copy.datagram, from, to)
      return
    }
    const receiver = this.#attached.get(to)
    if (receiver === undefined) this.#deliverLater(copy, from, to)
    else
      this.#cross(receiver, 'down', copy.datagram, from, to, (last) =>
        this.#deliverLater({ ...last, delayMs: copy.delayMs + last.delayMs }, from, to),
      )
  }

  #cross(
    { plans, random }: Attached,
    way: 'up' | 'down',
    datagram: Uint8Array,
    from: string,
    to: string,
    go: (copy: Copy) => void,
  ): void {
    if (datagram.length > plans[way].mtuBytes) {
      this.#tell('too long', datagram, from, to)
      return
    }
    const copies = cross(plans[way], random[way], datagram)
    if (copies.length === 0) this.#tell('lost', datagram, from, to)
    if (copies.length > 1) this.#tell('duplicated', datagram, from, to)
    for (const copy of copies) {
      if (copy.corrupted) this.#tell('corrupted', copy.datagram, from, to)
      go(copy)
    }
  }

  #deliverLater({ datagram, delayMs }: Copy, from: string, to: string): void {
    this.#underWay++
    this.#time.after(delayMs, () => {
      this.#underWay--
      const receiver = this.#attached.get(to)
      const act =
        receiver === undefined ? 'nobody there' : this.#isCut(receiver) ? 'cut' : 'delivered'
      this.#tell(act, datagram, from, to)
      if (act === 'delivered') receiver?.receive(Uint8Array.from(datagram), from)
    })
  }

  #isCut(attached: Attached): boolean {
    return this.#time.now() < attached.cutUntil
  }

  #move(attached: Attached, address: string): void {
    // A process that is gone has no address to lose.
    if (this.#attached.get(attached.address) !== attached) return
    if (address === attached.address) return
    this.#attach(attached, address, attached.address)
  }

  #attach(attached: Attached, address: string, left?: string): void {
    if (this.#attached.has(address)) {
      throw new CallerError<NetworkErrorCode>(
        'ERR_ADDRESS_TAKEN',
        `${address} is somebody's already`,
      )
    }
    if (left !== undefined) this.#attached.delete(left)
    attached.address = address
    this.#attached.set(address, attached)
  }

  #detach(attached: Attached): void {
    if (this.#attached.get(attached.address) === attached) this.#attached.delete(attached.address)
  }

  #tell(act: NetworkAct, datagram: Uint8Array, from: string, to: string): void {
    const event: NetworkEvent = { act, at: this.#time.now(), from, to, datagram }
    for (const observer of this.#observers) observer(event)
  }
}
