/**
 * The other end of a load client: a process of its own (tlsClient.ts), so that its CPU time is not
 * the server's, told over IPC what to do.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a device shows, PEM. */
export interface ShownDevice {
  readonly serial: string
  readonly cert: string
  readonly key: string
  /** The issuing CA, certified by a root that foreign servers trust. */
  readonly issuer: string
}

export interface Target {
  readonly port: number
  /** Sends leaf and issuing CA, not the leaf alone. */
  readonly withIssuer: boolean
  /** Held connections also send CONNECT of MQTT 3.1.1 and wait for CONNACK. */
  readonly isMqtt?: boolean
}

export interface LoadOrder extends Target {
  /** `resume`: each device begins with the ticket of its connection before, and uses it once. */
  readonly mode: 'full' | 'resume'
  readonly milliseconds: number
  readonly concurrency: number
  /** The first so many devices, in turns. */
  readonly devices: number
}

export interface LoadDone {
  readonly done: number
  readonly failed: number
  readonly resumed: number
  /** Connections of a device that had been at this server before. */
  readonly returned: number
  /** Why the first one failed. */
  readonly reason?: string
}

export interface HoldOrder extends Target {
  /** Connections `from` (0 when absent) to `connections`, beside those that are held already. */
  readonly from?: number
  readonly connections: number
}

export type Order =
  | ({ readonly kind: 'load' } & LoadOrder)
  | ({ readonly kind: 'hold' } & HoldOrder)
  | { readonly kind: 'letGo' }

export type Told =
  | { readonly kind: 'up' }
  | { readonly kind: 'done'; readonly result: LoadDone }
  /** A held connection was closed by the server, at this moment of the machine's monotonic clock. */
  | { readonly kind: 'closed'; readonly index: number; readonly at: number }

export class LoadClient {
  readonly #child: ChildProcess
  readonly #closed: Map<number, number> = new Map()
  readonly #watchers: Map<number, (at: number) => void> = new Map()
  #answer: ((result: LoadDone) => void) | undefined
  #fail: ((error: Error) => void) | undefined

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** `deviceFile` and `caFile` as `MadeHouse` has them. */
  static async start(deviceFile: string, caFile: string): Promise<LoadClient> {
    const child = fork(fileURLToPath(new URL('./tlsClient.ts', import.meta.url)), [
      deviceFile,
      caFile,
    ])
    const client = new LoadClient(child)
    await new Promise<void>((resolve, reject) => {
      child.on('message', (told: Told) => (told.kind === 'up' ? resolve() : client.#heard(told)))
      child.on('exit', () => {
        const ended = new Error('the load client has ended')
        reject(ended)
        client.#fail?.(ended)
      })
    })
    return client
  }

  /** Throws when any connection failed: a figure must not count refusals. */
  async load(order: LoadOrder): Promise<LoadDone> {
    const result = await this.#order({ kind: 'load', ...order })
    if (result.failed > 0)
      throw new Error(`${result.failed} of ${result.done + result.failed} failed: ${result.reason}`)
    return result
  }

  /** Opens so many connections, device n on connection n, and keeps them. */
  async hold(order: HoldOrder): Promise<void> {
    const { failed, reason } = await this.#order({ kind: 'hold', ...order })
    if (failed > 0) throw new Error(`${failed} connections failed: ${reason}`)
  }

  async letGo(): Promise<void> {
    await this.#order({ kind: 'letGo' })
    this.#closed.clear()
  }

  /** When the server closed a held connection. */
  closedAt(index: number): Promise<number> {
    const at = this.#closed.get(index)
    if (at !== undefined) return Promise.resolve(at)
    return new Promise((resolve) => this.#watchers.set(index, resolve))
  }

  get closedCount(): number {
    return this.#closed.size
  }

  stop(): void {
    this.#child.removeAllListeners('exit')
    this.#child.kill()
  }

  #order(order: Order): Promise<LoadDone> {
    return new Promise((resolve, reject) => {
      this.#answer = resolve
      this.#fail = reject
      this.#child.send(order)
    })
  }

  #heard(told: Told): void {
    if (told.kind === 'done') this.#answer?.(told.result)
    if (told.kind !== 'closed') return
    this.#closed.set(told.index, told.at)
    this.#watchers.get(told.index)?.(told.at)
  }
}
