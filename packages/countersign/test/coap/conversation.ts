/**
 * A seeded conversation of devices and a server in virtual time, over links that lose, double, delay
 * and damage, with somebody on the path who attacks, and processes that are stopped at any step.
 * After a while there is peace: then everything has to come to its end.
 */
import { parseCertificate } from '@countersign/core/credential'
import type { Milliseconds, Random } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import {
  type AttackPlan,
  DatagramNetwork,
  DeedWitness,
  HostileDatagrams,
  type LinkPlan,
  SealWitness,
  type Seeded,
  seeded,
  seededRandom,
  VirtualTime,
} from '@countersign/testbed'
import type { CommandRow, EdhocCredentials, MessageRow } from '../../../server/src/ports.ts'
import { edhocLifetimeMs, nextBeforeMs } from '../../../server/src/authority/edhocCredentials.ts'
import { tomorrow } from '../../../server/test/authority/edhocHouse.ts'
import { day, type House, makeHouse } from '../../../server/test/authority/house.ts'
import { enrolled } from '../../../server/test/frontend/house.ts'
import { DeviceSide } from './deviceSide.ts'
import { type Fate, Lives } from './lives.ts'
import { ServerSide, serverAddress } from './serverSide.ts'

export interface Script {
  readonly seed: number
  readonly devices: number
  /** Bytes of each reading of each device. */
  readonly readings: readonly number[]
  readonly commands: number
  /** How often each device is suspended for a while. */
  readonly suspensions: number
  readonly method: 0 | 1
  readonly hasClock: boolean
  readonly link: LinkPlan
  readonly attacks: AttackPlan
  /** Until then there is war, and what is to be said is said. */
  readonly warMs: Milliseconds
  readonly fateOf: Readonly<Record<'device' | 'server', (life: number) => Fate>>
  readonly awayMsMax: Milliseconds
  /** Sequence numbers that each side writes down ahead: few, and it is always about to run out. */
  readonly reserve: number
  /** In the server's memory; the others are in its store. */
  readonly contextsInMemoryMax: number
  /** Devices replace their contexts so soon. */
  readonly rekeyAfterMs?: Milliseconds | undefined
  /** The server wants others after so long, when it has met a message that was damaged. */
  readonly wornAfterMs?: Milliseconds | undefined
  /** The server has a successor of its certificates, of which devices are told. */
  readonly hasSuccessor?: boolean
  /** Whether everything that went by is sent once more when a process begins anew. */
  readonly replayAll?: boolean
}

export interface DeviceBook {
  /** Of readings, from 1, and how long each was. */
  readonly measured: ReadonlyMap<number, number>
  readonly acknowledged: ReadonlySet<number>
  readonly ran: ReadonlyMap<string, number>
  readonly lives: { readonly stopped: number; readonly ended: number; readonly steps: number }
  readonly eui64: string
  /** Fingerprints of the server's certificates that it knows. */
  readonly known: readonly string[]
  /** The successor that its live context has confirmed, by the server's store. */
  readonly confirmed: readonly string[]
  /** In the server's store. */
  readonly messages: readonly MessageRow[]
  readonly commands: readonly CommandRow[]
}

export interface Outcome {
  readonly devices: readonly DeviceBook[]
  readonly server: { readonly stopped: number; readonly ended: number; readonly steps: number }
  readonly seals: SealWitness
  readonly deeds: DeedWitness
  readonly attacked: number
  readonly datagrams: number
  readonly elapsedMs: Milliseconds
  /** The successor that devices were to be told of. */
  readonly successor: string | undefined
  /** Everything was acknowledged, every command brought, every device told. */
  readonly isDone: boolean
  /** Mistakes of ours: there must be none. */
  readonly faults: readonly unknown[]
}

const beginning = Date.UTC(2026, 0, 2)
const lookMs = 5_000
const longestSuspensionMs = 180_000
/** The budget of handshakes of a device may be used up in the war: it has one each day. */
const peaceMsMax = 3 * 86_400_000
/** A process has begun by then, and nobody has spoken to it. */
const replayAfterMs = 100
/** Results of the last commands, and whatever is held back still. */
const afterwardsMs = 300_000

export async function converse(script: Script): Promise<Outcome> {
  const house = await makeHouse({ now: beginning })
  try {
    if (script.hasSuccessor === true) {
      await house.authority.start(() => undefined)
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
    }
    const conversation = await Conversation.of(script, house)
    return await conversation.run()
  } finally {
    await house.close()
  }
}

interface Party {
  readonly side: DeviceSide
  readonly lives: Lives
}

class Conversation {
  readonly #script: Script
  readonly #house: House
  readonly #time: VirtualTime
  readonly #began: Milliseconds
  readonly #credentials: EdhocCredentials
  readonly #successor: string | undefined
  readonly #random: Seeded
  readonly #network: DatagramNetwork
  readonly #hostile: HostileDatagrams
  readonly #seals: SealWitness = new SealWitness()
  readonly #deeds: DeedWitness = new DeedWitness()
  readonly #crypto: typeof nodeCrypto
  readonly #faults: unknown[] = []
  readonly #parties: Party[] = []
  readonly #server: ServerSide
  readonly #serverLives: Lives
  #labels = 1000
  #isWar = true
  #unsaid = 0

  static async of(script: Script, house: House): Promise<Conversation> {
    const credentials = await house.authority.edhocCredentials()
    const conversation = new Conversation(script, house, credentials)
    for (let number = 0; number < script.devices; number++) await conversation.#admit(number)
    return conversation
  }

  private constructor(script: Script, house: House, credentials: EdhocCredentials) {
    this.#script = script
    this.#house = house
    this.#began = house.clock.now()
    this.#time = new VirtualTime(this.#began)
    this.#credentials = credentials
    this.#successor = credentials.next(this.#kind)?.fingerprint
    this.#random = seeded(script.seed)
    this.#network = new DatagramNetwork(this.#time, this.#random.fork(1))
    this.#network.observe(({ act, datagram }) => {
      if (act === 'sent') this.#seals.see(datagram)
    })
    const { carry, rebind } = this.#network
    this.#hostile = new HostileDatagrams({
      time: this.#time,
      random: this.#random.fork(2),
      plan: script.attacks,
      carry,
      // Devices move; where the server is, everyone has written down.
      rebind: (address) => address !== serverAddress && rebind(address),
    })
    this.#network.through(this.#hostile.pass)
    this.#crypto = this.#seals.watch(this.#deeds.watch(nodeCrypto))
    const common = { house, network: this.#network, crypto: this.#crypto, deeds: this.#deeds }
    const random = (): Random => this.#nextRandom()
    const failed = this.#failed
    const { reserve: reservedAhead, contextsInMemoryMax, wornAfterMs } = script
    const wear = wornAfterMs !== undefined && {
      keyUsage: { failedWanted: 1 },
      keysWantedAfterMs: wornAfterMs,
    }
    const limits = { reservedAhead, contextsInMemoryMax, ...wear }
    this.#server = new ServerSide({ ...common, credentials, random, failed, limits })
    this.#serverLives = this.#livesOf('server', 3, this.#server)
  }

  async run(): Promise<Outcome> {
    this.#serverLives.begin()
    for (const { lives } of this.#parties) lives.begin()
    this.#plan()
    await this.#time.advance(this.#script.warMs)
    this.#isWar = false
    this.#hostile.setPlan({ share: 0, lateMsMax: 1 })
    const isDone = await this.#comesToItsEnd()
    const { stopped, ended, steps } = this.#serverLives
    return {
      devices: await Promise.all(this.#parties.map((party) => this.#bookOf(party))),
      server: { stopped, ended, steps },
      seals: this.#seals,
      deeds: this.#deeds,
      attacked: this.#hostile.attacked,
      datagrams: this.#hostile.passed,
      elapsedMs: this.#time.now() - this.#began,
      successor: this.#successor,
      isDone,
      faults: this.#faults,
    }
  }

  async #admit(number: number): Promise<void> {
    const { method, hasClock, link, reserve, rekeyAfterMs } = this.#script
    const side = new DeviceSide({
      identity: await enrolled(this.#house, `SN-${number}`),
      address: `10.0.0.${number + 1}:40000`,
      network: this.#network,
      link: { up: link, down: link },
      crypto: this.#crypto,
      deeds: this.#deeds,
      anchor: anchorOf(this.#house),
      method,
      hasClock,
      limits: { reserve, ...(rekeyAfterMs !== undefined && { rekeyAfterMs }) },
      random: () => this.#nextRandom(),
      failed: this.#failed,
    })
    this.#parties.push({ side, lives: this.#livesOf('device', 10 + number, side) })
  }

  #livesOf(who: 'device' | 'server', label: number, { live }: Pick<DeviceSide, 'live'>): Lives {
    const { fateOf, awayMsMax, replayAll = false } = this.#script
    const random = this.#random.fork(label)
    return new Lives({
      time: this.#time,
      fateOf: (life) => (this.#isWar ? fateOf[who](life) : {}),
      awayMs: () => 1 + random.below(awayMsMax),
      live: async (process) => {
        const begun = live(process)
        if (replayAll) this.#time.after(replayAfterMs, () => this.#replayAll())
        await begun
      },
      failed: this.#failed,
    })
  }

  /** Readings and commands come when they like. */
  #plan(): void {
    const { readings, commands, suspensions, warMs } = this.#script
    const random = this.#random.fork(4)
    const sometime = (): Milliseconds => random.below(Math.max(1, Math.floor(warMs * 0.8)))
    for (const { side } of this.#parties) {
      for (const length of readings) {
        this.#say(sometime(), () => {
          side.measure(length)
          return true
        })
      }
      const { id } = side.identity.row
      for (let count = 0; count < suspensions; count++) {
        const from = sometime()
        this.#say(from, () => this.#server.suspend(id))
        this.#say(from + random.below(longestSuspensionMs), () => this.#server.resume(id))
      }
      for (let count = 0; count < commands; count++) {
        // A long one goes in blocks, and so does its result.
        const data = JSON.stringify('x'.repeat(random.chance(0.2) ? 2500 : 10))
        this.#say(sometime(), () => this.#server.command(id, data, this.#time.now()))
      }
    }
  }

  #say(afterMs: Milliseconds, say: () => boolean): void {
    this.#unsaid++
    const attempt = (): void => {
      if (say()) this.#unsaid--
      else this.#time.after(1000, attempt)
    }
    this.#time.after(afterMs, attempt)
  }

  #replayAll(): void {
    for (const record of this.#hostile.recorded()) this.#hostile.replay(record)
  }

  async #comesToItsEnd(): Promise<boolean> {
    const deadline = this.#time.now() + peaceMsMax
    while (this.#time.now() < deadline) {
      await this.#time.advance(lookMs)
      if (!(await this.#isOver())) continue
      await this.#time.advance(afterwardsMs)
      return await this.#isOver()
    }
    return false
  }

  async #isOver(): Promise<boolean> {
    if (this.#unsaid > 0) return false
    const { store } = this.#house
    for (const { side, lives } of this.#parties) {
      const { id } = side.identity.row
      // What was said to a server that died may have been said in vain.
      if ((await store.get('device', id))?.state === 'suspended') this.#server.resume(id)
      if (side.outbox.size > 0) return false
      const commands = await store.find('command', 'device', id)
      if (commands.some(({ state }) => state === 'queued')) return false
      // Over a bad link a result in blocks takes its time; only with its device it can be lost.
      const hasLived = lives.stopped + lives.ended === 0
      if (hasLived && commands.some(({ state }) => state === 'delivered')) return false
      const confirmed = await this.#confirmedBy(side)
      if (!this.#isPromoted && confirmed.some((one) => one !== this.#successor)) return false
    }
    return true
  }

  /** What is told before it is shown; nobody has to be told when there is nothing. */
  get #isPromoted(): boolean {
    const current = this.#credentials.current(this.#kind).fingerprint
    return this.#successor === undefined || current === this.#successor
  }

  get #kind(): 'signature' | 'static key' {
    return this.#script.method === 0 ? 'signature' : 'static key'
  }

  async #confirmedBy({ identity }: DeviceSide): Promise<readonly string[]> {
    const rows = await this.#house.store.find('coapContext', 'device', identity.row.id)
    return rows.flatMap(({ state, confirmed }) => (state === 'live' ? [confirmed ?? ''] : []))
  }

  async #bookOf({ side, lives }: Party): Promise<DeviceBook> {
    const { store } = this.#house
    const { id, eui64 } = side.identity.row
    const { stopped, ended, steps } = lives
    return {
      measured: side.measured,
      acknowledged: side.acknowledged,
      ran: side.ran,
      known: side.known,
      confirmed: (await this.#confirmedBy(side)).filter((one) => one !== ''),
      lives: { stopped, ended, steps },
      eui64,
      messages: await store.find('message', 'source', id),
      commands: await store.find('command', 'device', id),
    }
  }

  #nextRandom(): Random {
    return seededRandom(this.#random.fork(this.#labels++))
  }

  readonly #failed = (error: unknown): void => void this.#faults.push(error)
}

/** SHA-256 of the key of the CA below which the server's certificates are. */
function anchorOf({ authority }: House): Uint8Array {
  const ca = authority.cas().find(({ role, status }) => role === 'server' && status === 'active')
  if (ca === undefined) throw new Error('the house has no server CA')
  return nodeCrypto.hash('sha256', parseCertificate(ca.der).spki.der)
}
