/**
 * How far each application has read. Kept in memory and written together, now and then: a crash
 * repeats a few deliveries, which at least once allows, and a thousand messages cost one write.
 */
import type { Log, Store, Timers, Write } from '../ports.ts'

export class Cursors {
  readonly #store: Pick<Store, 'apply'>
  readonly #timers: Timers
  readonly #log: Log
  readonly #saveMs: number
  readonly #cursors: Map<string, number> = new Map()
  readonly #dirty: Set<string> = new Set()
  #armed: { cancel(): void } | undefined
  #saving: Promise<void> = Promise.resolve()

  constructor(store: Pick<Store, 'apply'>, timers: Timers, log: Log, saveMs: number) {
    this.#store = store
    this.#timers = timers
    this.#log = log
    this.#saveMs = saveMs
  }

  /** Takes what the store says, unless this process knows better. */
  load(application: string, cursor: number): void {
    if (!this.#cursors.has(application)) this.#cursors.set(application, cursor)
  }

  get(application: string): number {
    return this.#cursors.get(application) ?? 0
  }

  /** Never goes back. `saved`: the caller has written it already, with something else. */
  advance(application: string, cursor: number, saved = false): void {
    const before = this.#cursors.get(application)
    if (before === undefined || cursor <= before) return
    this.#cursors.set(application, cursor)
    if (saved) return
    this.#dirty.add(application)
    this.#armed ??= this.#timers.after(this.#saveMs, () => {
      this.#armed = undefined
      void this.save()
    })
  }

  forget(application: string): void {
    this.#cursors.delete(application)
    this.#dirty.delete(application)
  }

  get applications(): readonly string[] {
    return [...this.#cursors.keys()]
  }

  /** The message that every application has had; undefined without applications. */
  lowest(): number | undefined {
    let lowest: number | undefined
    for (const cursor of this.#cursors.values())
      if (lowest === undefined || cursor < lowest) lowest = cursor
    return lowest
  }

  /** One write at a time; never rejects: a cursor that was not written is only an older one. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#write())
    return this.#saving
  }

  async close(): Promise<void> {
    this.#armed?.cancel()
    await this.save()
  }

  async #write(): Promise<void> {
    // Each in a change of its own: an application removed meanwhile must not hold up the others.
    const saves = [...this.#dirty].map(async (application) => {
      const cursor = this.get(application)
      this.#dirty.delete(application)
      const write: Write = {
        kind: 'update',
        table: 'application',
        key: application,
        set: { cursor },
      }
      try {
        await this.#store.apply({ writes: [write] })
      } catch (error) {
        this.#log.debug({ application }, `how far it has read was not written: ${String(error)}`)
      }
    })
    await Promise.all(saves)
  }
}
