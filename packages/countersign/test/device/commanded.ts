/** A device that runs in this process and takes commands, and its operator. */
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after } from 'node:test'
import {
  type CommandHandler,
  type DeviceEvent,
  type EnrollOptions,
  enroll,
  lineSource,
  type RoadName,
  type RunOptions,
  type RunSummary,
  run,
} from '@countersign/device'
import type { CommandDocument } from '@countersign/server/control'
import type { TestHouse } from './house.ts'

const soon = { broken: { firstMs: 5, maxMs: 20 }, refused: { firstMs: 5, maxMs: 20 } }
export const hour = 3_600_000
let states = 0

export class Commanded {
  readonly id: string
  readonly events: DeviceEvent[] = []
  readonly #house: TestHouse
  readonly #state: string
  readonly #road: RoadName
  #stop = new AbortController()
  #source = new Readable()
  #running: Promise<RunSummary> | undefined
  #watchers: { readonly holds: (event: DeviceEvent) => boolean; readonly seen: () => void }[] = []

  private constructor(house: TestHouse, id: string, state: string, road: RoadName) {
    this.#house = house
    this.id = id
    this.#state = state
    this.#road = road
  }

  /** At another address than the invitation says, of another product than `default`. */
  static async enrolled(
    house: TestHouse,
    serial: string,
    road: RoadName = 'https',
    { product = 'default', ...address }: { product?: string } & Partial<EnrollOptions> = {},
  ): Promise<Commanded> {
    const state = join(house.root, `commanded-${states++}`)
    const expiresAt = Date.now() + hour
    const invitation = await house.call('identity.invite', { product, count: 1, expiresAt })
    const { id } = await enroll({ ...invitation, ...address, serial, state })
    const device = new Commanded(house, id, state, road)
    after(() => device.stop())
    return device
  }

  start(onCommand?: CommandHandler, options: Partial<RunOptions> = {}): void {
    this.#stop = new AbortController()
    this.#source = new Readable({ read: () => undefined })
    this.#running = run({
      state: this.#state,
      road: this.#road,
      source: lineSource(this.#source),
      signal: this.#stop.signal,
      backoff: soon,
      listener: (event) => {
        this.events.push(event)
        for (const { holds, seen } of this.#watchers) if (holds(event)) seen()
      },
      ...(onCommand === undefined ? {} : { onCommand }),
      ...options,
    })
  }

  /** A reading. */
  push(line: string): void {
    this.#source.push(`${line}\n`)
  }

  /** Resolves when such an event has been heard. */
  heard(name: DeviceEvent['event'], of?: string): Promise<void> {
    const holds = (event: DeviceEvent): boolean =>
      event.event === name && (of === undefined || ('id' in event && event.id === of))
    if (this.events.some(holds)) return Promise.resolve()
    return new Promise((seen) => this.#watchers.push({ holds, seen }))
  }

  count(name: DeviceEvent['event']): number {
    return this.events.filter(({ event }) => event === name).length
  }

  command(name: string, data = 'null', expiresInMs = hour): Promise<CommandDocument> {
    const expiresAt = Date.now() + expiresInMs
    return this.#house.call('command.send', { id: this.id, name, data, expiresAt })
  }

  show(command: string): Promise<CommandDocument> {
    return this.#house.call('command.show', { id: this.id, command })
  }

  async stop(): Promise<RunSummary | undefined> {
    this.#stop.abort()
    const summary = await this.#running
    this.#running = undefined
    return summary
  }
}

export const json = (value: unknown): Awaited<ReturnType<CommandHandler>> => ({
  contentType: 'application/json',
  body: Buffer.from(JSON.stringify(value)),
})
