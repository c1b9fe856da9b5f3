/**
 * The security contexts of the door: a bounded number in memory, all of them in the store. None has
 * to be in memory to be found, and a device that may not come in any more loses its contexts
 * whether they are or not: they become tombstones, which answer its next frame with the reason.
 */
import type { EdhocContextParameters } from '@countersign/core/channel'
import { hex } from '@countersign/core/codec'
import type { Authentication } from '@countersign/core/edhoc'
import { isCountersignError } from '@countersign/core/errors'
import type { OscoreCrypto } from '@countersign/core/oscore'
import type { Random } from '@countersign/core/ports'
import type { Admitted, CoapContextRow, LodgingGatekeeper, Notice, Store } from '../../ports.ts'
import type { Refusals } from '../refusals.ts'
import { contextPages } from './contextPages.ts'
import { freshContext, openRow } from './contextRows.ts'
import { ContextWriter, type ContextWriterParts } from './contextWriter.ts'
import type { DeviceJudge } from './deviceJudge.ts'
import type { CoapLimits } from './limits.ts'
import { type ContextStanding, LiveContext } from './liveContext.ts'
import { endOf, Standings, type StandingsParts } from './standings.ts'
import { hostOf } from './udpAddress.ts'

export interface ContextsParts
  extends Omit<ContextWriterParts, 'replaced' | 'limits' | 'store'>,
    Omit<StandingsParts, 'refused' | 'registry'> {
  readonly store: Pick<Store, 'get' | 'find' | 'scan' | 'apply'>
  readonly registry: Pick<LodgingGatekeeper, 'admit' | 'mayStay'>
  readonly devices: DeviceJudge
  readonly crypto: OscoreCrypto
  readonly random: Random
  readonly refusals: Refusals
  readonly limits: CoapLimits
  /** A context of this device was ended by a refusal. */
  readonly turnedOut: (device: string) => void
  /** Hears of every context that carries its first message. */
  readonly news: { opened(admitted: Admitted): void }
}

/** What a handshake has come to. */
export interface Handshaken {
  readonly parameters: EdhocContextParameters
  /** When its message_1 came, among all handshakes. */
  readonly begun: number
  readonly fingerprint: string
  readonly standing: Extract<ContextStanding, { kind: 'admitted' }>
  /**
   * Generation of the standings before it was asked for: no notice finds a context that is not
   * here.
   */
  readonly generation: number
  /** Which of its certificates the server has shown. */
  readonly serverKind: Authentication
  /** The device has what it was told before: it did not ask for the certificate by value. */
  readonly knowsServer: boolean
  /** Of EDHOC. */
  readonly suite: number
  readonly from: string
}

interface LookUp {
  /** Whoever waits for it. */
  readonly asked: { waiters: number }
  readonly found: Promise<LiveContext | undefined>
}

const table = 'coapContext'
const shortIdBytes = 3
const longIdBytes = 4
/** Draws of a short identifier before the longer ones are taken: the short ones get scarce. */
const drawsMax = 8

export class Contexts {
  readonly standings: Standings
  readonly #parts: ContextsParts
  readonly #writer: ContextWriter
  /** The least recently used first. */
  readonly #byId: Map<string, LiveContext> = new Map()
  readonly #byDevice: Map<string, Set<LiveContext>> = new Map()
  readonly #fresh: Set<LiveContext> = new Set()
  readonly #lookUps: Map<string, LookUp> = new Map()
  /** What nobody waits for, and a clean end does. */
  readonly #background: Set<Promise<void>> = new Set()
  #isSweeping = false

  constructor(parts: ContextsParts) {
    this.#parts = parts
    this.#writer = new ContextWriter({ ...parts, replaced: (ids) => this.#forget(ids) })
    this.standings = new Standings({
      ...parts,
      refused: (context, { refusal }) => this.#end(context, refusal),
    })
  }

  get size(): number {
    return this.#byId.size
  }

  /** C_R of a new handshake; `isUsed`: by another handshake. */
  async drawId(isUsed: (id: string) => boolean): Promise<Uint8Array> {
    for (let draw = 0; ; draw++) {
      const bytes = this.#parts.random.bytes(draw < drawsMax ? shortIdBytes : longIdBytes)
      const id = hex(bytes)
      if (isUsed(id) || this.#byId.has(id)) continue
      if ((await this.#parts.store.get(table, id)) === undefined && !isUsed(id)) return bytes
    }
  }

  /** The context of a finished handshake: its first message makes it last. */
  add(made: Handshaken): LiveContext {
    const { parameters, begun, fingerprint, standing, serverKind, suite, from } = made
    const { clock, crypto, limits } = this.#parts
    const now = clock.now()
    const context = new LiveContext({
      id: hex(parameters.recipientId),
      device: standing.admitted.device.id,
      fingerprint,
      createdAt: now,
      begun,
      security: freshContext(crypto, { ...parameters, usageLimits: limits.keyUsage }),
      serverKind,
      suite,
      confirmed: null,
      state: 'fresh',
      address: from,
      parameters,
      verdict: { standing, at: now, until: endOf(standing.peer, standing.admitted) },
    })
    context.keepsWord = made.knowsServer
    context.isStale = made.generation !== this.standings.generation
    this.#fresh.add(context)
    this.#remember(context)
    this.#dropSurplusOf(context.device)
    if (this.#fresh.size > limits.freshMax) this.#dropOldestFresh()
    return context
  }

  /**
   * Undefined: there is none of this name. 'busy': too many are being looked up. Whoever gets a
   * context holds it, and lets go of it.
   */
  async hold(id: string): Promise<LiveContext | 'busy' | undefined> {
    const known = this.#byId.get(id)
    if (known === undefined) return await this.#lookUp(id)
    known.holders++
    this.#touch(known)
    return known
  }

  release(context: LiveContext): void {
    context.holders--
    this.#shrink()
  }

  /** As ContextWriter.commit; the first one is news. */
  commit: ContextWriter['commit'] = async (context, apply) => {
    const wasFresh = context.state === 'fresh'
    const result = await this.#writer.commit(context, apply)
    if (wasFresh && this.#fresh.delete(context)) {
      const standing = context.verdict?.standing
      if (standing?.kind === 'admitted') this.#parts.news.opened(standing.admitted)
    }
    return result
  }

  /** As ContextWriter.reserve; the row of a fresh one is made, and has numbers. */
  reserve(context: LiveContext): Promise<void> {
    return context.state === 'fresh'
      ? this.commit(context, async (beside) => void (await this.#parts.store.apply(beside)))
      : this.#writer.reserve(context)
  }

  /** The context over which this device is reached; whoever gets it holds it. */
  async holdOfDevice(device: string): Promise<LiveContext | undefined> {
    for (const context of this.#byDevice.get(device) ?? []) {
      if (context.state !== 'live') continue
      context.holders++
      return context
    }
    const rows = await this.#parts.store.find(table, 'device', device)
    const row = rows.find(({ state }) => state === 'live')
    const found = row === undefined ? undefined : await this.hold(row.id)
    if (found === undefined || found === 'busy') return undefined
    if (found.state === 'live') return found
    this.release(found)
    return undefined
  }

  /** Of this device, those that are in memory. */
  inMemory(device: string): Iterable<LiveContext> {
    return this.#byDevice.get(device) ?? []
  }

  noticed(notice: Notice): void {
    switch (notice.kind) {
      case 'device':
        return this.#judgeDevice(notice.id)
      case 'certificate':
        if (notice.device !== null) this.#judgeDevice(notice.device)
        return
      case 'product':
      case 'anchors':
        return this.#judgeAll()
      case 'application':
      case 'messages':
      case 'commands':
        return
    }
  }

  /** Contexts that never carried a message are forgotten. */
  sweep(): void {
    const { clock, limits } = this.#parts
    const before = clock.now() - limits.freshMsMax
    for (const context of this.#fresh) {
      if (context.createdAt > before) return
      if (context.holders === 0) this.#drop(context)
    }
  }

  /** Rows whose time is over: tombstones, and contexts whose chain has ended long ago. */
  sweepRows(): void {
    if (this.#isSweeping) return
    this.#isSweeping = true
    this.#behind(() => this.#sweepRows().finally(() => void (this.#isSweeping = false)))
  }

  /** Everything that was accepted is written down then. */
  async close(): Promise<void> {
    await this.settled()
    await Promise.all([...this.#byId.values()].map((context) => this.#writer.writeWindow(context)))
  }

  /** What was begun by notices is done. */
  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background)
  }

  async #sweepRows(): Promise<void> {
    const { store, clock, limits } = this.#parts
    const before = clock.now() - limits.tombstoneMsMax
    const isOver = (row: CoapContextRow): boolean => (row.endedAt ?? row.notAfter) < before
    for await (const page of contextPages(store)) {
      for (const { id } of page.filter(isOver)) {
        // In this order: one that is forgotten before its row is gone would be loaded again.
        await this.#writer.remove(id)
        this.#forget([id])
      }
    }
  }

  async #lookUp(id: string): Promise<LiveContext | 'busy' | undefined> {
    const underway = this.#lookUps.get(id)
    if (underway !== undefined) {
      underway.asked.waiters++
      return await underway.found
    }
    if (this.#lookUps.size >= this.#parts.limits.lookUpsInFlightMax) return 'busy'
    const asked = { waiters: 1 }
    const found = this.#load(id, asked)
    this.#lookUps.set(id, { asked, found })
    return await found
  }

  /**
   * Held in the turn in which it is there: one that left memory before its holders have it would be
   * loaded a second time, and two of one context would take the same numbers.
   */
  async #load(id: string, asked: LookUp['asked']): Promise<LiveContext | undefined> {
    try {
      const read = await this.#read(id)
      const context = this.#byId.get(id) ?? read
      if (context === undefined) return undefined
      context.holders += asked.waiters
      if (context === read) this.#remember(context)
      return context
    } finally {
      this.#lookUps.delete(id)
    }
  }

  async #read(id: string): Promise<LiveContext | undefined> {
    const { store, crypto, sealer, lives, limits } = this.#parts
    const row = await store.get(table, id)
    if (row === undefined) return undefined
    const { device, fingerprint, createdAt, begun, state, serverKind, suite, confirmed } = row
    const isTrusted = lives.isTrusted(row.life)
    const security = openRow(crypto, sealer, row, { isTrusted, usageLimits: limits.keyUsage })
    const address = row.peerAddress
    return new LiveContext({
      id,
      device,
      fingerprint,
      createdAt,
      begun,
      security,
      serverKind,
      suite,
      confirmed,
      state,
      address,
    })
  }

  #judgeDevice(device: string): void {
    this.standings.noticed()
    const all = [...(this.#byDevice.get(device) ?? [])]
    // A tombstone says what is the matter now, when it is asked.
    for (const context of all) context.isStale = true
    const inMemory = all.filter(isAlive)
    this.#behind(async () => {
      for (const context of inMemory) await this.standings.again(context)
      await this.#judgeRows(device)
    })
  }

  async #judgeRows(device: string): Promise<void> {
    const rows = await this.#parts.store.find(table, 'device', device)
    for (const row of rows) {
      if (row.state !== 'live' || this.#byId.has(row.id)) continue
      const standing = await this.standings.ofRow(row)
      if (standing.kind === 'refused') await this.#buryRow(row, standing.refusal)
    }
  }

  async #buryRow(row: CoapContextRow, refusal: Parameters<Refusals['tell']>[1]): Promise<void> {
    const { id, device, fingerprint, peerAddress } = row
    // Loaded meanwhile: whoever holds it is judged, and ends it.
    const loaded = this.#byId.get(id)
    if (loaded !== undefined) return void (await this.standings.again(loaded))
    await this.#writer.bury(id, device, refusal.code)
    this.#parts.refusals.tell({ address: hostOf(peerAddress), fingerprint, device }, refusal)
  }

  /** One after the other: those that are not in memory are judged when they are used. */
  #judgeAll(): void {
    this.standings.noticed()
    for (const context of this.#byId.values()) context.isStale = true
    const inMemory = [...this.#byId.values()].filter(isAlive)
    this.#behind(async () => {
      for (const context of inMemory) if (isAlive(context)) await this.standings.again(context)
    })
  }

  #end(context: LiveContext, refusal: Parameters<Refusals['tell']>[1]): void {
    if (!isAlive(context)) return
    const { id, device, fingerprint, address } = context
    const wasFresh = context.state === 'fresh' && context.birth === undefined
    context.state = wasFresh ? 'gone' : 'tombstone'
    this.#parts.turnedOut(device)
    this.#parts.refusals.tell({ address: hostOf(address), fingerprint, device }, refusal)
    if (wasFresh) return this.#drop(context)
    this.#behind(async () => {
      await context.birth
      // Its row was never made.
      if (context.parameters !== undefined) return this.#drop(context)
      await this.#writer.bury(id, device, refusal.code)
    })
  }

  /**
   * What nobody waits for: judging, burying, sweeping, a window of a context that leaves memory.
   */
  #behind(run: () => Promise<void>): void {
    const done = run()
      .catch((error: unknown) => {
        const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
        this.#parts.log.error({ code }, `coap: contexts were not kept up: ${String(error)}`)
      })
      .finally(() => this.#background.delete(done))
    this.#background.add(done)
  }

  #remember(context: LiveContext): void {
    this.#byId.set(context.id, context)
    const ofDevice = this.#byDevice.get(context.device)
    if (ofDevice === undefined) this.#byDevice.set(context.device, new Set([context]))
    else ofDevice.add(context)
    this.#shrink()
  }

  #touch(context: LiveContext): void {
    if (!this.#byId.delete(context.id)) return
    this.#byId.set(context.id, context)
  }

  /** The one longest unused leaves; what it has accepted is written down before. */
  #shrink(): void {
    if (this.#byId.size <= this.#parts.limits.contextsInMemoryMax) return
    for (const context of this.#byId.values()) {
      const isBusy = context.holders > 0 || context.judging !== undefined
      if (isBusy || context.state === 'fresh') continue
      if (!context.isDirty) return this.#drop(context)
      return this.#behind(() => this.#writeAndLeave(context))
    }
  }

  /** It stays when the store fails: the next one that comes in asks again. */
  async #writeAndLeave(context: LiveContext): Promise<void> {
    context.holders++
    try {
      await this.#writer.writeWindow(context)
    } finally {
      context.holders--
    }
    this.#shrink()
  }

  /** One device can make many in a row: the newest are the ones that it uses. */
  #dropSurplusOf(device: string): void {
    const ofDevice = [...(this.#byDevice.get(device) ?? [])]
    const fresh = ofDevice.filter(({ state, holders }) => state === 'fresh' && holders === 0)
    const surplus = fresh.length - this.#parts.limits.freshPerDeviceMax
    for (const context of fresh.slice(0, Math.max(0, surplus))) this.#drop(context)
  }

  #dropOldestFresh(): void {
    for (const context of this.#fresh) {
      if (context.holders === 0) return this.#drop(context)
    }
  }

  /** Their rows are gone. */
  #forget(ids: readonly string[]): void {
    for (const id of ids) {
      const context = this.#byId.get(id)
      if (context === undefined) continue
      context.state = 'gone'
      this.#drop(context)
    }
  }

  #drop(context: LiveContext): void {
    this.#fresh.delete(context)
    if (this.#byId.get(context.id) === context) this.#byId.delete(context.id)
    const ofDevice = this.#byDevice.get(context.device)
    ofDevice?.delete(context)
    if (ofDevice?.size === 0) this.#byDevice.delete(context.device)
  }
}

function isAlive({ state }: LiveContext): boolean {
  return state === 'fresh' || state === 'live'
}
