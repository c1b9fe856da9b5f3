/**
 * Walks over the commands, a bounded part of them each round: marks those whose time is over, drops
 * those of a device that was revoked while nobody heard of it (a crash between the two), and
 * forgets those that are old. One timer, and no index by time: nothing waits for the sweep, since
 * whoever gives a command out looks at its time himself.
 */
import type { Clock } from '@countersign/core/ports'
import type { CommandRow, DeviceState, Store, Timers } from '../ports.ts'
import type { CommandLimits } from './limits.ts'
import { isOver } from './states.ts'

export interface SweepParts {
  readonly store: Pick<Store, 'get' | 'scan' | 'apply'>
  readonly clock: Clock
  readonly timers: Timers
  readonly limits: CommandLimits
  readonly downlinks: (state: DeviceState) => 'deliver' | 'hold' | 'drop'
  readonly overdue: (row: CommandRow) => Promise<unknown>
  readonly drop: (row: CommandRow, state: DeviceState) => Promise<unknown>
  readonly failed: (error: unknown) => void
}

export class Sweep {
  readonly #parts: SweepParts
  /** The last command that this pass has looked at. */
  #position: string | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(parts: SweepParts) {
    this.#parts = parts
  }

  /** Returns the way out, which waits for the round under way. */
  start(): () => Promise<void> {
    const { timers, limits, failed } = this.#parts
    let open = true
    let timer = { cancel: (): void => undefined }
    const arm = (): void => {
      if (!open) return
      const wait = this.#position === undefined ? limits.sweepRestMs : limits.sweepMs
      timer = timers.after(wait, look)
    }
    const look = (): void => {
      this.#running = this.#round().catch(failed).finally(arm)
    }
    look()
    return async () => {
      open = false
      timer.cancel()
      await this.#running
    }
  }

  async #round(): Promise<void> {
    const { store, limits } = this.#parts
    for (let n = 0; n < limits.sweepPagesMax; n++) {
      const after = this.#position === undefined ? {} : { after: this.#position }
      const page = await store.scan('command', { limit: limits.sweepPageMax, ...after })
      await Promise.all(page.map((row) => this.#look(row)))
      this.#position = page.length < limits.sweepPageMax ? undefined : page.at(-1)?.id
      if (this.#position === undefined) return
    }
  }

  async #look(row: CommandRow): Promise<void> {
    const { store, clock, limits, downlinks, overdue, drop } = this.#parts
    const now = clock.now()
    if (row.state === 'queued') {
      if (isOver(row, now)) return void (await overdue(row))
      const device = await store.get('device', row.device)
      if (device !== undefined && downlinks(device.state) === 'drop') await drop(row, device.state)
      return
    }
    const last = Math.max(row.expiresAt, row.deliveredAt ?? 0, row.endedAt ?? 0)
    if (last + limits.keptMs <= now) await this.#forget(row)
  }

  /** A change that came between is looked at by the next pass. */
  async #forget({ id, state }: CommandRow): Promise<void> {
    await this.#parts.store
      .apply({
        conditions: [{ kind: 'equals', table: 'command', key: id, where: { state } }],
        writes: [{ kind: 'delete', table: 'command', key: id }],
      })
      .catch(this.#parts.failed)
  }
}
