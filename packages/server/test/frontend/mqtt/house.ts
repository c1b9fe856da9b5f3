/**
 * The mqtts door over a real authority, registry, store, judge, commands and application feed. The
 * clock and the timers are the test's, and so is the moment at which the door's writes happen.
 */
import { type ConnectionOptions, connect } from 'node:tls'
import { Judge } from '@countersign/core/credential'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { Applications } from '../../../src/application/applications.ts'
import { Outbox } from '../../../src/application/outbox.ts'
import { WebhookTargets } from '../../../src/application/webhookTarget.ts'
import { Commands } from '../../../src/commands/commands.ts'
import type { CommandWish } from '../../../src/commands/wish.ts'
import { anchorOf } from '../../../src/compose/anchors.ts'
import { type MqttLimits, mqttLimits } from '../../../src/frontend/mqtt/limits.ts'
import { MqttsDoor, type MqttsDoorParts } from '../../../src/frontend/mqtt/mqttsDoor.ts'
import type { MqttVersion } from '../../../src/frontend/mqtt/packets.ts'
import type {
  Applied,
  Change,
  CommandRow,
  CommandState,
  MessageRow,
  MqttSessionRow,
} from '../../../src/ports.ts'
import { downlinksIn } from '../../../src/registry/lifecycle.ts'
import { type House, hour, makeHouse, newKey, requestFor } from '../../authority/house.ts'
import { KeptLog, ManualTimers } from '../../support/world.ts'
import {
  enrolled,
  messagesIn,
  pemOf,
  refusalsIn,
  type Shown,
  shown,
  type TestDevice,
  turn,
} from '../house.ts'
import { MqttClient } from './client.ts'

export interface TestApplication extends Shown {
  readonly id: string
  readonly name: string
}

export interface HouseOptions {
  readonly limits?: Partial<MqttLimits>
  readonly parts?: Partial<MqttsDoorParts>
}

export class MqttHouse {
  readonly house: House
  readonly log: KeptLog = new KeptLog()
  readonly timers: ManualTimers
  readonly judge: Judge
  readonly limits: MqttLimits
  readonly commands: Commands
  readonly applications: Applications
  readonly outbox: Outbox
  /** What clients trust: the root, as a stock client's CA file. */
  readonly ca: string
  /** Stands before every write of the door. */
  gate: ((change: Change) => Promise<void>) | undefined
  door: MqttsDoor
  port = 0
  readonly #options: HouseOptions
  readonly #credential: Shown
  readonly #doors: MqttsDoor[] = []
  readonly #clients: MqttClient[] = []
  #serial = 0

  private constructor(house: House, judge: Judge, credential: Shown, options: HouseOptions) {
    this.house = house
    this.judge = judge
    this.timers = new ManualTimers(house.clock)
    this.limits = { ...mqttLimits, ...options.limits }
    this.#options = options
    this.#credential = credential
    const root = house.authority.cas().find(({ role }) => role === 'root')
    this.ca = pemOf(root?.der ?? new Uint8Array())
    const { notices, clock, store, vault } = house
    const common = { store, notices, clock, timers: this.timers, random: randomBytes }
    const failed = (error: unknown): void => this.log.error({}, String(error))
    this.commands = new Commands({ ...common, downlinks: downlinksIn, failed })
    const seal = { sealer: vault, targets: new WebhookTargets([]) }
    this.applications = new Applications({ ...common, ...seal })
    this.outbox = new Outbox({ ...common, ...seal, log: this.log })
    this.door = this.#newDoor()
  }

  static async create(options: HouseOptions = {}): Promise<MqttHouse> {
    const house = await makeHouse()
    const anchors = (await house.registry.listAnchors()).map(anchorOf)
    const judge = new Judge({ crypto: nodeCrypto, clock: house.clock, anchors })
    const { chainPem, keyPem } = await house.authority.serverCredential()
    const open = new MqttHouse(house, judge, { cert: chainPem, key: keyPem }, options)
    await open.outbox.start()
    open.port = await open.door.open({ host: '127.0.0.1', port: 0 })
    return open
  }

  /** Another door on the same store, as after the process was killed: nothing was told to anyone. */
  async crash(): Promise<void> {
    this.door = this.#newDoor()
    this.port = await this.door.open({ host: '127.0.0.1', port: 0 })
  }

  /** The door closes in order, and another one opens on the same store. */
  async restart(): Promise<void> {
    await this.closeDoor()
    await this.crash()
  }

  async closeDoor(door: MqttsDoor = this.door): Promise<void> {
    this.gate = undefined
    const closing = door.close(1000)
    // Who does not read its last word is cut off by the sweep.
    await Promise.race([closing, this.rest()])
    this.timers.advance(1000)
    await closing
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy()
    for (const door of this.#doors) await this.closeDoor(door)
    await this.outbox.close()
    await this.commands.close()
    await this.house.close()
  }

  #newDoor(): MqttsDoor {
    const { registry, notices, clock, store } = this.house
    const { cert, key } = this.#credential
    const parts: MqttsDoorParts = {
      judge: this.judge,
      registry,
      notices,
      clock,
      store: {
        get: (...args) => store.get(...args),
        find: (...args) => store.find(...args),
        scan: (...args) => store.scan(...args),
        apply: (change) => this.#apply(change),
      },
      commands: this.commands,
      feed: this.outbox.feed,
      log: this.log,
      timers: this.timers,
      random: randomBytes,
      limits: this.limits,
      ...this.#options.parts,
    }
    const door = new MqttsDoor(parts, { chainPem: cert, keyPem: key })
    this.#doors.push(door)
    return door
  }

  #apply(change: Change): Promise<Applied> {
    const { store } = this.house
    if (this.gate === undefined) return store.apply(change)
    return this.gate(change).then(() => store.apply(change))
  }

  // --- who is there ------------------------------------------------------------------------------

  device(serial: string = `SN-${++this.#serial}`): Promise<TestDevice> {
    return enrolled(this.house, serial)
  }

  async application(name: string = `app-${++this.#serial}`): Promise<TestApplication> {
    const { id } = await this.applications.add({ name })
    const { key, signer } = newKey()
    const csr = await requestFor(name, signer)
    const issued = await this.house.authority.issueForApplication({ id, name, csr })
    return { ...shown(issued.der, key, issued.issuer), id, name }
  }

  /** A TLS connection; CONNECT is the test's. */
  client(who?: Shown, version: MqttVersion = 5, options: ConnectionOptions = {}): MqttClient {
    const { port, ca } = this
    const name = { host: '127.0.0.1', port, servername: 'localhost' }
    const socket = connect({ ...name, ca, ...who, ALPNProtocols: ['mqtt'], ...options })
    const client = new MqttClient(socket, version)
    this.#clients.push(client)
    return client
  }

  /** A client that is in. */
  async enter(
    who: Shown,
    clientId: string,
    version: MqttVersion = 5,
    more: Parameters<MqttClient['connect']>[1] = {},
  ): Promise<MqttClient> {
    const client = this.client(who, version)
    const connack = await client.connect(clientId, more)
    const { reasonCode, returnCode = reasonCode } = connack
    if (returnCode !== 0) throw new Error(`refused with ${returnCode}`)
    return client
  }

  // --- what is there -----------------------------------------------------------------------------

  /** Of one device, when it is given. */
  async messages(device?: TestDevice): Promise<readonly MessageRow[]> {
    const rows = await messagesIn(this.house)
    return device === undefined ? rows : rows.filter(({ source }) => source === device.row.id)
  }

  /** Topic and data of every message, in their order. */
  async said(device?: TestDevice): Promise<readonly (readonly [topic: string, data: unknown])[]> {
    return (await this.messages(device)).map(({ body }) => {
      const { subject, data } = JSON.parse(body) as { subject: string; data: unknown }
      return [subject, data] as const
    })
  }

  refusals(): Promise<Record<string, unknown>[]> {
    return refusalsIn(this.house)
  }

  async lastRefusal(): Promise<unknown> {
    return (await this.refusals()).at(-1)?.['code']
  }

  sessions(): Promise<readonly MqttSessionRow[]> {
    return this.house.store.scan('mqttSession', { limit: 1000 })
  }

  command(device: TestDevice, name: string, over: Partial<CommandWish> = {}): Promise<CommandRow> {
    const expiresAt = this.house.clock.now() + hour
    const wish = { device: device.row.id, name, data: '{"n":1}', expiresAt, actor: 'operator' }
    return this.commands.queue({ ...wish, ...over })
  }

  async stateOf({ id }: CommandRow): Promise<CommandState | undefined> {
    return (await this.house.store.get('command', id))?.state
  }

  // --- time --------------------------------------------------------------------------------------

  /** Beyond an address's budget of the audit log nothing would be written. */
  forgive(): void {
    this.house.clock.time += 120_000
  }

  sweep(): void {
    this.timers.advance(this.limits.sweepMs)
  }

  /** Lets the door work until this holds; the test's own time limit is the bound. */
  async until(holds: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await holds())) await turn()
  }

  /** Long enough for everything that is under way to have happened. */
  async rest(): Promise<void> {
    for (let n = 0; n < 30; n++) await turn()
  }
}

/** Writes of the door that wait for the test. */
export class Held {
  readonly #house: MqttHouse
  readonly #waiting: { readonly change: Change; let: (error?: Error) => void }[] = []

  /** `which`: all when absent. */
  constructor(house: MqttHouse, which: (change: Change) => boolean = () => true) {
    this.#house = house
    house.gate = (change) => {
      if (!which(change)) return Promise.resolve()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const pass = (error?: Error): void => (error === undefined ? resolve() : reject(error))
      this.#waiting.push({ change, let: pass })
      return promise
    }
  }

  get count(): number {
    return this.#waiting.length
  }

  async atLeast(count: number): Promise<void> {
    await this.#house.until(() => this.#waiting.length >= count)
  }

  /** The n-th that waits. */
  release(n = 0, error?: Error): void {
    const [one] = this.#waiting.splice(n, 1)
    one?.let(error)
  }

  /** All that wait, and those that come. */
  end(error?: Error): void {
    this.#house.gate = undefined
    for (const one of this.#waiting.splice(0)) one.let(error)
  }
}

export const topicOf = ({ row }: TestDevice, topic: string): string =>
  `devices/${row.eui64}/${topic}`

export const storesMessage = ({ messages = [] }: Change): boolean =>
  messages.some(({ type }) => type === 'countersign.message')
