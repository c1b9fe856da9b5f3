/** The application room over a real store and a real vault, in a folder of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Applications } from '../../src/application/applications.ts'
import { type ApplicationLimits, applicationLimits } from '../../src/application/limits.ts'
import { Outbox } from '../../src/application/outbox.ts'
import { WebhookTargets } from '../../src/application/webhookTarget.ts'
import { Vault } from '../../src/authority/vault.ts'
import { cloudEvent, jsonData } from '../../src/cloudEvent.ts'
import { Commands } from '../../src/commands/commands.ts'
import type { Notices, Store } from '../../src/ports.ts'
import { downlinksIn } from '../../src/registry/lifecycle.ts'
import { createNotices } from '../../src/registry/notices.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { KeptLog, ManualClock, ManualTimers, seededRandom } from '../support/world.ts'

export const deviceId = 'urn:dev:mac:0200000000000001'

export class ApplicationHouse {
  readonly clock: ManualClock = new ManualClock()
  readonly timers: ManualTimers = new ManualTimers(this.clock)
  readonly log: KeptLog = new KeptLog()
  readonly limits: ApplicationLimits
  readonly dir: string
  readonly #vault: Vault
  notices!: Notices
  store!: Store
  applications!: Applications
  outbox!: Outbox
  commands!: Commands
  #sent = 0

  private constructor(dir: string, vault: Vault, limits: Partial<ApplicationLimits>) {
    this.dir = dir
    this.#vault = vault
    this.limits = { ...applicationLimits, ...limits }
  }

  static async create(limits: Partial<ApplicationLimits> = {}): Promise<ApplicationHouse> {
    const dir = await mkdtemp(join(tmpdir(), 'countersign-application-'))
    const vault = await Vault.create({
      directory: join(dir, 'keys'),
      passphrase: 'a passphrase for tests',
      cost: { log2N: 10, r: 8, p: 1 },
    })
    const house = new ApplicationHouse(dir, vault, limits)
    await house.open()
    return house
  }

  /** As after a start of the process. */
  async open(): Promise<void> {
    const { clock, timers, log, limits } = this
    this.store = await openSqliteStore(join(this.dir, 'store.db'), { clock })
    this.notices = createNotices((error) => log.error({}, String(error)))
    const common = {
      store: this.store,
      notices: this.notices,
      clock,
      timers,
      random: seededRandom(1 + this.#sent),
      sealer: this.#vault,
      targets: new WebhookTargets([]),
      limits,
    }
    this.applications = new Applications(common)
    this.outbox = new Outbox({ ...common, log })
    const failed = (error: unknown): void => log.error({}, String(error))
    this.commands = new Commands({ ...common, downlinks: downlinksIn, failed, limits: {} })
    await this.outbox.start()
  }

  async shut(): Promise<void> {
    await this.outbox.close()
    await this.commands.close()
    await this.store.close()
  }

  /** As when a receiver does not answer while the server stops. */
  async shutImpatiently(): Promise<void> {
    const { stopGraceMs } = this.limits
    void this.timers.armed((ms) => ms === stopGraceMs).then(() => this.timers.advance(stopGraceMs))
    await this.shut()
  }

  async dispose(): Promise<void> {
    await this.shutImpatiently()
    await rm(this.dir, { recursive: true })
  }

  /** Stores so many messages as a door does; their ids. */
  async send(count: number, source: string = deviceId): Promise<string[]> {
    const ids: string[] = []
    for (let n = 0; n < count; n++) {
      const id = `reading-${++this.#sent}`
      const draft = cloudEvent(
        {
          id,
          source,
          type: 'countersign.message',
          time: this.clock.now(),
          subject: 'a',
          road: 'https',
        },
        jsonData({ n: this.#sent }),
      )
      const applied = await this.store.apply({ messages: [draft] })
      this.notices.tell({ kind: 'messages', throughSeq: applied.messageSeqs[0] ?? 0 })
      ids.push(id)
    }
    return ids
  }
}
