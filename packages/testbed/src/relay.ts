/**
 * A hostile TCP relay: it stands between a device and its server, records everything, and breaks
 * some connections by a seeded plan. It has no keys and never looks inside. Run in a process of its
 * own by `hostileRelay`; this is the part with sockets.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { applyFault, type ConnectionPlan, type PlanOptions, planConnection } from './plan.ts'
import { Recorder } from './recorder.ts'
import type { Seeded } from './seeded.ts'

export interface RelayOptions {
  readonly target: { readonly host: string; readonly port: number }
  readonly plan: PlanOptions
  readonly random: Seeded
}

export interface RelayStats {
  readonly connections: number
  /** Chunks carried, both ways. */
  readonly frames: number
  readonly bytes: number
  readonly tampered: number
  readonly delayed: number
  /** Connections open now. */
  readonly open: number
}

export interface Relay {
  readonly port: number
  stats(): RelayStats
  setPlan(plan: PlanOptions): void
  /**
   * Occurrences of these byte strings in everything that was recorded; `complete` is false when
   * some was forgotten.
   */
  search(markers: readonly Uint8Array[]): { readonly found: number; readonly complete: boolean }
  close(): Promise<void>
}

export async function startRelay(options: RelayOptions): Promise<Relay> {
  const relay = new TcpRelay(options)
  await relay.listen()
  return relay
}

class TcpRelay implements Relay {
  readonly #options: RelayOptions
  readonly #server: Server
  readonly #recorder: Recorder = new Recorder()
  readonly #sockets: Set<Socket> = new Set()
  #plan: PlanOptions
  #port = 0
  #counts = { connections: 0, frames: 0, bytes: 0, tampered: 0, delayed: 0 }

  constructor(options: RelayOptions) {
    this.#options = options
    this.#plan = options.plan
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#carry(socket))
  }

  get port(): number {
    return this.#port
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', () => {
        const address = this.#server.address()
        if (address !== null && typeof address !== 'string') this.#port = address.port
        resolve()
      })
    })
  }

  stats(): RelayStats {
    // Two sockets a connection: the device's and the server's.
    return { ...this.#counts, open: Math.ceil(this.#sockets.size / 2) }
  }

  setPlan(plan: PlanOptions): void {
    this.#plan = plan
  }

  search(markers: readonly Uint8Array[]): { found: number; complete: boolean } {
    return { found: this.#recorder.count(markers), complete: this.#recorder.complete }
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  #carry(client: Socket): void {
    const number = this.#counts.connections++
    const random = this.#options.random.fork(number)
    const plan = planConnection(this.#plan, random)
    const upstream = connect({ ...this.#options.target, allowHalfOpen: true })
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      // A broken side is what this relay is for: the other one is told by closing it.
      socket.on('error', end)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        end()
      })
    }
    const way = { plan, random, number, end }
    void this.#pump(client, upstream, 'up', way).catch(end)
    void this.#pump(upstream, client, 'down', way).catch(end)
  }

  async #pump(
    from: Socket,
    to: Socket,
    direction: 'up' | 'down',
    way: { plan: ConnectionPlan; random: Seeded; number: number; end: () => void },
  ): Promise<void> {
    const random = way.random.fork(direction === 'up' ? 1 : 2)
    const held = new Held(to)
    let index = 0
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      if (!(chunk instanceof Uint8Array)) continue
      this.#counts.frames++
      this.#counts.bytes += chunk.length
      this.#recorder.add(`${way.number}/${direction}`, chunk)
      await this.#delay(random)
      const hit = direction === way.plan.direction
      const verdict = hit ? applyFault(way.plan, index, chunk) : undefined
      index++
      if (verdict?.tampered === true) this.#counts.tampered++
      for (const part of verdict?.forward ?? [chunk]) if (!to.write(part)) await drained(to)
      if (held.release()) this.#counts.tampered++
      if (verdict?.end === true) {
        // What was forwarded may still arrive; nothing more does.
        to.end(way.end)
        return
      }
      if (verdict?.hold !== undefined) held.hold(verdict.hold)
    }
    held.release()
    to.end()
  }

  async #delay(random: Seeded): Promise<void> {
    const { delayMsMax } = this.#plan
    if (delayMsMax <= 0 || !random.chance(0.25)) return
    this.#counts.delayed++
    await sleep(1 + random.below(delayMsMax))
  }
}

/**
 * Nothing overtakes a chunk that nothing follows: after this it goes on by itself, late and in
 * order.
 */
const holdMsMax = 150

/** A chunk that waits to be overtaken by the next one. */
class Held {
  readonly #to: Socket
  #chunk: Uint8Array | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(to: Socket) {
    this.#to = to
  }

  hold(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#timer = setTimeout(() => this.release(), holdMsMax)
  }

  /** False when nothing was held. */
  release(): boolean {
    if (this.#chunk === undefined) return false
    clearTimeout(this.#timer)
    this.#to.write(this.#chunk)
    this.#chunk = undefined
    return true
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.once('drain', done)
    socket.once('close', done)
    if (socket.destroyed) done()
  })
}
