/**
 * MQTT sessions (MQTT 5 §4.1, 3.1.1 §3.1.2.4): which client id of which device or application is
 * connected, and what of it outlives the connection. A client id means nothing outside its holder.
 * Who connects under an id that is connected takes over; what goes on under one id goes on one after
 * the other.
 *
 * What must survive is in the store before it is acknowledged: subscriptions, and the packet
 * identifiers of QoS 2 (together with the message that they stand for).
 */
import { isCountersignError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import type { Change, Condition, MqttSessionRow, Store, Write } from '../../ports.ts'
import type { MqttLimits } from './limits.ts'
import type { Subscription } from './packets.ts'

export interface ClientsParts {
  readonly store: Pick<Store, 'get' | 'find' | 'scan' | 'apply'>
  readonly clock: Clock
  readonly limits: MqttLimits
  /** A session that nobody was connected to is over: it expired, or had to make room. */
  readonly ended: (session: string) => void
}

/** Who is connected under a key. */
export interface LiveClient {
  /** Another connection has come: this one ends. Resolves when it has written what it had to. */
  takenOver(isContinued: boolean): Promise<void>
}

/** A client's place, held from before its session is open: it may be taken over even then. */
export class Seat {
  client: LiveClient | undefined
  isLost = false

  takenOver(isContinued: boolean): Promise<void> {
    this.isLost = true
    return this.client?.takenOver(isContinued) ?? Promise.resolve()
  }
}

export interface Entry {
  readonly holder: string
  readonly clientId: string
  /** The client wants nothing of an earlier session. */
  readonly clean: boolean
  readonly expiryMs: Milliseconds
}

/** A session as its connection holds it. */
export interface MqttSession {
  readonly key: string
  readonly isPresent: boolean
  /** Outlives the connection when it is more than 0. */
  readonly expiryMs: Milliseconds
  readonly subscriptions: readonly Subscription[]
  /** Packet identifiers of QoS 2 that wait for PUBREL. */
  readonly received: readonly number[]
  /** Of an application; undefined: it begins with the next message. */
  readonly position: number | undefined
}

/** Rows looked at when the old are cleared away. */
const pageSize = 500
/** A session may be removed by another client of its holder while it is opened, and so on. */
const roundsMax = 4

export class Clients {
  readonly #parts: ClientsParts
  readonly #live: Map<string, Seat> = new Map()
  /** The last of what goes on under a key. */
  readonly #turns: Map<string, Promise<unknown>> = new Map()

  constructor(parts: ClientsParts) {
    this.#parts = parts
  }

  /** Every session that was connected when the process ended has been left at its end at the latest. */
  async start(): Promise<void> {
    await this.#eachRow((row) => this.#foundLeft(row))
  }

  /** Forgets sessions that nobody has come back to. */
  async forgetExpired(): Promise<void> {
    await this.#eachRow(async (row) => {
      await this.#foundLeft(row)
      if (!this.#isExpired(row) || !(await this.#applyIfUnchanged(row, remove(row)))) return
      this.#parts.ended(row.id)
    })
  }

  /**
   * Ends the connection that sits there, then opens or continues its session. The seat is the
   * caller's until it leaves it.
   */
  enter(entry: Entry, seat: Seat): Promise<MqttSession> {
    const key = `${entry.holder} ${entry.clientId}`
    return this.#inTurn(key, async () => {
      const before = this.#live.get(key)
      this.#live.set(key, seat)
      try {
        await before?.takenOver(!entry.clean)
        return await this.#open(key, entry)
      } catch (error) {
        this.#live.delete(key)
        throw error
      }
    })
  }

  /**
   * The connection is over. `last`: what the client asked for at the end. `quiet`: what it had sent
   * before is through.
   */
  leave(
    session: MqttSession,
    seat: Seat,
    last: Partial<MqttSessionRow>,
    quiet?: Promise<void>,
  ): Promise<void> {
    return this.#inTurn(session.key, async () => {
      await quiet
      // Whoever took over has it now, and all that is written of it.
      if (this.#live.get(session.key) !== seat) return
      this.#live.delete(session.key)
      if (session.expiryMs === 0) return
      const expiryMs = last.expiryMs ?? session.expiryMs
      const set = { ...last, leftAt: this.#now }
      const key = session.key
      const write: Write =
        expiryMs === 0
          ? { kind: 'delete', table: 'mqttSession', key }
          : { kind: 'update', table: 'mqttSession', key, set }
      await this.#parts.store.apply({ writes: [write] })
    })
  }

  /**
   * What to write beside a message so that both are durable together; nothing for a short session.
   * `where`: what the write before it has left.
   */
  beside(
    { key, expiryMs }: MqttSession,
    set: Partial<MqttSessionRow>,
    where?: Partial<MqttSessionRow>,
  ): Pick<Change, 'conditions' | 'writes'> {
    if (expiryMs === 0) return {}
    const table = 'mqttSession'
    return {
      ...(where === undefined ? {} : { conditions: [{ kind: 'equals', table, key, where }] }),
      writes: [{ kind: 'update', table, key, set }],
    }
  }

  async save(
    session: MqttSession,
    set: Partial<MqttSessionRow>,
    where?: Partial<MqttSessionRow>,
  ): Promise<void> {
    if (session.expiryMs > 0) await this.#parts.store.apply(this.beside(session, set, where))
  }

  /** When everything that was begun is through. */
  async settled(): Promise<void> {
    while (this.#turns.size > 0) await Promise.all(this.#turns.values())
  }

  #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve()
    const mine = before.then(work)
    const quiet = mine.then(
      () => undefined,
      () => undefined, // whoever asked hears of it
    )
    this.#turns.set(key, quiet)
    void quiet.then(() => {
      if (this.#turns.get(key) === quiet) this.#turns.delete(key)
    })
    return mine
  }

  async #open(key: string, entry: Entry): Promise<MqttSession> {
    for (let round = 1; ; round++) {
      const row = await this.#parts.store.get('mqttSession', key)
      const kept = row === undefined || entry.clean || this.#isExpired(row) ? undefined : row
      try {
        await this.#write(key, entry, row, kept)
        return sessionOf(key, entry, kept)
      } catch (error) {
        if (!isConflict(error) || round === roundsMax) throw error
      }
    }
  }

  async #write(
    key: string,
    { holder, clientId, expiryMs }: Entry,
    row: MqttSessionRow | undefined,
    kept: MqttSessionRow | undefined,
  ): Promise<void> {
    const { store } = this.#parts
    if (expiryMs === 0) {
      if (row !== undefined) await store.apply({ writes: [remove(row)] })
      return
    }
    const fresh = { subscriptions: '[]', received: '[]', position: -1, createdAt: this.#now }
    const now = { ...(kept ?? fresh), expiryMs, leftAt: null }
    if (row === undefined) return await this.#insert({ ...now, id: key, holder, clientId })
    await store.apply({ writes: [{ kind: 'update', table: 'mqttSession', key, set: now }] })
  }

  /** One more than a holder may have takes the place of the one left longest ago. */
  async #insert(row: MqttSessionRow): Promise<void> {
    const { store, limits, ended } = this.#parts
    const rows = await store.find('mqttSession', 'holder', row.holder)
    const left = rows.filter(({ leftAt }) => leftAt !== null)
    const surplus = rows.length + 1 - limits.sessionsPerHolderMax
    const oldest = left.toSorted((a, b) => (a.leftAt ?? 0) - (b.leftAt ?? 0))
    const goes = oldest.filter((each, n) => n < surplus || this.#isExpired(each))
    await store.apply({
      conditions: goes.map(unchanged),
      writes: [...goes.map(remove), { kind: 'insert', table: 'mqttSession', row }],
    })
    for (const { id } of goes) ended(id)
  }

  /** A row that says that somebody is connected, when nobody is. */
  async #foundLeft(row: MqttSessionRow): Promise<void> {
    const { id, leftAt } = row
    if (leftAt !== null || this.#live.has(id)) return
    const set = { leftAt: this.#now }
    await this.#applyIfUnchanged(row, { kind: 'update', table: 'mqttSession', key: id, set })
  }

  /** False: somebody came back to it meanwhile, or has removed it. */
  async #applyIfUnchanged(row: MqttSessionRow, write: Write): Promise<boolean> {
    try {
      await this.#parts.store.apply({ conditions: [unchanged(row)], writes: [write] })
      return true
    } catch (error) {
      if (isConflict(error)) return false
      throw error
    }
  }

  #isExpired({ leftAt, expiryMs }: MqttSessionRow): boolean {
    return leftAt !== null && this.#now >= leftAt + expiryMs
  }

  async #eachRow(visit: (row: MqttSessionRow) => Promise<void>): Promise<void> {
    const { store } = this.#parts
    let after: string | undefined
    do {
      const options = { limit: pageSize, ...(after === undefined ? {} : { after }) }
      const page = await store.scan('mqttSession', options)
      await Promise.all(page.map(visit))
      after = page.length < pageSize ? undefined : page.at(-1)?.id
    } while (after !== undefined)
  }

  get #now(): Milliseconds {
    return this.#parts.clock.now()
  }
}

function sessionOf(
  key: string,
  { expiryMs }: Entry,
  kept: MqttSessionRow | undefined,
): MqttSession {
  return {
    key,
    isPresent: kept !== undefined,
    expiryMs,
    subscriptions: kept === undefined ? [] : subscriptionsOf(kept),
    received: kept === undefined ? [] : receivedOf(kept),
    position: kept === undefined || kept.position < 0 ? undefined : kept.position,
  }
}

function remove({ id }: MqttSessionRow): Write {
  return { kind: 'delete', table: 'mqttSession', key: id }
}

/** Nobody has connected to it, or left it, since it was read. */
function unchanged({ id, leftAt }: MqttSessionRow): Condition {
  return { kind: 'equals', table: 'mqttSession', key: id, where: { leftAt } }
}

function isConflict(error: unknown): boolean {
  return isCountersignError(error) && error.code === 'ERR_CONFLICT'
}

function subscriptionsOf({ subscriptions }: MqttSessionRow): readonly Subscription[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by subscriptionsText
  const pairs = JSON.parse(subscriptions) as [string, 0 | 1 | 2][]
  return pairs.map(([filter, qos]) => ({ filter, qos }))
}

function receivedOf({ received }: MqttSessionRow): readonly number[] {
  const ids: unknown = JSON.parse(received)
  return Array.isArray(ids) ? ids.map(Number) : []
}

export function subscriptionsText(granted: Iterable<readonly [string, number]>): string {
  return JSON.stringify([...granted])
}
