/**
 * The security contexts of a device: the one in use, confirmed and written down, and perhaps a
 * candidate that a handshake has just made. The candidate lives in memory until it has carried a
 * verified message; then it is written down with its reservation, before anything else is sent, and
 * takes the place of the other (RFC 9528 §5.4.2: keys are not kept before they are confirmed).
 */
import { equalBytes } from '@countersign/core/codec'
import { InvariantError } from '@countersign/core/errors'
import {
  type ContextParameters,
  type ContextRecord,
  deriveContext,
  parametersOf,
  type SecurityContext,
  stateOf,
} from '@countersign/core/oscore'
import type { ChannelCrypto, Clock, Milliseconds } from '@countersign/core/ports'
import type { RecordKeeper } from './keeper.ts'
import type { NarrowRecord, StoredContext } from './record.ts'

/** Put into the record that is there then. */
export type RecordChange = (record: NarrowRecord) => NarrowRecord

/** What a handshake has taught beside its keys. */
export interface Learned {
  readonly change: RecordChange
  /** The earliest notAfter of the server's chain. */
  readonly until: Milliseconds
}

/** The fields of StoredContext, and what they became in memory. */
export interface LiveContext extends Pick<StoredContext, 'deviceX5t' | 'until'> {
  since: Milliseconds
  isUnwanted: boolean
  /** What it was derived from, for the record. */
  readonly keys: Omit<ContextRecord, 'state'>
  readonly context: SecurityContext
}

/** The certificate that the server showed has ended: whoever has its key may be anybody now. */
export function hasEnded({ until }: LiveContext, time: Clock): boolean {
  return time.now() > until
}

export class Contexts {
  readonly #crypto: ChannelCrypto
  readonly #keeper: RecordKeeper
  readonly #reserve: number
  #current: LiveContext | undefined
  #candidate: LiveContext | undefined
  /** Made by an earlier life, or before the last sleep. */
  readonly #restored: LiveContext | undefined
  #learned: RecordChange | undefined
  #confirming: Promise<void> | undefined

  constructor(crypto: ChannelCrypto, keeper: RecordKeeper, reserve: number) {
    this.#crypto = crypto
    this.#keeper = keeper
    this.#reserve = reserve
    const { current } = keeper.record
    if (current !== undefined) this.#restored = restored(crypto, current)
    this.#current = this.#restored
  }

  get current(): LiveContext | undefined {
    return this.#current
  }

  /** By the kid of a request of the server. */
  byRecipient(id: Uint8Array): LiveContext | undefined {
    return [this.#current, this.#candidate].find(
      (live) => live !== undefined && equalBytes(live.context.recipient.id, id),
    )
  }

  /** In memory alone; numbers up to the first bound can be used. */
  propose(
    made: Pick<StoredContext, 'deviceX5t' | 'since' | 'until'>,
    parameters: ContextParameters,
    learned: RecordChange,
  ): LiveContext {
    const { algorithm, hash, masterSecret, masterSalt, senderId, recipientId } = parameters
    if (algorithm === undefined || hash === undefined) {
      throw new InvariantError('ERR_NARROW_CONTEXT', 'EDHOC names its algorithms')
    }
    const keys = {
      masterSecret,
      ...(masterSalt !== undefined && { masterSalt }),
      senderId,
      recipientId,
      algorithm,
      hash,
    }
    const context = deriveContext(this.#crypto, { ...keys, senderReserved: this.#reserve })
    this.#candidate = { ...made, isUnwanted: false, keys, context }
    this.#learned = learned
    return this.#candidate
  }

  drop(live: LiveContext): void {
    if (this.#candidate === live) this.#candidate = undefined
    if (this.#current === live) this.#current = undefined
  }

  /** Its time is over, for every life to come. */
  async end(live: LiveContext): Promise<void> {
    this.drop(live)
    await this.#keeper.change((record) =>
      isOf(record.current, live) ? { ...record, current: undefined } : undefined,
    )
  }

  /** The server wants new keys. Written down: the device may be off before it has made them. */
  async unwant(live: LiveContext): Promise<void> {
    if (live.isUnwanted) return
    live.isUnwanted = true
    await this.#store(live, live.context.sender.sequence.reserved)
  }

  /**
   * The device has learned the time, which is `laterMs` later than it thought: what was made since
   * its start has its beginning by that. For the record that is written then.
   */
  redate(laterMs: Milliseconds): RecordChange {
    const made = [this.#current, this.#candidate].filter((live) => live !== this.#restored)
    for (const live of made) if (live !== undefined) live.since += laterMs
    return (record) => {
      const { current } = record
      const live = made.find((one) => one !== undefined && isOf(current, one))
      if (current === undefined || live === undefined) return record
      return { ...record, current: { ...current, since: live.since } }
    }
  }

  /**
   * The handshake ended by something that nobody authenticates. False: its context has carried a
   * verified message meanwhile, a command of the server perhaps, and stays.
   */
  async abandon(live: LiveContext): Promise<boolean> {
    // Whoever confirms it hears of a failure.
    await this.#confirming?.catch(() => undefined)
    if (this.#current === live) return false
    if (this.#candidate === live) this.#candidate = undefined
    return true
  }

  /** After its first verified message. Resolves when it is written down, and in use. */
  async confirm(live: LiveContext): Promise<void> {
    // What is being written down may be the candidate before.
    while (live === this.#candidate) {
      this.#confirming ??= this.#adopt(live).finally(() => {
        this.#confirming = undefined
      })
      await this.#confirming
    }
  }

  async #adopt(live: LiveContext): Promise<void> {
    const learned = this.#learned ?? ((record) => record)
    await this.#keeper.change((record) => ({ ...learned(record), current: storedOf(live) }))
    this.#markStored(live)
    this.#current = live
    if (this.#candidate === live) this.#candidate = undefined
  }

  /** In use, or about to be. */
  has(live: LiveContext): boolean {
    return live === this.#current || live === this.#candidate
  }

  /**
   * Whether the next number has to be written down first (RFC 8613 B.1.1). Asked in the turn in
   * which the number is taken: several may wait for one. A candidate has its first numbers; when
   * they are used up, taking one throws.
   */
  needsNumbers(live: LiveContext): boolean {
    const { sequence } = live.context.sender
    return live === this.#current && sequence.next >= sequence.reserved
  }

  async reserve(live: LiveContext): Promise<void> {
    await this.#store(live, live.context.sender.sequence.boundAfter(this.#reserve))
  }

  /** The replay window, so that what was taken is never taken again. */
  async storeWindow(live: LiveContext): Promise<void> {
    await this.confirm(live)
    await this.#store(live, live.context.sender.sequence.reserved)
  }

  async #store(live: LiveContext, bound: number): Promise<void> {
    const { sequence } = live.context.sender
    let written: StoredContext | undefined
    await this.#keeper.change((record: NarrowRecord) => {
      if (live !== this.#current) return undefined
      // A change whose turn came before may have moved it further.
      written = storedOf(live, Math.max(bound, sequence.reserved))
      return { ...record, current: written }
    })
    if (written === undefined) return
    sequence.reserve(written.context.state.senderReserved)
    live.context.recipient.window.stored(written.context.state.window)
  }

  #markStored(live: LiveContext): void {
    const { current } = this.#keeper.record
    if (current !== undefined) live.context.recipient.window.stored(current.context.state.window)
  }
}

function storedOf(live: LiveContext, bound?: number): StoredContext {
  const { keys, context, ...facts } = live
  return { ...facts, context: { ...keys, state: stateOf(context, bound) } }
}

function isOf(stored: StoredContext | undefined, { context }: LiveContext): boolean {
  return stored !== undefined && equalBytes(stored.context.recipientId, context.recipient.id)
}

/** Numbers of the life before are not used again: this one begins at the bound. */
function restored(crypto: ChannelCrypto, { context, ...facts }: StoredContext): LiveContext {
  const { state: _, ...keys } = context
  return { ...facts, keys, context: deriveContext(crypto, parametersOf(context)) }
}
