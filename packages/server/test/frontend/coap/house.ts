/** The coap door over a real authority, registry, store and judge; the link is in memory. */
import { Judge, parseCertificate } from '@countersign/core/credential'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { Commands } from '../../../src/commands/commands.ts'
import { anchorOf } from '../../../src/compose/anchors.ts'
import { CoapDoor, type CoapDoorParts } from '../../../src/frontend/coap/coapDoor.ts'
import type { CoapLimits } from '../../../src/frontend/coap/limits.ts'
import type { CommandWish } from '../../../src/commands/wish.ts'
import type {
  CoapContextRow,
  CommandRow,
  CommandState,
  EdhocCredentials,
  MessageRow,
  Timers,
} from '../../../src/ports.ts'
import { downlinksIn } from '../../../src/registry/lifecycle.ts'
import {
  hour,
  type House,
  type HouseOptions,
  makeHouse,
  newKey,
  requestFor,
} from '../../authority/house.ts'
import { KeptLog, ManualTimers } from '../../support/world.ts'
import { enrolled, messagesIn, refusalsIn, shown, type TestDevice, turn } from '../house.ts'
import { NarrowDevice, type NarrowOptions } from './device.ts'
import { Net } from './net.ts'

export interface CoapHouseOptions {
  readonly house?: HouseOptions
  readonly limits?: Partial<CoapLimits>
  readonly parts?: Partial<CoapDoorParts>
  /** Where the door listens; 127.0.0.1 where nothing is said. */
  readonly host?: string
  /** Sees the house before its door opens. */
  readonly opening?: (house: House) => void
}

export class CoapHouse {
  house: House
  door: CoapDoor
  commands: Commands
  judge: Judge
  credentials: EdhocCredentials
  readonly net: Net = new Net()
  readonly log: KeptLog = new KeptLog()
  readonly timers: ManualTimers
  readonly options: CoapHouseOptions
  port = 0
  #serial = 0
  /** Timers of a process that has ended do not run. */
  #life = { isOver: false }
  #port = 40_000

  private constructor(
    house: House,
    judge: Judge,
    credentials: EdhocCredentials,
    options: CoapHouseOptions,
  ) {
    this.house = house
    this.judge = judge
    this.credentials = credentials
    this.options = options
    this.timers = new ManualTimers(house.clock)
    this.commands = this.#commands()
    this.door = this.#door()
  }

  static async create(options: CoapHouseOptions = {}): Promise<CoapHouse> {
    const house = await makeHouse(options.house)
    options.opening?.(house)
    const open = new CoapHouse(house, await judgeOf(house), await edhocOf(house), options)
    await open.#open()
    return open
  }

  /** The server begins anew with the same folder; `cleanly`: it was told to end before. */
  async restart(
    how: 'cleanly' | 'after a crash',
    between?: (directory: string) => Promise<void>,
    /** Before the door opens. */
    before?: (store: House['store']) => Promise<unknown>,
  ): Promise<void> {
    // A process that ends at once leaves its store as it is: what it had handed over is there.
    if (how === 'cleanly') await this.#closeDoor()
    this.#life.isOver = true
    this.#life = { isOver: false }
    await this.commands.close()
    const { directory } = this.house
    this.house = await this.house.reopen({}, () => between?.(directory) ?? Promise.resolve())
    await before?.(this.house.store)
    this.judge = await judgeOf(this.house)
    this.credentials = await edhocOf(this.house)
    this.commands = this.#commands()
    this.door = this.#door()
    await this.#open()
  }

  async close(): Promise<void> {
    await this.#closeDoor()
    await this.commands.close()
    await this.house.close()
  }

  /** A device with an owner's certificate, at an address of its own. */
  async device(options: NarrowOptions = {}): Promise<NarrowDevice> {
    return this.narrow(await enrolled(this.house, `SN-${++this.#serial}`), options)
  }

  /** One that has what its maker gave it, and no more. */
  async factoryDevice(serial: string): Promise<TestDevice> {
    const { key, signer } = newKey()
    const { der } = await this.house.authority.issueIdevid({
      csr: await requestFor(serial, signer),
      product: 'default',
      origin: 'software',
      assurance: 0,
      actor: 'operator',
    })
    const row = await this.house.registry.find(serial)
    return { ...shown(der, key), row, leaf: parseCertificate(der), privateKey: key }
  }

  narrow(identity: TestDevice, options: NarrowOptions = {}): NarrowDevice {
    const { net, timers, credentials } = this
    const address = options.address ?? `192.0.2.1:${++this.#port}`
    const { clock } = this.house
    return new NarrowDevice({
      link: net,
      ...options,
      timers,
      clock,
      address,
      identity,
      credentials,
    })
  }

  command(
    device: NarrowDevice,
    name: string,
    over: Partial<CommandWish> = {},
  ): Promise<CommandRow> {
    const expiresAt = this.house.clock.now() + hour
    const common = { name, data: '{"n":1}', expiresAt, actor: 'operator' }
    return this.commands.queue({ device: device.identity.row.id, ...common, ...over })
  }

  async stateOf({ id }: CommandRow): Promise<CommandState | undefined> {
    return (await this.house.store.get('command', id))?.state
  }

  /** Lets the door work until this holds; the test's own time limit is the bound. */
  async until(holds: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await holds())) await turn()
  }

  becomes(row: CommandRow, state: CommandState): Promise<void> {
    return this.until(async () => (await this.stateOf(row)) === state)
  }

  /** Long enough for everything that is under way to have happened. */
  async rest(): Promise<void> {
    for (let n = 0; n < 30; n++) await turn()
  }

  /** What the door sent to this address, from the n-th datagram on. */
  sentTo({ address }: Pick<NarrowDevice, 'address'>, from = 0): readonly Uint8Array[] {
    const { sent } = this.net
    return sent.slice(from).flatMap(({ to, datagram }) => (to === address ? [datagram] : []))
  }

  async messages(): Promise<readonly MessageRow[]> {
    return await messagesIn(this.house)
  }

  async refusals(): Promise<Record<string, unknown>[]> {
    return await refusalsIn(this.house)
  }

  /** Contexts in the store, once what notices began is done. */
  async rows(): Promise<readonly CoapContextRow[]> {
    await this.door.settled()
    return await this.house.store.scan('coapContext', { limit: 1000 })
  }

  /** Everything that came has been answered, or never will be. */
  async idle(): Promise<void> {
    do await turn()
    while (this.door.load.inFlight > 0)
    await this.door.settled()
  }

  /** To the door from anywhere, and what it sent back there. */
  async inject(datagram: Uint8Array, from: string): Promise<readonly Uint8Array[]> {
    const before = this.net.sent.length
    this.net.deliver(datagram, from)
    await this.idle()
    return this.net.sent
      .slice(before)
      .filter(({ to }) => to === from)
      .map((sent) => sent.datagram)
  }

  /** The last datagram of a device again, as when its answer was lost. */
  async resend({ sent, address }: NarrowDevice): Promise<void> {
    this.net.deliver(sent.at(-1) ?? new Uint8Array(), address)
    await this.idle()
  }

  /** Error lines of the log: a peer can cause none. */
  get errors(): readonly string[] {
    return this.log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)
  }

  async #open(): Promise<void> {
    this.port = await this.door.open({ host: this.options.host ?? '127.0.0.1', port: 0 })
  }

  async #closeDoor(): Promise<void> {
    const closing = this.door.close(1000)
    this.timers.advance(1000)
    await closing
  }

  #commands(): Commands {
    const { store, notices, clock } = this.house
    const common = { store, notices, clock, timers: this.timers, random: randomBytes }
    const failed = (error: unknown): void => this.log.error({}, String(error))
    return new Commands({ ...common, downlinks: downlinksIn, failed })
  }

  #door(): CoapDoor {
    const { registry, notices, clock, store, vault } = this.house
    const life = this.#life
    const timers: Timers = {
      after: (milliseconds, run) =>
        this.timers.after(milliseconds, () => void (life.isOver || run())),
    }
    return new CoapDoor({
      openLink: this.net.open,
      judge: this.judge,
      registry,
      notices,
      clock,
      store,
      sealer: vault,
      credentials: this.credentials,
      commands: this.commands,
      crypto: nodeCrypto,
      timers,
      random: randomBytes,
      log: this.log,
      ...this.options.parts,
      limits: { ...this.options.limits },
    })
  }
}

async function judgeOf({ registry, clock }: House): Promise<Judge> {
  const anchors = (await registry.listAnchors()).map(anchorOf)
  return new Judge({ crypto: nodeCrypto, clock, anchors })
}

function edhocOf({ authority }: House): Promise<EdhocCredentials> {
  return authority.edhocCredentials()
}
