/** Endpoints in a time of their own: a clock and timers held in the hand, links that are watched. */
import {
  CoapEndpoint,
  type CoapMessage,
  type EndpointParts,
  type OutgoingRequest,
  type OutgoingResponse,
  type Respond,
} from '../../src/coap/index.ts'
import { fromHex, hex, utf8 } from '../../src/codec/index.ts'
import type { Clock, Random, Timers } from '../../src/ports.ts'

interface Armed {
  readonly at: number
  readonly run: () => void
}

/** Clock and timers: what falls due runs in order when the time is moved. */
export class HandTime implements Clock, Timers {
  #now = 1_000_000
  readonly #armed: Set<Armed> = new Set()

  now(): number {
    return this.#now
  }

  get armed(): number {
    return this.#armed.size
  }

  after(milliseconds: number, run: () => void): { cancel(): void } {
    const armed = { at: this.#now + milliseconds, run }
    this.#armed.add(armed)
    return { cancel: () => void this.#armed.delete(armed) }
  }

  advance(milliseconds: number): void {
    const end = this.#now + milliseconds
    for (;;) {
      const [next] = [...this.#armed].toSorted((one, other) => one.at - other.at)
      if (next === undefined || next.at > end) break
      this.#armed.delete(next)
      this.#now = next.at
      next.run()
    }
    this.#now = end
  }
}

/** Bytes in the order of a list, which begins again at its end. */
export function drawn(text: string): Random {
  const bytes = fromHex(text)
  let at = 0
  return { bytes: (length) => Uint8Array.from({ length }, () => bytes[at++ % bytes.length] ?? 0) }
}

/** Seeded (xorshift32): the same numbers each time. */
export function seeded(seed: number): Random {
  let state = seed
  const byte = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state & 0xff
  }
  return { bytes: (length) => Uint8Array.from({ length }, byte) }
}

export interface Served {
  readonly request: CoapMessage
  readonly from: string
  readonly respond: Respond
}

export interface Desk {
  readonly endpoint: CoapEndpoint
  readonly time: HandTime
  /** Everything that went out, `<hex> > <to>`, and what is taken from it. */
  readonly sent: string[]
  readonly served: Served[]
  /** A datagram in hex comes in. */
  readonly hears: (datagram: string, from?: string) => void
  /** What went out since the last time. */
  readonly says: () => readonly string[]
}

export const peer = '192.0.2.1:5683'

/** Served requests wait in `served` where `parts` has no `serve`. */
export function desk(parts: Partial<EndpointParts> = {}, time: HandTime = new HandTime()): Desk {
  const sent: string[] = []
  const served: Served[] = []
  const endpoint = new CoapEndpoint({
    clock: time,
    timers: time,
    random: seeded(7),
    send: (datagram, to) => sent.push(to === peer ? hex(datagram) : `${hex(datagram)} > ${to}`),
    serve: (request, from, respond) => served.push({ request, from, respond }),
    ...parts,
  })
  return {
    endpoint,
    time,
    sent,
    served,
    hears: (datagram, from = peer) => endpoint.receive(fromHex(datagram), from),
    says: () => sent.splice(0),
  }
}

export const nothing: Uint8Array = new Uint8Array()

export function get(path: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return { code: 1, options: [{ number: 11, value: utf8(path) }], payload: nothing, ...more }
}

export function content(text: string): OutgoingResponse {
  return { code: 0x45, options: [], payload: utf8(text) }
}
