/**
 * Commands from operators and applications to devices: queued, given out while they are in time,
 * answered. Every step is one Change whose condition is the state that was read, so that of two
 * who take it at once, in this process or another, one has taken it and the other learns so.
 *
 * Whether what waits is given out, held back or dropped is the life cycle's to say. A device that
 * is revoked loses what waits for it; what it had been given stays delivered, since nobody knows
 * what became of it.
 */
import { CallerError } from '@countersign/core/errors'
import type { Clock, Milliseconds, Random } from '@countersign/core/ports'
import { commandId } from '../commandDocument.ts'
import type {
  Change,
  CommandAnswer,
  CommandRow,
  DeviceCommands,
  DeviceRow,
  DeviceState,
  Notices,
  Store,
  Timers,
} from '../ports.ts'
import { queueing, step } from './changes.ts'
import { type CommandLimits, commandLimits } from './limits.ts'
import { after, type Happening, isOver } from './states.ts'
import { Sweep } from './sweep.ts'
import { type CommandWish, misuse, requireSound } from './wish.ts'

export interface CommandsParts {
  readonly store: Pick<Store, 'get' | 'find' | 'scan' | 'apply'>
  readonly notices: Notices
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** What the life cycle does with commands for a device in this state. */
  readonly downlinks: (state: DeviceState) => 'deliver' | 'hold' | 'drop'
  /** Hears of work behind that failed: the sweep, dropping. Each is tried again by the next sweep. */
  readonly failed: (error: unknown) => void
  readonly limits?: Partial<CommandLimits>
}

/** A command changes its state twice in its life; each lost round means that another one moved it. */
const roundsMax = 4
/** A device may be suspended and resumed while a command is queued. */
const queueRoundsMax = 20

export class Commands implements DeviceCommands {
  readonly #parts: CommandsParts
  readonly #limits: CommandLimits
  readonly #sweep: Sweep
  readonly #stopListening: () => void
  /** One at a time for each device: the bound of what waits is counted, not conditioned. */
  readonly #turns: Map<string, Promise<unknown>> = new Map()
  /** Work that nobody waits for, one after the other. */
  #behind: Promise<void> = Promise.resolve()
  #lastIdMs = 0

  constructor(parts: CommandsParts) {
    this.#parts = parts
    this.#limits = { ...commandLimits, ...parts.limits }
    const { downlinks } = parts
    this.#sweep = new Sweep({
      ...parts,
      limits: this.#limits,
      overdue: (row) => this.#happened(row, { kind: 'overdue' }),
      drop: (row, state) => this.#happened(row, dropped(state)),
    })
    this.#stopListening = parts.notices.listen((notice) => {
      if (notice.kind !== 'device') return
      this.#later(async () => {
        const device = await parts.store.get('device', notice.id)
        if (device !== undefined && downlinks(device.state) === 'drop') await this.#dropAll(device)
      })
    })
  }

  /** Throws CallerError<CommandErrorCode>. */
  async queue(wish: CommandWish): Promise<CommandRow> {
    requireSound(wish, this.#parts.clock.now(), this.#limits.expiryMsMax)
    const { device } = wish
    const mine = (this.#turns.get(device) ?? Promise.resolve()).then(() => this.#queue(wish))
    const turn = mine.catch(() => undefined)
    this.#turns.set(device, turn)
    try {
      return await mine
    } finally {
      if (this.#turns.get(device) === turn) this.#turns.delete(device)
    }
  }

  /** Of one device, newest first, those before `before`. Throws ERR_DEVICE_UNKNOWN. */
  async list(
    device: string,
    { limit, before }: { readonly limit: number; readonly before?: string | undefined },
  ): Promise<readonly CommandRow[]> {
    const from = before === undefined ? {} : { after: before }
    const { store } = this.#parts
    const rows = await store.find('command', 'device', device, {
      limit,
      newestFirst: true,
      ...from,
    })
    if (rows.length === 0 && (await store.get('device', device)) === undefined)
      throw unknownDevice(device)
    return rows.map((row) => this.#asOfNow(row))
  }

  /** Another device's command is none of this one's. */
  async show(device: string, id: string): Promise<CommandRow | undefined> {
    const row = await this.#read(device, id)
    return row === undefined ? undefined : this.#asOfNow(row)
  }

  async waiting(device: string, limit: number): Promise<readonly CommandRow[]> {
    const { store, clock, downlinks } = this.#parts
    const live = await this.#live(device)
    if (live.length === 0) return live
    // Last: what is given out is what the life cycle says now.
    const row = await store.get('device', device)
    if (row === undefined || downlinks(row.state) !== 'deliver') return []
    const now = clock.now()
    return live.filter((command) => !isOver(command, now)).slice(0, limit)
  }

  async delivered(device: string, id: string): Promise<boolean> {
    const row = await this.#read(device, id)
    if (row === undefined) return false
    await this.#happened(row, { kind: 'delivered' })
    return true
  }

  async answered(device: string, id: string, answer: CommandAnswer): Promise<boolean> {
    const row = await this.#read(device, id)
    if (row === undefined) return false
    const became = await this.#happened(row, { kind: 'answer', answer })
    return became?.state === answer.state
  }

  /** Marks what is over, drops what will never be asked for, forgets what is old. */
  startSweep(): () => Promise<void> {
    return this.#sweep.start()
  }

  /** Resolves when what was begun is through. The store is still open. */
  async close(): Promise<void> {
    this.#stopListening()
    await this.#behind
  }

  async #read(device: string, id: string): Promise<CommandRow | undefined> {
    if (!commandId.test(id)) return undefined
    const row = await this.#parts.store.get('command', id)
    return row?.device === device ? row : undefined
  }

  /** Who looks before the sweep has come by sees what it will find. */
  #asOfNow(row: CommandRow): CommandRow {
    return after(row, { kind: 'overdue' }, this.#parts.clock.now()) ?? row
  }

  async #queue(wish: CommandWish): Promise<CommandRow> {
    for (let round = 1; ; round++) {
      const device = await this.#requireDevice(wish.device)
      const live = await this.#live(device.id)
      if (live.length >= this.#limits.queuedPerDeviceMax)
        throw misuse(
          'ERR_COMMAND_LIMIT',
          `${live.length} commands wait for this device already`,
          device.id,
          'Wait until it has taken some, or let them expire sooner.',
        )
      const row = this.#newRow(wish)
      try {
        await this.#commit(queueing(row, device), row)
        return row
      } catch (error) {
        if (!isConflict(error) || round === queueRoundsMax) throw error
      }
    }
  }

  async #requireDevice(id: string): Promise<DeviceRow> {
    const device = await this.#parts.store.get('device', id)
    if (device === undefined) throw unknownDevice(id)
    if (this.#parts.downlinks(device.state) !== 'drop') return device
    throw misuse(
      device.state === 'retired' ? 'ERR_DEVICE_RETIRED' : 'ERR_DEVICE_REVOKED',
      `the device is ${device.state}: it takes no commands any more`,
      id,
      'This is final: a device that comes back enrols as a new one, with a new serial number, and is commanded as that.',
    )
  }

  #newRow({ device, name, data, expiresAt, actor }: CommandWish): CommandRow {
    const createdAt = this.#parts.clock.now()
    return {
      id: this.#newId(createdAt),
      device,
      waiting: device,
      name,
      data,
      expiresAt,
      state: 'queued',
      reason: null,
      result: null,
      resultType: null,
      actor,
      createdAt,
      deliveredAt: null,
      endedAt: null,
    }
  }

  /** Never behind the one before it: two commands of one millisecond keep their order. */
  #newId(now: Milliseconds): string {
    this.#lastIdMs = Math.max(now, this.#lastIdMs + 1)
    const drawn = Buffer.from(this.#parts.random.bytes(10)).toString('hex')
    return this.#lastIdMs.toString(16).padStart(12, '0') + drawn
  }

  /** What waits for a device and is in time, oldest first; the rest is marked on the way. */
  async #live(device: string): Promise<readonly CommandRow[]> {
    const { store, clock } = this.#parts
    const limit = this.#limits.queuedPerDeviceMax
    const rows = await store.find('command', 'waiting', device, { limit })
    const now = clock.now()
    const over = rows.filter((row) => isOver(row, now))
    await Promise.all(over.map((row) => this.#happened(row, { kind: 'overdue' })))
    return over.length === 0 ? rows : rows.filter((row) => !isOver(row, now))
  }

  /**
   * The command as this happening has left it; undefined when it changed nothing, for instance
   * because the command has ended.
   */
  async #happened(read: CommandRow, happening: Happening): Promise<CommandRow | undefined> {
    const { store, clock } = this.#parts
    let before: CommandRow | undefined = read
    for (let round = 1; before !== undefined; round++) {
      const now = clock.now()
      const row = after(before, happening, now)
      if (row === undefined) return undefined
      try {
        await this.#commit(step(before, row, now), row)
        return row
      } catch (error) {
        if (!isConflict(error) || round === roundsMax) throw error
        before = await store.get('command', read.id)
      }
    }
    return undefined
  }

  async #commit(change: Change, { device }: CommandRow): Promise<void> {
    const { store, notices } = this.#parts
    const { messageSeqs } = await store.apply(change)
    notices.tell({ kind: 'commands', device })
    const throughSeq = messageSeqs.at(-1)
    if (throughSeq !== undefined) notices.tell({ kind: 'messages', throughSeq })
  }

  async #dropAll({ id, state }: DeviceRow): Promise<void> {
    const options = { limit: this.#limits.queuedPerDeviceMax }
    const page = (): Promise<readonly CommandRow[]> =>
      this.#parts.store.find('command', 'waiting', id, options)
    for (let rows = await page(); rows.length > 0; rows = await page())
      await Promise.all(rows.map((row) => this.#happened(row, dropped(state))))
  }

  #later(work: () => Promise<void>): void {
    this.#behind = this.#behind.then(work).catch(this.#parts.failed)
  }
}

function unknownDevice(id: string): CallerError {
  const hint = 'See "countersign identity list".'
  return misuse('ERR_DEVICE_UNKNOWN', `there is no device ${id}`, id, hint)
}

function dropped(state: DeviceState): Happening {
  return { kind: 'dropped', reason: `the device is ${state}` }
}

function isConflict(error: unknown): boolean {
  return error instanceof CallerError && error.code === 'ERR_CONFLICT'
}
