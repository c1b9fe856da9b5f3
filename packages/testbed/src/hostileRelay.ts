/** The hostile relays, over TCP and over UDP, as child processes with typed commands. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { AdapterError } from '@countersign/core/errors'
import type { HandshakeLengths } from './handshakesSeen.ts'
import type { PlanOptions } from './plan.ts'
import type { RelayStats } from './relay.ts'
import type { RelayCommand, RelayPlan } from './relayProcess.ts'
import type { UdpRelayStats } from './udpRelay.ts'
import type { AttackPlan } from './world/hostileDatagrams.ts'

interface RelayTarget {
  readonly target: { readonly host: string; readonly port: number }
  readonly seed: number
}

export interface HostileRelayOptions extends RelayTarget {
  readonly plan: PlanOptions
}

export interface HostileUdpRelayOptions extends RelayTarget {
  readonly plan: AttackPlan
}

/** What every relay can say, whatever it carries. */
export interface RelayView<Stats extends RelayStats = RelayStats> {
  /** On 127.0.0.1. */
  readonly port: number
  /** The process, so that a caller can say which one it is. */
  readonly pid: number
  stats(): Promise<Stats>
  search(markers: readonly Uint8Array[]): Promise<{ found: number; complete: boolean }>
  close(): Promise<void>
}

export interface HostileRelay extends RelayView {
  setPlan(plan: PlanOptions): Promise<void>
}

export interface HostileUdpRelay extends RelayView<UdpRelayStats> {
  setPlan(plan: AttackPlan): Promise<void>
  /** Lengths of EDHOC's messages, as anybody on the path sees them. */
  handshakes(): Promise<readonly HandshakeLengths[]>
}

/**
 * Starts a relay over TCP in a process of its own.
 * @example const relay = await hostileRelay({ target: { host: '127.0.0.1', port: 8444 }, seed: 7, plan: { faultShare: 0.2, delayMsMax: 5 } })
 */
export async function hostileRelay(options: HostileRelayOptions): Promise<HostileRelay> {
  const child = new RelayChild()
  const view = await start<RelayStats>(child, options, { over: 'tcp', plan: options.plan })
  return { ...view, setPlan: (plan) => setPlan(child, { over: 'tcp', plan }) }
}

/**
 * Starts a relay over UDP in a process of its own.
 * @example const relay = await hostileUdpRelay({ target: { host: '127.0.0.1', port: 5683 }, seed: 7, plan: { share: 0.2, lateMsMax: 2000 } })
 */
export async function hostileUdpRelay(options: HostileUdpRelayOptions): Promise<HostileUdpRelay> {
  const child = new RelayChild()
  const view = await start<UdpRelayStats>(child, options, { over: 'udp', plan: options.plan })
  return {
    ...view,
    setPlan: (plan) => setPlan(child, { over: 'udp', plan }),
    handshakes: () => child.command({ do: 'handshakes' }),
  }
}

async function start<Stats extends RelayStats>(
  child: RelayChild,
  { target, seed }: RelayTarget,
  by: RelayPlan,
): Promise<RelayView<Stats>> {
  const { port } = await child.command<{ port: number }>({ do: 'start', ...target, seed, ...by })
  return {
    port,
    pid: child.pid,
    stats: () => child.command<Stats>({ do: 'stats' }),
    search: (markers) =>
      child.command({
        do: 'search',
        markers: markers.map((marker) => Buffer.from(marker).toString('base64')),
      }),
    close: () => child.end(),
  }
}

async function setPlan(child: RelayChild, by: RelayPlan): Promise<void> {
  await child.command({ do: 'plan', ...by })
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never

interface Waiting {
  // oxlint-disable-next-line typescript/no-explicit-any -- the result's type is the command's, see `command`
  resolve(result: any): void
  reject(error: Error): void
}

class RelayChild {
  readonly #process: ChildProcess
  readonly #waiting: Map<number, Waiting> = new Map()
  readonly #exited: Promise<void>
  #commands = 0

  constructor() {
    // The same file name with the extension of this one: source in a checkout, JavaScript when
    // published.
    const name = import.meta.url.endsWith('.ts') ? './relayProcess.ts' : './relayProcess.js'
    const script = fileURLToPath(new URL(name, import.meta.url))
    this.#process = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', () => {
        this.#failAll('the relay process ended')
        resolve()
      })
      this.#process.once('error', (error) => {
        this.#failAll(error.message)
        resolve()
      })
    })
    // Writing to a process that has just ended is answered by 'exit' above.
    this.#process.stdin?.on('error', () => undefined)
    if (this.#process.stdout !== null) {
      createInterface({ input: this.#process.stdout }).on('line', (line) => this.#answered(line))
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  command<T>(command: WithoutId<RelayCommand>): Promise<T> {
    const id = this.#commands++
    return new Promise<T>((resolve, reject) => {
      if (this.#process.exitCode !== null) {
        reject(relayError('the relay process has ended'))
        return
      }
      this.#waiting.set(id, { resolve, reject })
      this.#process.stdin?.write(`${JSON.stringify({ id, ...command })}\n`)
    })
  }

  end(): Promise<void> {
    this.#process.stdin?.end()
    return this.#exited
  }

  #answered(line: string): void {
    const answer: { id: number; result?: unknown; error?: string } = JSON.parse(line)
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (answer.error === undefined) waiting?.resolve(answer.result)
    else waiting?.reject(relayError(answer.error))
  }

  #failAll(why: string): void {
    for (const waiting of this.#waiting.values()) waiting.reject(relayError(why))
    this.#waiting.clear()
  }
}

function relayError(why: string): AdapterError<'ERR_RELAY'> {
  return new AdapterError('ERR_RELAY', `the relay cannot do that: ${why}`)
}
