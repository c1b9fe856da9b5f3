/** The commands' room over a real store, with the clock, the timers and the notices in the test's hand. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Commands } from '../../src/commands/commands.ts'
import type { CommandLimits } from '../../src/commands/limits.ts'
import type { CommandWish } from '../../src/commands/wish.ts'
import type { CommandRow, DeviceState, EventRow, Notice, Notices, Store } from '../../src/ports.ts'
import { downlinksIn } from '../../src/registry/lifecycle.ts'
import { createNotices } from '../../src/registry/notices.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { deviceRow } from '../store/rows.ts'
import { ManualClock, ManualTimers, seededRandom } from '../support/world.ts'

export const hour = 3_600_000
export const one: string = deviceRow(1).id
export const two: string = deviceRow(2).id

export class CommandsHouse {
  readonly clock: ManualClock
  readonly timers: ManualTimers
  readonly heard: Notice[] = []
  readonly failures: unknown[] = []
  readonly notices: Notices
  readonly store: Store
  readonly commands: Commands
  readonly #limits: Partial<CommandLimits>
  readonly #dir: string
  #rooms = 0

  private constructor(
    dir: string,
    clock: ManualClock,
    store: Store,
    limits: Partial<CommandLimits>,
  ) {
    this.#dir = dir
    this.clock = clock
    this.timers = new ManualTimers(clock)
    this.#limits = limits
    this.store = store
    this.notices = createNotices((error) => this.failures.push(error))
    this.notices.listen((notice) => this.heard.push(notice))
    this.commands = this.another()
  }

  /** Two devices that are active. */
  static async create(limits: Partial<CommandLimits> = {}): Promise<CommandsHouse> {
    const dir = await mkdtemp(join(tmpdir(), 'countersign-commands-'))
    const clock = new ManualClock()
    const store = await openSqliteStore(join(dir, 'store.db'), { clock })
    const house = new CommandsHouse(dir, clock, store, limits)
    for (const n of [1, 2]) {
      const row = deviceRow(n, { state: 'active' })
      await store.apply({ writes: [{ kind: 'insert', table: 'device', row }] })
    }
    return house
  }

  /** The room as another front end has it: the same store, nothing else in common. */
  another(over: Partial<Store> = {}): Commands {
    const { clock, timers, notices, store } = this
    return new Commands({
      store: {
        get: (...args) => store.get(...args),
        find: (...args) => store.find(...args),
        scan: (...args) => store.scan(...args),
        apply: (change) => store.apply(change),
        ...over,
      },
      notices,
      clock,
      timers,
      random: seededRandom(77 + this.#rooms++),
      downlinks: downlinksIn,
      failed: (error) => this.failures.push(error),
      limits: this.#limits,
    })
  }

  queue(name: string, over: Partial<CommandWish> = {}): Promise<CommandRow> {
    const expiresAt = this.clock.now() + hour
    return this.commands.queue({
      device: one,
      name,
      data: '{"n":1}',
      expiresAt,
      actor: 'operator',
      ...over,
    })
  }

  /** What the registry does, as far as this room can see. */
  async move(device: string, state: DeviceState): Promise<void> {
    await this.store.apply({
      writes: [{ kind: 'update', table: 'device', key: device, set: { state } }],
    })
    this.notices.tell({ kind: 'device', id: device })
    await this.commands.close()
  }

  async state(id: string): Promise<string | undefined> {
    return (await this.store.get('command', id))?.state
  }

  /** Names of what waits. */
  async waiting(device: string = one): Promise<readonly string[]> {
    return (await this.commands.waiting(device, 64)).map(({ name }) => name)
  }

  /** Runs the sweep until it has been over everything once. */
  async sweep(): Promise<void> {
    const stop = this.commands.startSweep()
    await stop()
  }

  async audit(): Promise<readonly Pick<EventRow, 'type' | 'subject' | 'actor' | 'data'>[]> {
    const rows = await this.store.scan('event', { limit: 1000 })
    return rows.map(({ type, subject, actor, data }) => ({ type, subject, actor, data }))
  }

  async events(): Promise<readonly Record<string, unknown>[]> {
    const rows = await this.store.scan('message', { limit: 1000 })
    return rows.map(({ body }) => JSON.parse(body) as Record<string, unknown>)
  }

  async dispose(): Promise<void> {
    await this.commands.close()
    await this.store.close()
    await rm(this.#dir, { recursive: true })
  }
}
