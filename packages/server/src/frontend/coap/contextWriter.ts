/**
 * What of contexts is written down, and when. A context's row is born in the Change of its first
 * verified message, which ends the older contexts of its device and never a newer one; each later
 * message brings the window with it. Numbers of the server's own are written down ahead.
 */
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { OscoreCrypto, WindowState } from '@countersign/core/oscore'
import type { Clock } from '@countersign/core/ports'
import type { Change, CoapContextRow, Sealer, Store, Write } from '../../ports.ts'
import type { CoapLives } from './coapLives.ts'
import { insertOf, usageWithResponse, windowColumns } from './contextRows.ts'
import type { CoapLimits } from './limits.ts'
import type { LiveContext } from './liveContext.ts'

export interface ContextWriterParts {
  readonly store: Pick<Store, 'find' | 'apply'>
  readonly crypto: OscoreCrypto
  readonly sealer: Sealer
  readonly clock: Clock
  readonly lives: CoapLives
  readonly limits: Pick<CoapLimits, 'reservedAhead' | 'tombstonesPerDeviceMax'>
  /** Contexts that a newer one has replaced. */
  readonly replaced: (ids: readonly string[]) => void
}

/** What goes into the Change of whatever the message caused. */
export type Beside = Required<Pick<Change, 'conditions' | 'writes'>>

export type ContextErrorCode =
  /** This context takes no messages any more. */
  'ERR_CONTEXT_ENDED'

const table = 'coapContext'

export class ContextWriter {
  readonly #parts: ContextWriterParts
  /** By device: rows are born one after the other, or two would both be the newest. */
  readonly #births: Map<string, Promise<unknown>> = new Map()

  constructor(parts: ContextWriterParts) {
    this.#parts = parts
  }

  /**
   * Writes down what was accepted so far, in the Change that `apply` hands to the store in the same
   * turn. Throws PeerError ERR_CONTEXT_ENDED, or what `apply` throws.
   */
  async commit<Result>(
    context: LiveContext,
    apply: (beside: Beside) => Promise<Result>,
  ): Promise<Result> {
    while (context.state === 'fresh') {
      if (context.birth === undefined) return await this.#bear(context, apply)
      await context.birth
    }
    if (context.state !== 'live') throw ended()
    return await this.#update(context, apply)
  }

  /**
   * Of one that has its row: at least one number may be taken then. Throws CallerError
   * ERR_OSCORE_EXHAUSTED, PeerError ERR_CONTEXT_ENDED.
   */
  async reserve(context: LiveContext): Promise<void> {
    context.reserving ??= this.#reserve(context).finally(() => void (context.reserving = undefined))
    await context.reserving
  }

  /** What a clean end, or a context that leaves memory, owes the store. */
  async writeWindow(context: LiveContext): Promise<void> {
    if (!context.isDirty || context.state === 'fresh' || context.state === 'gone') return
    const { recipient, usage } = context.security
    const snapshot = recipient.window.snapshot()
    const set = { ...this.#columns(context, snapshot), ...usage.snapshot() }
    const write: Write = { kind: 'update', table, key: context.id, set }
    if (await this.#unlessGone({ writes: [write] })) context.wrote(snapshot)
    else this.#parts.replaced([context.id])
  }

  /** Its device may not come in any more. One that was replaced meanwhile has ended already. */
  async bury(id: string, device: string, reason: string): Promise<void> {
    const set = { state: 'tombstone', reason, endedAt: this.#parts.clock.now() } as const
    const isDone = await this.#unlessGone({
      conditions: [{ kind: 'equals', table, key: id, where: { state: 'live' } }],
      writes: [{ kind: 'update', table, key: id, set }],
    })
    if (isDone) await this.#forgetOldest(device)
  }

  async remove(id: string): Promise<void> {
    await this.#unlessGone({ writes: [removal(id)] })
  }

  /** False: the row was changed or removed by somebody else meanwhile. */
  async #unlessGone(change: Change): Promise<boolean> {
    try {
      await this.#parts.store.apply(change)
      return true
    } catch (error) {
      if (isCountersignError(error) && error.code === 'ERR_CONFLICT') return false
      throw error
    }
  }

  async #bear<Result>(
    context: LiveContext,
    apply: (beside: Beside) => Promise<Result>,
  ): Promise<Result> {
    const { promise, resolve } = Promise.withResolvers<void>()
    context.birth = promise
    const { device } = context
    const before = this.#births.get(device) ?? Promise.resolve()
    const turn = before.then(() => this.#insert(context, apply))
    const settled = turn.then(ignore, ignore)
    this.#births.set(device, settled)
    try {
      return await turn
    } finally {
      if (this.#births.get(device) === settled) this.#births.delete(device)
      context.birth = undefined
      resolve()
    }
  }

  async #insert<Result>(
    context: LiveContext,
    apply: (beside: Beside) => Promise<Result>,
  ): Promise<Result> {
    const { store, limits } = this.#parts
    const rows = await store.find(table, 'device', context.device)
    // Judged meanwhile, and turned out.
    if (context.state !== 'fresh') throw ended()
    const live = rows.filter(({ state }) => state === 'live')
    if (live.some(({ begun }) => begun > context.begun)) throw this.#outdated(context)
    const older = live.map(({ id }) => id)
    if (context.keepsWord) context.confirmed ??= live[0]?.confirmed ?? null
    const snapshot = context.security.recipient.window.snapshot()
    const result = await apply({
      conditions: older.map((key) => ({ kind: 'equals', table, key, where: {} })),
      writes: [...older.map(removal), this.#row(context)],
    })
    context.wrote(snapshot)
    context.security.sender.sequence.reserve(limits.reservedAhead)
    context.parameters = undefined
    // It may have been buried while the row was on its way.
    if (context.state === 'fresh') context.state = 'live'
    this.#parts.replaced(older)
    return result
  }

  /**
   * Its device has made a newer one since, which lives: somebody on the path has held a message
   * back, and the device does not wait for it any more. Nothing of this context outlives the
   * process, so whatever it has accepted stays refused as if it were written down, and the answer
   * may say so under OSCORE.
   */
  #outdated(context: LiveContext): PeerError<ContextErrorCode> {
    context.wrote(context.security.recipient.window.snapshot())
    this.#parts.replaced([context.id])
    return ended()
  }

  #row(context: LiveContext): Write {
    const { crypto, sealer, lives, limits } = this.#parts
    const { device, fingerprint, createdAt, begun, address, parameters, verdict } = context
    const { security, serverKind, suite, confirmed } = context
    if (parameters === undefined) throw ended()
    return insertOf(crypto, sealer, parameters, {
      device,
      fingerprint,
      reserved: limits.reservedAhead,
      ...(windowColumns(security.recipient.window.snapshot(), lives.life) ?? noWindow),
      life: lives.life,
      ...usageWithResponse(security),
      peerAddress: address,
      createdAt,
      begun,
      notAfter: verdict?.until ?? createdAt,
      serverKind,
      suite,
      confirmed,
    })
  }

  async #update<Result>(
    context: LiveContext,
    apply: (beside: Beside) => Promise<Result>,
  ): Promise<Result> {
    const { security, id: key } = context
    const snapshot = security.recipient.window.snapshot()
    const set = { ...this.#columns(context, snapshot), ...usageWithResponse(security) }
    const result = await apply({
      // What arrives for a context that ends in this moment is not taken.
      conditions: [{ kind: 'equals', table, key, where: { state: 'live' } }],
      writes: [{ kind: 'update', table, key, set }],
    })
    context.wrote(snapshot)
    return result
  }

  /** What each message of the device may change. */
  #columns({ address }: LiveContext, window: WindowState): Partial<CoapContextRow> {
    return { ...windowColumns(window, this.#parts.lives.life), peerAddress: address }
  }

  async #reserve(context: LiveContext): Promise<void> {
    const { lives, limits } = this.#parts
    const { sender, recipient, usage } = context.security
    const reserved = sender.sequence.boundAfter(limits.reservedAhead)
    // No number is left: taking one says so, and whoever waits for one stops.
    if (reserved <= sender.sequence.next) sender.sequence.take()
    const snapshot = recipient.window.snapshot()
    const set = { reserved, ...usage.snapshot(), ...windowColumns(snapshot, lives.life) }
    const write: Write = { kind: 'update', table, key: context.id, set }
    if (!(await this.#unlessGone({ writes: [write] }))) {
      // It was read just before a newer one took its place, and came into memory just after.
      this.#parts.replaced([context.id])
      throw ended()
    }
    context.wrote(snapshot)
    sender.sequence.reserve(reserved)
  }

  async #forgetOldest(device: string): Promise<void> {
    const { store, limits } = this.#parts
    const rows = await store.find(table, 'device', device)
    const stones = rows.filter(({ state }) => state === 'tombstone').toSorted(byEnd)
    const surplus = stones.slice(0, Math.max(0, stones.length - limits.tombstonesPerDeviceMax))
    await Promise.all(surplus.map(({ id }) => this.remove(id)))
    this.#parts.replaced(surplus.map(({ id }) => id))
  }
}

const noWindow = { highest: -1, accepted: 0 }

function removal(key: string): Write {
  return { kind: 'delete', table, key }
}

function byEnd(one: CoapContextRow, other: CoapContextRow): number {
  return (one.endedAt ?? 0) - (other.endedAt ?? 0)
}

function ended(): PeerError<ContextErrorCode> {
  return new PeerError('ERR_CONTEXT_ENDED', 'this context takes no messages any more')
}

function ignore(): void {
  // Whoever asked for it hears of a failure; the next one only waits.
}
