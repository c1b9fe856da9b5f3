/**
 * A hostile UDP relay: it stands between devices and their server, records every datagram, and
 * attacks some by a seeded plan (world/hostileDatagrams.ts). It has no keys; of what it carries it
 * reads only what anybody on the path can. Each device has a socket of its own towards the server,
 * as behind a NAT, so that answers find back. Run in a process of its own by `hostileUdpRelay`;
 * this is the part with sockets.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type HandshakeLengths, HandshakesSeen } from './handshakesSeen.ts'
import { Recorder } from './recorder.ts'
import type { RelayStats } from './relay.ts'
import type { Seeded } from './seeded.ts'
import { type Attack, type AttackPlan, HostileDatagrams } from './world/hostileDatagrams.ts'
import type { Timeline } from './world/virtualTime.ts'

export interface UdpRelayOptions {
  readonly target: { readonly host: string; readonly port: number }
  readonly plan: AttackPlan
  readonly random: Seeded
  /** Sees each datagram as it was sent, with the device's address. */
  readonly seen?: (datagram: Uint8Array, device: string, direction: 'up' | 'down') => void
}

/**
 * `connections` are sockets that were opened towards the server, `open` those that are now,
 * `frames` datagrams that came, `tampered` attacks of every kind.
 */
export interface UdpRelayStats extends RelayStats {
  readonly attacks: Readonly<Partial<Record<Attack, number>>>
}

export interface UdpRelay {
  readonly port: number
  stats(): UdpRelayStats
  setPlan(plan: AttackPlan): void
  /** As `Relay.search`. */
  search(markers: readonly Uint8Array[]): { readonly found: number; readonly complete: boolean }
  /** Of EDHOC, as they were sent. */
  handshakes(): readonly HandshakeLengths[]
  close(): Promise<void>
}

/** The server's name where devices are called by their addresses. */
const theServer = 'the server'
/** Sockets towards the server; beyond it the device that was silent longest loses its own. */
const socketsMax = 1024

/** Listens on a free port of 127.0.0.1. */
export async function startUdpRelay(options: UdpRelayOptions): Promise<UdpRelay> {
  const relay = new SocketsBetween(options)
  await relay.listen()
  return relay
}

class SocketsBetween implements UdpRelay {
  readonly #target: UdpRelayOptions['target']
  readonly #seen: UdpRelayOptions['seen']
  readonly #hostile: HostileDatagrams
  readonly #recorder: Recorder = new Recorder()
  readonly #handshakes: HandshakesSeen = new HandshakesSeen()
  /** What devices speak to, and what speaks to them in the server's name. */
  readonly #front: Socket = createSocket('udp4')
  /** Speaks to devices in anybody else's name. */
  readonly #stranger: Socket = createSocket('udp4')
  /** By the device's address; the one that was silent longest first. */
  readonly #upstream: Map<string, Socket> = new Map()
  #counts = { connections: 0, frames: 0, bytes: 0 }
  #closed = false

  constructor({ target, plan, random, seen }: UdpRelayOptions) {
    this.#target = target
    this.#seen = seen
    this.#hostile = new HostileDatagrams({
      time: machineTime,
      random,
      plan,
      carry: (datagram, from, to) => this.#carry(datagram, from, to),
      rebind: (address) => this.#forget(address),
    })
  }

  get port(): number {
    return this.#front.address().port
  }

  async listen(): Promise<void> {
    for (const socket of [this.#front, this.#stranger]) {
      socket.bind(0, '127.0.0.1')
      await once(socket, 'listening')
      // A port that is closed answers with an error: on this road that is a datagram lost.
      socket.on('error', lost)
    }
    this.#front.on('message', (datagram, from) => {
      this.#pass(datagram, nameOf(from), theServer)
    })
  }

  stats(): UdpRelayStats {
    const attacks = this.#hostile.counts()
    return {
      ...this.#counts,
      tampered: this.#hostile.attacked,
      delayed: attacks.hold ?? 0,
      open: this.#upstream.size,
      attacks,
    }
  }

  setPlan(plan: AttackPlan): void {
    this.#hostile.setPlan(plan)
  }

  search(markers: readonly Uint8Array[]): { found: number; complete: boolean } {
    return { found: this.#recorder.count(markers), complete: this.#recorder.complete }
  }

  handshakes(): readonly HandshakeLengths[] {
    return this.#handshakes.all
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#hostile.end()
    const sockets = [this.#front, this.#stranger, ...this.#upstream.values()]
    this.#upstream.clear()
    await Promise.all(sockets.map(closed))
  }

  #pass(datagram: Uint8Array, from: string, to: string): void {
    this.#counts.frames++
    this.#counts.bytes += datagram.length
    const [device, direction] = from === theServer ? [to, 'down' as const] : [from, 'up' as const]
    this.#recorder.add(`${device}/${direction}`, datagram)
    this.#handshakes.see(datagram, device, direction)
    this.#seen?.(datagram, device, direction)
    // The socket is there from now on, also when this datagram is held back.
    if (to === theServer) this.#socketOf(from)
    this.#hostile.pass(datagram, from, to)
  }

  #carry(datagram: Uint8Array, from: string, to: string): void {
    if (this.#closed) return
    if (to === theServer) {
      this.#socketOf(from).send(datagram, this.#target.port, this.#target.host, lost)
    } else {
      const socket = from === theServer ? this.#front : this.#stranger
      const colon = to.lastIndexOf(':')
      socket.send(datagram, Number(to.slice(colon + 1)), to.slice(0, colon), lost)
    }
  }

  #socketOf(device: string): Socket {
    const socket = this.#upstream.get(device) ?? this.#open(device)
    this.#upstream.delete(device)
    this.#upstream.set(device, socket)
    if (this.#upstream.size > socketsMax) this.#forget([...this.#upstream.keys()][0] ?? '')
    return socket
  }

  #open(device: string): Socket {
    this.#counts.connections++
    const socket = createSocket(this.#target.host.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', lost)
    socket.on('message', (datagram, from) => {
      if (from.port === this.#target.port) this.#pass(datagram, theServer, device)
    })
    return socket
  }

  /** The device's next datagram comes from another port; an answer to the old one finds nobody. */
  #forget(device: string): boolean {
    const socket = this.#upstream.get(device)
    if (socket === undefined) return false
    this.#upstream.delete(device)
    socket.close()
    return true
  }
}

const machineTime: Timeline = {
  now: () => Date.now(),
  after: (milliseconds, run) => {
    const timer = setTimeout(run, milliseconds)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** What cannot be sent is lost, as on any network. */
const lost = (): void => undefined

function nameOf({ address, port }: RemoteInfo): string {
  return `${address}:${port}`
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.close(() => resolve())
  })
}
