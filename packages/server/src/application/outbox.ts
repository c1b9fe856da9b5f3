/**
 * The way from the store to the applications: a delivery for each webhook, the events door's
 * streams, and how long messages are kept. It runs in the process that serves; everything it must
 * not forget is in the store.
 */
import type { Clock, Random } from '@countersign/core/ports'
import type {
  ApplicationFeed,
  ApplicationRow,
  Log,
  Notice,
  Notices,
  Sealer,
  Store,
  Timers,
} from '../ports.ts'
import { openSecret } from './applications.ts'
import { Cursors } from './cursors.ts'
import { Delivery } from './delivery.ts'
import { EventStreams } from './events.ts'
import { type ApplicationLimits, applicationLimits } from './limits.ts'
import { Retention } from './retention.ts'
import { Tail } from './tail.ts'
import { Webhook } from './webhook.ts'
import type { WebhookTargets } from './webhookTarget.ts'

export interface OutboxParts {
  readonly store: Pick<Store, 'get' | 'find' | 'scan' | 'apply' | 'trimMessages'>
  readonly notices: Notices
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly sealer: Sealer
  readonly targets: WebhookTargets
  readonly log: Log
  readonly limits?: Partial<ApplicationLimits>
}

export class Outbox {
  /** The events door's streams. */
  readonly streams: EventStreams
  readonly #parts: OutboxParts
  readonly #limits: ApplicationLimits
  readonly #cursors: Cursors
  readonly #retention: Retention
  readonly #tail: Tail
  readonly #deliveries: Map<string, Delivery> = new Map()
  /** Applications with a webhook, paused or not. */
  readonly #called: Set<string> = new Set()
  #stopListening: (() => void) | undefined
  #keeping: { cancel(): void } | undefined
  /** Changes of applications, one after the other. */
  #changes: Promise<void> = Promise.resolve()
  #closed = false

  constructor(parts: OutboxParts) {
    const limits = { ...applicationLimits, ...parts.limits }
    const { store, clock, timers, log } = parts
    this.#parts = parts
    this.#limits = limits
    this.#cursors = new Cursors(store, timers, log, limits.cursorSaveMs)
    const common = { store, cursors: this.#cursors, clock, timers, log, limits }
    this.#retention = new Retention(common)
    this.#tail = new Tail(store)
    this.streams = new EventStreams({
      ...common,
      head: () => this.#retention.head,
      grown: (seq) => this.#retention.grown(seq),
    })
  }

  async start(): Promise<void> {
    const { store, notices } = this.#parts
    this.#stopListening = notices.listen((notice) => this.#noticed(notice))
    await this.#retention.findHead()
    this.#tail.follow(this.#retention.head)
    const rows = await store.scan('application', { limit: this.#limits.applicationsMax })
    for (const row of rows) this.#take(row)
    this.streams.start()
    this.#armRetention()
  }

  /** Attempts that do not end within a moment are made again after the next start. */
  async close(): Promise<void> {
    this.#closed = true
    this.#stopListening?.()
    this.#keeping?.cancel()
    this.streams.close()
    await this.#changes
    await Promise.all([...this.#deliveries.values()].map((delivery) => delivery.stop()))
    await this.#cursors.close()
  }

  /** For applications that read over another road than webhook and events door. */
  get feed(): ApplicationFeed {
    return {
      head: () => this.#retention.head,
      after: async (after, limit) => {
        // Notices have told of everything that was written: nothing needs to be asked.
        if (after >= this.#retention.head) return []
        const page = await this.#tail.read(after, limit)
        this.#retention.grown(page.at(-1)?.seq ?? 0)
        return page
      },
      // As with the events door: a webhook moves the cursor itself.
      advanced: (id, position) => {
        if (!this.#called.has(id)) this.#cursors.advance(id, position)
      },
    }
  }

  #noticed(notice: Notice): void {
    if (notice.kind === 'messages') {
      this.#retention.grown(notice.throughSeq)
      this.#wakeAll()
    } else if (notice.kind === 'application') {
      this.#changes = this.#changes.then(() => this.#reload(notice.id))
    }
  }

  #wakeAll(): void {
    for (const delivery of this.#deliveries.values()) delivery.wake()
    this.streams.wake()
  }

  async #reload(id: string): Promise<void> {
    try {
      const delivery = this.#deliveries.get(id)
      this.#deliveries.delete(id)
      await delivery?.stop()
      const row = await this.#parts.store.get('application', id)
      if (this.#closed) return
      if (row !== undefined) return this.#take(row)
      this.#cursors.forget(id)
      this.#called.delete(id)
      this.streams.closeOf(id)
    } catch (error) {
      this.#parts.log.error(
        { application: id },
        `an application was not taken over: ${String(error)}`,
      )
    }
  }

  #take(row: ApplicationRow): void {
    const { clock, timers, targets, sealer } = this.#parts
    this.#cursors.load(row.id, row.cursor)
    if (row.webhook === null) this.#called.delete(row.id)
    else this.#called.add(row.id)
    if (row.webhook === null || row.webhookState === 'paused') return
    const parts = { clock, timers, targets, limits: this.#limits }
    const webhook = new Webhook(parts, row.webhook, openSecret(sealer, row))
    const delivery = new Delivery(
      { ...this.#parts, cursors: this.#cursors, limits: this.#limits },
      row,
      webhook,
    )
    this.#deliveries.set(row.id, delivery)
    delivery.wake()
  }

  #armRetention(): void {
    this.#keeping = this.#parts.timers.after(this.#limits.retentionMs, () => {
      this.#retention
        .run()
        .catch((error: unknown) => {
          this.#parts.log.error({}, `old messages were not dropped: ${String(error)}`)
        })
        .finally(() => {
          if (this.#closed) return
          this.#wakeAll() // should a notice ever be missed, nothing waits for longer than this
          this.#armRetention()
        })
    })
  }
}
